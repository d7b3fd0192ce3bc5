//! Pooling, four channels at a time: sums in two words of 16-bit sums.

use super::super::{OutOfBounds, Result, Window, reference};
use super::assembly::{MaxPool, nervelet_max_pool};
use super::clamp;

/// The most codes that [`Mean`] is exact for, and whose sum without signs fits 16 bits.
const MOST_TAPS: usize = 255;
/// What makes codes of four channels numbers from 0 to 255, and two of them.
const SIGNS: u32 = 0x8080_8080;
const EVEN: u32 = 0x00FF_00FF;

/// Gives all channels of every pixel's taps inside the image, and their codes, to `pool`; `empty` is the code of pixels
/// without taps.
#[inline(always)]
fn pixels(
    window: &Window,
    channels: usize,
    input: &[i8],
    output: &mut [i8],
    empty: i32,
    mut pool: impl FnMut(&Taps<'_>, &mut [i8]) -> Result,
) -> Result {
    let step = window.dilation[1].wrapping_mul(channels);
    let row_step = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels.max(1));
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
            pool(&Taps { codes, columns: width, rows: height, step, row_step }, pixel)?;
        }
    }
    Ok(())
}

/// The taps of one pixel, at least one.
struct Taps<'a> {
    /// From the first tap's first channel to the last one's last.
    codes: &'a [i8],
    columns: usize,
    rows: usize,
    step: usize,
    row_step: usize,
}

impl Taps<'_> {
    /// The rounded mean of one channel's `count` codes, any number of them.
    fn mean(&self, channel: usize, count: usize) -> core::result::Result<i32, OutOfBounds> {
        let mut sum = 0_i32;
        let mut at = channel;
        for _ in 0..self.rows {
            let row = self.codes.get(at..).ok_or(OutOfBounds)?.iter().step_by(self.step.max(1));
            sum = row.take(self.columns).fold(sum, |sum, code| sum.wrapping_add(i32::from(*code)));
            at = at.wrapping_add(self.row_step);
        }
        let count = count.max(1) as u32;
        let magnitude = (sum.unsigned_abs().wrapping_add(count / 2) / count) as i32;
        Ok(if sum < 0 { magnitude.wrapping_neg() } else { magnitude })
    }
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
    let clamp = |code: i32| code.min(range[1]).max(range[0]) as i8;
    let mut mean = Mean::of(0);
    pixels(window, channels, input, output, clamp(0).into(), |taps, pixel| {
        let count = taps.rows.wrapping_mul(taps.columns);
        if channels < 4 || count > MOST_TAPS {
            for (channel, code) in pixel.iter_mut().enumerate() {
                *code = clamp(taps.mean(channel, count)?);
            }
            return Ok(());
        }
        if count != mean.taps {
            mean = Mean::of(count);
        }
        let step = taps.step.max(1);
        let reach = taps.columns.wrapping_sub(1).wrapping_mul(step).wrapping_add(4);
        let mut channel = 0;
        while channel < channels {
            // The last four channels may overlap the ones before.
            let quad = channel.min(channels.wrapping_sub(4));
            let [mut even, mut odd] = [0_u32; 2];
            let mut at = quad;
            for _ in 0..taps.rows {
                let codes = taps.codes.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?;
                for codes in codes.chunks(step).take(taps.columns) {
                    let codes = codes.first_chunk::<4>().ok_or(OutOfBounds)?;
                    let word = u32::from_le_bytes(bytemuck::cast(*codes)) ^ SIGNS;
                    even = even.wrapping_add(word & EVEN);
                    odd = odd.wrapping_add(word >> 8 & EVEN);
                }
                at = at.wrapping_add(taps.row_step);
            }
            let sums = [even & 0xFFFF, odd & 0xFFFF, even >> 16, odd >> 16];
            for (sum, code) in sums.into_iter().zip(pixel.iter_mut().skip(quad)) {
                *code = clamp(mean.apply((sum as i32).wrapping_sub((count as i32).wrapping_mul(128))));
            }
            channel = quad.wrapping_add(4);
        }
        Ok(())
    })
}

/// The largest of the codes inside the image.
pub fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
    if channels < 4 {
        return reference::max_pool_2d(window, channels, input, range, output);
    }
    pixels(window, channels, input, output, i8::MIN.into(), |taps, pixel| {
        let Taps { codes, columns, rows, step, row_step } = *taps;
        let frame = MaxPool {
            codes: codes.as_ptr(),
            output: pixel.as_mut_ptr(),
            channels,
            columns,
            rows,
            step,
            advance: row_step.wrapping_sub(columns.wrapping_mul(step)),
        };
        // SAFETY: reads all of at least four channels at each of `columns` columns, `step` apart, of `rows` rows, `row_step`
        // apart, both at least 1; `codes` ends with all channels of the last one. Writes all channels of `pixel`.
        unsafe { nervelet_max_pool(&raw const frame) };
        Ok(())
    })?;
    clamp(range, output);
    Ok(())
}
