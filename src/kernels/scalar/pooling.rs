//! Pooling, four channels at a time.

use super::super::{OutOfBounds, Result, Window, reference};

/// The most codes that [`Mean`] is exact for.
const MOST_TAPS: usize = 255;

/// Folds the codes of every pixel's taps inside the image, four channels at a time; `finish` makes codes of what comes out
/// and of the number of taps, and `empty` is the code of pixels without one.
#[inline(always)]
fn quads(
    window: &Window,
    channels: usize,
    input: &[i8],
    output: &mut [i8],
    [start, empty]: [i32; 2],
    fold: impl Fn(i32, i32) -> i32,
    mut finish: impl FnMut(usize, i32) -> i8,
) -> Result {
    let step = window.dilation[1].wrapping_mul(channels).max(1);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let last = channels.checked_sub(4).ok_or(OutOfBounds)?;
    let mut pixels = output.chunks_exact_mut(channels);
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            if rows.is_empty() || columns.is_empty() {
                pixel.fill(empty as i8);
                continue;
            }
            let first = first_row.wrapping_mul(window.input[1]).wrapping_add(first_column).wrapping_mul(channels);
            let reach = columns.len().saturating_sub(1).wrapping_mul(step).wrapping_add(4);
            let taps = rows.len().wrapping_mul(columns.len());
            let mut channel = 0;
            while channel < channels {
                // The last four channels may overlap the ones before.
                let quad = channel.min(last);
                let mut values = [start; 4];
                let mut at = first.wrapping_add(quad);
                for _ in 0..rows.len() {
                    let codes = input.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?;
                    for codes in codes.chunks(step).take(columns.len()) {
                        let codes = codes.first_chunk::<4>().ok_or(OutOfBounds)?;
                        values.iter_mut().zip(codes).for_each(|(value, code)| *value = fold(*value, (*code).into()));
                    }
                    at = at.wrapping_add(row_step);
                }
                for (value, code) in values.into_iter().zip(pixel.iter_mut().skip(quad)) {
                    *code = finish(taps, value);
                }
                channel = quad.wrapping_add(4);
            }
        }
    }
    Ok(())
}

/// A division by a number of codes, as a multiplication.
///
/// A sum with half its number `c` is `n <= 128.5 c`. With `r = ceil(2^24 / c)` the product `n r` fits 32 bits, and
/// `n (r c - 2^24) < 128.5 c^2 < 2^24`: its upper bits are the quotient.
struct Mean {
    taps: usize,
    half: u32,
    reciprocal: u32,
}

impl Mean {
    fn of(taps: usize) -> Self {
        let count = taps.max(1) as u32;
        Self { taps, half: count / 2, reciprocal: (1_u32 << 24).div_ceil(count) }
    }

    /// The mean, rounded with halves away from zero.
    fn apply(&self, sum: i32) -> i32 {
        let magnitude = sum.unsigned_abs().wrapping_add(self.half).wrapping_mul(self.reciprocal) >> 24;
        if sum < 0 { (magnitude as i32).wrapping_neg() } else { magnitude as i32 }
    }
}

/// The rounded mean of the codes inside the image.
pub fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 || window.kernel[0].saturating_mul(window.kernel[1]) > MOST_TAPS {
        return reference::average_pool_2d(window, channels, input, range, output);
    }
    let clamp = |code: i32| code.min(range[1]).max(range[0]) as i8;
    let mut mean = Mean::of(0);
    quads(window, channels, input, output, [0, clamp(0).into()], i32::wrapping_add, |taps, sum| {
        if taps != mean.taps {
            mean = Mean::of(taps);
        }
        clamp(mean.apply(sum))
    })
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 {
        return reference::max_pool_2d(window, channels, input, range, output);
    }
    let clamp = |code: i32| code.min(range[1]).max(range[0]) as i8;
    let least = i8::MIN.into();
    quads(window, channels, input, output, [least, clamp(least).into()], i32::max, |_, largest| clamp(largest))
}
