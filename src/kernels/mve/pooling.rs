//! Average pooling, eight channels at a time as 16-bit sums.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::nervelet_mve_sum_8;

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;
/// Channels of a vector of sums.
const CHANNELS: usize = 8;

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < CHANNELS || window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    let clamp = |code: i32| code.min(range[1]).max(range[0]) as i8;
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels);
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let (height, width) = (rows.len(), columns.len());
            if height == 0 || width == 0 {
                pixel.fill(clamp(0));
                continue;
            }
            let at = first_row.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
            let reach = width.wrapping_sub(1).wrapping_mul(step);
            let length = height.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(channels);
            let codes = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
            let advance = row_step.wrapping_sub(reach).wrapping_sub(step);
            let count = height.wrapping_mul(width) as i32;
            let mut channel = 0;
            while channel < channels {
                // The last eight channels may overlap the ones before.
                let first = channel.min(channels.wrapping_sub(CHANNELS));
                let mut sums = [0_i16; CHANNELS];
                // SAFETY: reads eight bytes at each of `width` columns, `step` apart, of `height` rows, `row_step` apart,
                // both at least 1; `codes` ends with all channels of the last one. Writes the eight sums.
                unsafe {
                    let codes = codes.as_ptr().wrapping_add(first);
                    nervelet_mve_sum_8(codes, width, step, height, advance, &raw mut sums);
                }
                for (sum, code) in sums.into_iter().zip(pixel.iter_mut().skip(first)) {
                    let half = if sum > 0 { count / 2 } else { -(count / 2) };
                    *code = clamp(i32::from(sum).wrapping_add(half).checked_div(count).unwrap_or(0));
                }
                channel = first.wrapping_add(CHANNELS);
            }
        }
    }
    Ok(())
}
