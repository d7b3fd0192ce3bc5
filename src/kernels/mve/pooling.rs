//! Pooling, runs of pixels at a time: sixteen channels of the largest codes, eight of means.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::{Pool, nervelet_mve_average_pool, nervelet_mve_max_pool};
use super::windows::{Run, runs};

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// Gives every run of pixels to a kernel; `empty` is the code of pixels without taps.
fn pool(
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
    let pixel_step = window.stride[1].wrapping_mul(channels);
    runs(window, 1, |Run { first, pixels, rows, columns, corner }| {
        let (height, width) = (rows.len(), columns.len());
        let start = first.wrapping_mul(channels);
        let codes = output.get_mut(start..start.wrapping_add(pixels.wrapping_mul(channels))).ok_or(OutOfBounds)?;
        if height == 0 || width == 0 {
            codes.fill(empty.min(high).max(low) as i8);
            return Ok(());
        }
        let at = corner.wrapping_mul(channels);
        let reach = width.wrapping_sub(1).wrapping_mul(step);
        let length = height.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(channels);
        let length = length.wrapping_add(pixels.wrapping_sub(1).wrapping_mul(pixel_step));
        let source = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
        // With half their number c a sum of codes is n <= 128.5 c, and the reciprocal is r = ceil(2^24 / c): n r fits 32
        // bits, and n (r c - 2^24) < 128.5 c^2 < 2^24.
        let count = height.wrapping_mul(width);
        let frame = Pool {
            codes: source.as_ptr(),
            output: codes.as_mut_ptr(),
            channels,
            columns: width,
            rows: height,
            step,
            advance: row_step.wrapping_sub(reach).wrapping_sub(step),
            half: count / 2,
            reciprocal: (1_usize << 24).div_ceil(count.max(1)),
            low,
            high,
            pixels,
            pixel_step,
        };
        // SAFETY: reads all channels, at least one, for means at least eight, at each of `width` columns, `step` apart, of
        // `height` rows, `row_step` apart, for each of `pixels` pixels, `pixel_step` apart, all at least 1; `source` ends
        // with all channels of the last one. Writes all channels of as many pixels, which `codes` has.
        unsafe { kernel(&raw const frame) };
        Ok(())
    })
}

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS || channels < 8 {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    pool(window, channels, input, range, output, 0, nervelet_mve_average_pool)
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels == 0 {
        return reference::max_pool_2d(window, channels, input, range, output);
    }
    pool(window, channels, input, range, output, i8::MIN.into(), nervelet_mve_max_pool)
}
