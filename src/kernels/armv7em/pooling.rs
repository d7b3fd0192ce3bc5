//! Pooling, four channels at a time: sums in two words of 16-bit sums, the largest in one word.

use super::super::{OutOfBounds, Result, Window};
use super::assembly::{Pool, bounds, nervelet_pool_max, nervelet_pool_mean};

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// How codes are pooled.
struct Pooling {
    /// Of four channels, and of how many taps at most.
    kernel: unsafe extern "C" fn(*const Pool),
    most_taps: usize,
    /// Of a single channel: what one without taps has, the next code, and the result of so many.
    start: i32,
    fold: fn(i32, i32) -> i32,
    finish: fn(i32, i32) -> i32,
}

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    let mean = |sum: i32, taps: i32| {
        let half = if sum > 0 { taps / 2 } else { (taps / 2).wrapping_neg() };
        sum.wrapping_add(half).wrapping_div(taps.max(1))
    };
    let fold = i32::wrapping_add;
    let pooling = Pooling { kernel: nervelet_pool_mean, most_taps: MOST_TAPS, start: 0, fold, finish: mean };
    pool(window, channels, input, range, output, &pooling)
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    let pooling = Pooling {
        kernel: nervelet_pool_max,
        most_taps: usize::MAX,
        start: i8::MIN.into(),
        fold: i32::max,
        finish: |largest, _| largest,
    };
    pool(window, channels, input, range, output, &pooling)
}

/// Pools every pixel, by the kernel where it can.
fn pool(
    window: &Window,
    channels: usize,
    input: &[i8],
    range: [i32; 2],
    output: &mut [i8],
    pooling: &Pooling,
) -> Result {
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let [low, high] = range;
    let bounds = bounds(range);
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    for row in 0..window.output[0] {
        let (row_taps, top) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (column_taps, left) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let (rows, columns) = (row_taps.len(), column_taps.len());
            if rows == 0 || columns == 0 {
                pixel.fill(pooling.start.min(high).max(low) as i8);
                continue;
            }
            let at = top.wrapping_mul(window.input[1]).wrapping_add(left).wrapping_mul(channels);
            let reach = columns.wrapping_sub(1).wrapping_mul(step);
            let length = rows.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(channels);
            let codes = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
            let taps = rows.wrapping_mul(columns);
            let Some(last) = channels.checked_sub(4).filter(|_| taps <= pooling.most_taps) else {
                for (channel, result) in pixel.iter_mut().enumerate() {
                    let mut folded = pooling.start;
                    let mut row = channel;
                    for _ in 0..rows {
                        let mut at = row;
                        for _ in 0..columns {
                            folded = (pooling.fold)(folded, i32::from(*codes.get(at).ok_or(OutOfBounds)?));
                            at = at.wrapping_add(step);
                        }
                        row = row.wrapping_add(row_step);
                    }
                    *result = (pooling.finish)(folded, taps as i32).min(high).max(low) as i8;
                }
                continue;
            };
            let frame = Pool {
                source: codes.as_ptr(),
                columns,
                rows,
                step,
                advance: row_step.wrapping_sub(reach).wrapping_sub(step),
                taps,
                half: taps / 2,
                bounds,
                output: pixel.as_mut_ptr(),
                last,
            };
            // SAFETY: reads four codes from channel `0..=last` on at each of `columns` columns, `step` apart, of `rows`
            // rows, the last of which end with `codes`, and there is at least one; writes four codes from the same
            // channels on, the last of which end with `pixel`.
            unsafe { (pooling.kernel)(&raw const frame) };
        }
    }
    Ok(())
}
