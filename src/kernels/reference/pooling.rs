//! Pooling and means: sums and maxima of codes, no requantization but for the mean.

use super::super::{Code, OutOfBounds, Result, Window};
use crate::fixed::Multiplier;

/// Folds the taps inside the image for every output element, then writes what `finish` makes of it and of the taps.
fn pool<T: Copy, A: Copy>(
    window: &Window,
    channels: usize,
    input: &[T],
    output: &mut [T],
    start: A,
    fold: impl Fn(A, T) -> A,
    finish: impl Fn(A, usize) -> T,
) -> Result {
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, result) in pixel.iter_mut().enumerate() {
                let mut folded = start;
                for row_step in 0..rows.len() {
                    let y = first_row.wrapping_add(row_step.wrapping_mul(window.dilation[0]));
                    for column_step in 0..columns.len() {
                        let x = first_column.wrapping_add(column_step.wrapping_mul(window.dilation[1]));
                        let at = y.wrapping_mul(window.input[1]).wrapping_add(x).wrapping_mul(channels);
                        folded = fold(folded, *input.get(at.wrapping_add(channel)).ok_or(OutOfBounds)?);
                    }
                }
                *result = finish(folded, rows.len().wrapping_mul(columns.len()));
            }
        }
    }
    Ok(())
}

/// The rounded mean of the codes inside the image, halves away from zero, clamped to `range`.
pub fn average_pool_2d<C: Code>(
    window: &Window,
    channels: usize,
    input: &[C],
    range: [i32; 2],
    output: &mut [C],
) -> Result {
    let mean = |sum: i32, taps: usize| {
        let count = (taps as i32).max(1);
        let half = count / 2;
        let rounded = if sum > 0 { sum.wrapping_add(half) / count } else { sum.wrapping_sub(half) / count };
        C::saturate(rounded.min(range[1]).max(range[0]))
    };
    pool(window, channels, input, output, 0_i32, |sum, code| sum.wrapping_add(code.widen()), mean)
}

/// The largest code inside the image, clamped to `range`.
pub fn max_pool_2d<C: Code>(
    window: &Window,
    channels: usize,
    input: &[C],
    range: [i32; 2],
    output: &mut [C],
) -> Result {
    let clamp = |largest: C, _| C::saturate(largest.widen().min(range[1]).max(range[0]));
    pool(window, channels, input, output, C::saturate(i32::MIN), C::max, clamp)
}

/// The mean of the values inside the image, summed row by row, then clamped to `range`.
pub fn average_pool_2d_f32(
    window: &Window,
    channels: usize,
    input: &[f32],
    range: [f32; 2],
    output: &mut [f32],
) -> Result {
    let mean = |sum: f32, taps: usize| (sum / taps.max(1) as f32).max(range[0]).min(range[1]);
    pool(window, channels, input, output, 0.0_f32, |sum, value| sum + value, mean)
}

/// The largest value inside the image, clamped to `range`.
pub fn max_pool_2d_f32(window: &Window, channels: usize, input: &[f32], range: [f32; 2], output: &mut [f32]) -> Result {
    let clamp = |largest: f32, _| largest.max(range[0]).min(range[1]);
    pool(window, channels, input, output, f32::NEG_INFINITY, f32::max, clamp)
}

/// The mean over `count` rows of `channels` codes: `(sum - zero_point * count) * multiplier + output_zero_point`,
/// where the multiplier holds the division by `count`.
pub fn mean<C: Code>(
    channels: usize,
    count: usize,
    input: &[C],
    [input_zero_point, output_zero_point]: [i32; 2],
    multiplier: Multiplier,
    output: &mut [C],
) -> Result {
    let block = channels.wrapping_mul(count);
    if block == 0 {
        return Err(OutOfBounds);
    }
    for (block, codes) in input.chunks_exact(block).zip(output.chunks_exact_mut(channels)) {
        for (channel, code) in codes.iter_mut().enumerate() {
            let values = block.iter().skip(channel).step_by(channels);
            let sum = values.fold(0_i32, |sum, value| sum.wrapping_add(value.widen()));
            let centred = sum.wrapping_sub(input_zero_point.wrapping_mul(count as i32));
            *code = C::saturate(multiplier.apply(centred).wrapping_add(output_zero_point));
        }
    }
    Ok(())
}

/// The mean over `count` rows of `channels` values, summed in order.
pub fn mean_f32(channels: usize, count: usize, input: &[f32], output: &mut [f32]) -> Result {
    fold_rows(channels, count, input, output, |values: Rows<'_, f32>| {
        values.fold(0.0, |sum, value| sum + value) / count as f32
    })
}

/// The sum over `count` rows of `channels` values, in order.
pub fn sum_f32(channels: usize, count: usize, input: &[f32], output: &mut [f32]) -> Result {
    fold_rows(channels, count, input, output, |values: Rows<'_, f32>| values.fold(0.0, |sum, value| sum + value))
}

/// The values of one channel.
pub type Rows<'a, T> = core::iter::Copied<core::iter::StepBy<core::iter::Skip<core::slice::Iter<'a, T>>>>;

/// What `fold` makes of each channel's values over `count` rows of `channels` values.
#[inline(always)]
pub fn fold_rows<T: Copy, O>(
    channels: usize,
    count: usize,
    input: &[T],
    output: &mut [O],
    fold: impl Fn(Rows<'_, T>) -> O,
) -> Result {
    let block = channels.wrapping_mul(count);
    if block == 0 {
        return Err(OutOfBounds);
    }
    for (block, values) in input.chunks_exact(block).zip(output.chunks_exact_mut(channels)) {
        for (channel, value) in values.iter_mut().enumerate() {
            *value = fold(block.iter().skip(channel).step_by(channels).copied());
        }
    }
    Ok(())
}
