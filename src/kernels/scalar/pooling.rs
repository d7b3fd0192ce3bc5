//! Average pooling, four channels at a time.

use super::super::{OutOfBounds, Result, Window, reference};

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    let step = window.dilation[1].wrapping_mul(channels).max(1);
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
            let first = first_row.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
            let reach = columns.len().saturating_sub(1).wrapping_mul(step).wrapping_add(4);
            let mut channel = 0;
            while channel < channels {
                // The last four channels may overlap the ones before.
                let quad = channel.min(channels.wrapping_sub(4));
                let mut sums = [0_i32; 4];
                let mut at = first.wrapping_add(quad);
                for _ in 0..rows.len() {
                    let codes = input.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?;
                    for codes in codes.chunks(step).take(columns.len()) {
                        let codes = codes.first_chunk::<4>().ok_or(OutOfBounds)?;
                        sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum = sum.wrapping_add((*code).into()));
                    }
                    at = at.wrapping_add(row_step);
                }
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
