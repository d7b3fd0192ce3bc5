//! Pooling, four channels at a time: sums in two words of 16-bit sums, the largest in one word.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::{nervelet_max_4, nervelet_sum_4};

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// The taps of one output pixel and of four channels.
struct Taps {
    codes: *const i8,
    columns: usize,
    step: usize,
    rows: usize,
    advance: usize,
}

/// Gives every pixel's taps to `pool`, four channels at a time; `empty` is the code of pixels without one.
#[inline(always)]
fn quads(
    window: &Window,
    channels: usize,
    input: &[i8],
    output: &mut [i8],
    empty: i32,
    pool: impl Fn(&Taps) -> [i8; 4],
) -> Result {
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let last = channels.checked_sub(4).ok_or(OutOfBounds)?;
    let mut pixels = output.chunks_exact_mut(channels);
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let (height, width) = (rows.len(), columns.len());
            if height == 0 || width == 0 {
                pixel.fill(empty as i8);
                continue;
            }
            let at = first_row.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
            let reach = width.wrapping_sub(1).wrapping_mul(step);
            let length = height.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach).wrapping_add(channels);
            let codes = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
            let advance = row_step.wrapping_sub(reach).wrapping_sub(step);
            let mut channel = 0;
            while channel < channels {
                // The last four channels may overlap the ones before.
                let quad = channel.min(last);
                let codes = codes.as_ptr().wrapping_add(quad);
                let pooled = pool(&Taps { codes, columns: width, step, rows: height, advance });
                let target = pixel.get_mut(quad..).and_then(|pixel| pixel.first_chunk_mut()).ok_or(OutOfBounds)?;
                *target = pooled;
                channel = quad.wrapping_add(4);
            }
        }
    }
    Ok(())
}

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 || window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    let clamp = |code: i32| code.min(range[1]).max(range[0]);
    quads(window, channels, input, output, clamp(0), |taps| {
        let Taps { codes, columns, step, rows, advance } = *taps;
        let count = rows.wrapping_mul(columns) as i32;
        // SAFETY: reads a word at each of `columns` columns, `step` apart, of `rows` rows, which `quads` has checked.
        let sums = unsafe { nervelet_sum_4(codes, columns, step, rows, advance) };
        let [even, odd] = [sums as u32, (sums >> 32) as u32];
        [even, odd, even >> 16, odd >> 16].map(|sum| {
            let sum = i32::from(sum as i16);
            let half = if sum > 0 { count / 2 } else { -(count / 2) };
            clamp(sum.wrapping_add(half).checked_div(count).unwrap_or(0)) as i8
        })
    })
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 {
        return reference::max_pool_2d(window, channels, input, range, output);
    }
    let clamp = |code: i32| code.min(range[1]).max(range[0]);
    quads(window, channels, input, output, clamp(i8::MIN.into()), |taps| {
        let Taps { codes, columns, step, rows, advance } = *taps;
        // SAFETY: as above.
        let largest = unsafe { nervelet_max_4(codes, columns, step, rows, advance) };
        largest.to_le_bytes().map(|code| clamp(code.cast_signed().into()) as i8)
    })
}
