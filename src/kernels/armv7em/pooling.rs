//! Pooling, four channels at a time: sums in two words of 16-bit sums, the largest in one word.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::{Pool, nervelet_pool_max, nervelet_pool_mean};

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 || window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    pool(window, channels, input, range, output, 0, nervelet_pool_mean)
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 {
        return reference::max_pool_2d(window, channels, input, range, output);
    }
    pool(window, channels, input, range, output, i8::MIN.into(), nervelet_pool_max)
}

/// Gives every pixel to a kernel; those without taps get the code `empty`.
fn pool(
    window: &Window,
    channels: usize,
    input: &[i8],
    range: [i32; 2],
    output: &mut [i8],
    empty: i32,
    kernel: unsafe extern "C" fn(*const Pool),
) -> Result {
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let last = channels.checked_sub(4).ok_or(OutOfBounds)?;
    let [low, high] = range;
    let bounds = range.map(|bound| u32::from(bound as u8).wrapping_mul(0x0101_0101));
    let mut pixels = output.chunks_exact_mut(channels);
    for row in 0..window.output[0] {
        let (row_taps, top) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (column_taps, left) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let (rows, columns) = (row_taps.len(), column_taps.len());
            if rows == 0 || columns == 0 {
                pixel.fill(empty.min(high).max(low) as i8);
                continue;
            }
            let at = top.wrapping_mul(window.input[1]).wrapping_add(left).wrapping_mul(channels);
            let reach = columns.wrapping_sub(1).wrapping_mul(step);
            let length = rows.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(channels);
            let codes = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
            let taps = rows.wrapping_mul(columns);
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
            unsafe { kernel(&raw const frame) };
        }
    }
    Ok(())
}
