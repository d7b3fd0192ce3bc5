//! Pooling, pixel by pixel: sixteen channels of the largest codes, eight of means.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::{Pool, nervelet_mve_average_pool, nervelet_mve_max_pool};

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// Gives every pixel to a kernel; `empty` is the code of pixels without taps.
fn pixels(
    window: &Window,
    channels: usize,
    input: &[i8],
    [low, high]: [i32; 2],
    output: &mut [i8],
    empty: i32,
    kernel: unsafe extern "C" fn(*const Pool),
) -> Result {
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    let (mut taps, mut reciprocal) = (0, 0);
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let (height, width) = (rows.len(), columns.len());
            if height == 0 || width == 0 {
                pixel.fill(empty.min(high).max(low) as i8);
                continue;
            }
            let at = first_row.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
            let reach = width.wrapping_sub(1).wrapping_mul(step);
            let length = height.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(channels);
            let codes = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
            // With half their number c a sum of codes is n <= 128.5 c, and the reciprocal is r = ceil(2^24 / c): n r fits 32
            // bits, and n (r c - 2^24) < 128.5 c^2 < 2^24.
            let count = height.wrapping_mul(width);
            if count != taps {
                (taps, reciprocal) = (count, (1_usize << 24).div_ceil(count.max(1)));
            }
            let frame = Pool {
                codes: codes.as_ptr(),
                output: pixel.as_mut_ptr(),
                channels,
                columns: width,
                rows: height,
                step,
                advance: row_step.wrapping_sub(reach).wrapping_sub(step),
                half: count / 2,
                reciprocal,
                low,
                high,
            };
            // SAFETY: reads all channels, at least one, for means at least eight, at each of `width` columns, `step` apart, of `height` rows, `row_step`
            // apart, both at least 1; `codes` ends with all channels of the last one. Writes all channels of `pixel`.
            unsafe { kernel(&raw const frame) };
        }
    }
    Ok(())
}

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS || channels < 8 {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    pixels(window, channels, input, range, output, 0, nervelet_mve_average_pool)
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels == 0 {
        return reference::max_pool_2d(window, channels, input, range, output);
    }
    pixels(window, channels, input, range, output, i8::MIN.into(), nervelet_mve_max_pool)
}
