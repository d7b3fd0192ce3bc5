//! Average pooling, four channels at a time in two words of 16-bit sums.

use super::super::{OutOfBounds, Result, Window, reference};
use super::dot::{sxtab16, sxtab16_odd};

/// The most codes whose sum fits 16 bits, whatever they are.
const MOST_TAPS: usize = 255;

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 || window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    let step = window.dilation[1].wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels);
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let count = (rows.len().wrapping_mul(columns.len()) as i32).max(1);
            let mut channel = 0;
            while channel < channels {
                // The last four channels may overlap the ones before.
                let quad = channel.min(channels.wrapping_sub(4));
                let [mut even, mut odd] = [0, 0];
                for row_step in 0..rows.len() {
                    let y = first_row.wrapping_add(row_step.wrapping_mul(window.dilation[0]));
                    let at = y.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
                    let at = at.wrapping_add(quad);
                    let reach = columns.len().wrapping_sub(1).wrapping_mul(step).wrapping_add(4);
                    let codes = input.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?;
                    for codes in codes.chunks(step.max(4)) {
                        let word = codes.first_chunk::<4>().ok_or(OutOfBounds)?;
                        let word = u32::from_le_bytes(word.map(i8::cast_unsigned));
                        even = sxtab16(even, word);
                        odd = sxtab16_odd(odd, word);
                    }
                }
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
