//! Average pooling, four channels at a time in two words of 16-bit sums.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::nervelet_sum_4;

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 || window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels);
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            if rows.is_empty() || columns.is_empty() {
                // A window of nothing but padding.
                return reference::average_pool_2d(window, channels, input, range, output);
            }
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let count = (rows.len().wrapping_mul(columns.len()) as i32).max(1);
            let mut channel = 0;
            while channel < channels {
                // The last four channels may overlap the ones before.
                let quad = channel.min(channels.wrapping_sub(4));
                let at = first_row.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
                let at = at.wrapping_add(quad);
                let (height, width) = (rows.len(), columns.len());
                let reach = width.wrapping_sub(1).wrapping_mul(step);
                let length = height.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(4);
                let codes = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
                let advance = row_step.wrapping_sub(reach).wrapping_sub(step);
                // SAFETY: reads a word at each of `width` columns, `step` apart, of `height` rows, `row_step` apart,
                // both at least 1, as checked above; `codes` ends behind the last one.
                let sums = unsafe { nervelet_sum_4(codes.as_ptr(), width, step, height, advance) };
                let [even, odd] = [sums as u32, (sums >> 32) as u32];
                let sums = [even, odd, even >> 16, odd >> 16].map(|sum| i32::from(sum as i16));
                for (sum, code) in sums.into_iter().zip(pixel.iter_mut().skip(quad)) {
                    let half = if sum > 0 { count / 2 } else { -(count / 2) };
                    *code = (sum.wrapping_add(half) / count).min(range[1]).max(range[0]) as i8;
                }
                channel = quad.wrapping_add(4);
            }
        }
    }
    Ok(())
}
