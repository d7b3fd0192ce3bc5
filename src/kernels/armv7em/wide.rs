//! Layers on int16 activations with row-major int8 weights: a row of weights over four pixels or over one, in sums of
//! 32 bits that are added up in 64.

use super::super::{Code, OutOfBounds, Result, WideRequantization, Window, reference};
use super::assembly::{Wide, WideTaps, nervelet_wide_1, nervelet_wide_4, nervelet_wide_taps};
use crate::fixed::{Multiplier, WideFactor};

/// The most products of a sum of 32 bits: a product is at most 2^22, and 512 of them reach 2^31.
const MOST: usize = 511;

/// The sum of products of one row, which are at most [`MOST`].
#[inline(always)]
fn short_dot(input: &[i16], weights: &[i8]) -> i32 {
    let count = input.len().min(weights.len()).min(MOST);
    // SAFETY: reads `count` elements of both, in words, which may be unaligned on these cores.
    unsafe { nervelet_wide_1(weights.as_ptr(), input.as_ptr(), count / 4, count % 4) }
}

/// The sum of products of one row.
#[inline(always)]
fn dot(input: &[i16], weights: &[i8]) -> i64 {
    if weights.len() <= MOST {
        return short_dot(input, weights).into();
    }
    let parts = input.chunks(MOST).zip(weights.chunks(MOST));
    parts.fold(0_i64, |sum, (input, weights)| sum.wrapping_add(short_dot(input, weights).into()))
}

/// How the sums of an output channel become codes.
struct Finish {
    bias: i64,
    factor: WideFactor,
    range: [i32; 2],
}

impl Finish {
    #[inline(always)]
    fn of(requantization: &WideRequantization<'_>, channel: usize) -> core::result::Result<Self, OutOfBounds> {
        let mantissa = *requantization.mantissas.get(channel).ok_or(OutOfBounds)?;
        let exponent = *requantization.exponents.get(channel).ok_or(OutOfBounds)?;
        let factor = Multiplier { mantissa, exponent }.wide();
        Ok(Self { bias: requantization.start(channel)?, factor, range: requantization.range })
    }

    #[inline(always)]
    fn code(&self, sum: i64) -> i16 {
        let [low, high] = self.range;
        i16::saturate(self.factor.apply(sum.wrapping_add(self.bias)).min(high).max(low))
    }
}

/// Four neighbouring windows that lie in the image.
struct Block {
    /// The first tap of each.
    pixels: [*const i16; 4],
    /// Rows of each, elements of a row, and elements from one row to the next.
    rows: usize,
    row: usize,
    step: usize,
}

impl Block {
    /// The sums of one output channel.
    ///
    /// # Safety
    /// `rows` rows of `row` elements, at most [`MOST`], can be read from every pixel on.
    #[inline(always)]
    unsafe fn sums(&self, filter: &[i8]) -> [i64; 4] {
        let Self { pixels, rows, row, step } = *self;
        let (mut whole, mut part) = ([0_i64; 4], [0_i32; 4]);
        let mut count = 0_usize;
        for (number, weights) in filter.chunks_exact(row).take(rows).enumerate() {
            if count.wrapping_add(row) > MOST {
                whole = core::array::from_fn(|pixel| whole[pixel].wrapping_add(part[pixel].into()));
                part = [0; 4];
                count = 0;
            }
            count = count.wrapping_add(row);
            let at = number.wrapping_mul(step);
            let frame = Wide {
                units: row / 4,
                rest: row % 4,
                sums: part.as_mut_ptr(),
                weights: weights.as_ptr(),
                pixels: pixels.map(|pixel| pixel.wrapping_add(at)),
            };
            // SAFETY: reads `row` weights and as many elements of a row of each pixel, which the caller vouches for; adds
            // to the four sums, of at most `MOST` products each.
            unsafe { nervelet_wide_4(&raw const frame) };
        }
        core::array::from_fn(|pixel| whole[pixel].wrapping_add(part[pixel].into()))
    }
}

/// Int16 convolution, weights `[out][kernel_rows][kernel_columns][in]`.
pub fn conv_2d_i16(
    window: &Window,
    [channels, outputs]: [usize; 2],
    groups: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    if groups != 1 || window.dilation[1] != 1 || channels == 0 || outputs == 0 {
        return reference::conv_2d_i16(window, [channels, outputs], groups, input, weights, requantization, output);
    }
    let window = &super::convolution::one_row(window);
    let row = window.kernel[1].wrapping_mul(channels);
    let filter = window.kernel[0].wrapping_mul(row).max(1);
    let columns = window.output[1];
    // The output columns whose windows lie in the image.
    let inside = |x: &usize| window.taps(1, *x).0 == (0..window.kernel[1]);
    let first = (0..columns).find(inside).unwrap_or(columns);
    let end = (0..columns).rfind(inside).map_or(first, |last| last.wrapping_add(1));
    let image_row = window.input[1].wrapping_mul(channels);
    for (y, codes) in output.chunks_exact_mut(columns.wrapping_mul(outputs).max(1)).enumerate() {
        let (row_taps, top) = window.taps(0, y);
        let start = |step: usize| top.wrapping_add(step.wrapping_mul(window.dilation[0])).wrapping_mul(image_row);
        let mut x = 0;
        while x < columns {
            if (first..end).contains(&x) && end.wrapping_sub(first) >= 4 && row <= MOST && !row_taps.is_empty() {
                // The last block overlaps the one before.
                x = x.min(end.wrapping_sub(4));
                let lefts = [0, 1, 2, 3].map(|pixel| window.taps(1, x.wrapping_add(pixel)).1.wrapping_mul(channels));
                let reach = start(row_taps.len().wrapping_sub(1)).wrapping_add(lefts[3]).wrapping_add(row);
                let from = start(0).wrapping_add(lefts[0]);
                let values = input.get(from..reach).ok_or(OutOfBounds)?.as_ptr();
                let block = Block {
                    pixels: lefts.map(|left| values.wrapping_add(left.wrapping_sub(lefts[0]))),
                    rows: row_taps.len(),
                    row,
                    step: window.dilation[0].wrapping_mul(image_row),
                };
                let codes = codes.get_mut(x.wrapping_mul(outputs)..).ok_or(OutOfBounds)?;
                let codes = codes.get_mut(..outputs.wrapping_mul(4)).ok_or(OutOfBounds)?;
                for (channel, filter) in weights.chunks_exact(filter).take(outputs).enumerate() {
                    let finish = Finish::of(requantization, channel)?;
                    let filter = filter.get(row_taps.start.wrapping_mul(row)..).ok_or(OutOfBounds)?;
                    // SAFETY: the last row of the last window ends with `values`.
                    let sums = unsafe { block.sums(filter) };
                    for (code, sum) in codes.iter_mut().skip(channel).step_by(outputs).zip(sums) {
                        *code = finish.code(sum);
                    }
                }
                x = x.wrapping_add(4);
            } else {
                let (column_taps, left) = window.taps(1, x);
                let part = column_taps.start.wrapping_mul(channels)..column_taps.end.wrapping_mul(channels);
                let at = x.wrapping_mul(outputs);
                let pixel = codes.get_mut(at..at.wrapping_add(outputs)).ok_or(OutOfBounds)?;
                for ((channel, code), filter) in pixel.iter_mut().enumerate().zip(weights.chunks_exact(filter)) {
                    let finish = Finish::of(requantization, channel)?;
                    let mut sum = 0_i64;
                    for (step, weights) in
                        filter.chunks_exact(row).skip(row_taps.start).take(row_taps.len()).enumerate()
                    {
                        let at = start(step).wrapping_add(left.wrapping_mul(channels));
                        let values = input.get(at..).and_then(|values| values.get(..part.len()));
                        let values = if part.is_empty() { Some(&[][..]) } else { values }.ok_or(OutOfBounds)?;
                        sum = sum.wrapping_add(dot(values, weights.get(part.clone()).ok_or(OutOfBounds)?));
                    }
                    *code = finish.code(sum);
                }
                x = x.wrapping_add(1);
            }
        }
    }
    Ok(())
}

/// Int16 depthwise convolution with as many outputs as inputs, four channels at a time.
pub fn depthwise_conv_2d_i16(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let taps = window.kernel[0].saturating_mul(window.kernel[1]);
    if channels != outputs || channels < 4 || taps > MOST {
        return reference::depthwise_conv_2d_i16(window, [channels, outputs], input, weights, requantization, output);
    }
    let input_step = window.dilation[1].wrapping_mul(channels);
    let input_row = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels);
    for y in 0..window.output[0] {
        let (row_taps, top) = window.taps(0, y);
        for x in 0..window.output[1] {
            let (column_taps, left) = window.taps(1, x);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            if row_taps.is_empty() || column_taps.is_empty() {
                for (channel, code) in pixel.iter_mut().enumerate() {
                    *code = Finish::of(requantization, channel)?.code(0);
                }
                continue;
            }
            // From the first tap to the last one's last channel, in inputs and weights.
            let at = top.wrapping_mul(window.input[1]).wrapping_add(left).wrapping_mul(channels);
            let reach = row_taps.len().wrapping_sub(1).wrapping_mul(input_row);
            let reach = reach.wrapping_add(column_taps.len().wrapping_sub(1).wrapping_mul(input_step));
            let values = input.get(at..at.wrapping_add(reach).wrapping_add(channels)).ok_or(OutOfBounds)?;
            let tap = row_taps.start.wrapping_mul(window.kernel[1]).wrapping_add(column_taps.start);
            let last = row_taps.end.wrapping_sub(1).wrapping_mul(window.kernel[1]).wrapping_add(column_taps.end);
            let factors = tap.wrapping_mul(channels)..last.wrapping_mul(channels);
            let factors = weights.get(factors).ok_or(OutOfBounds)?;
            let mut channel = 0;
            while channel < channels {
                // The last four channels may overlap the ones before.
                let quad = channel.min(channels.wrapping_sub(4));
                let mut sums = [0_i32; 4];
                let frame = WideTaps {
                    columns: column_taps.len(),
                    input_advance: input_row.wrapping_sub(column_taps.len().wrapping_mul(input_step)).wrapping_mul(2),
                    weight_advance: window.kernel[1].wrapping_sub(column_taps.len()).wrapping_mul(channels),
                    sums: sums.as_mut_ptr(),
                    inputs: values.as_ptr().wrapping_add(quad),
                    weights: factors.as_ptr().wrapping_add(quad),
                    rows: row_taps.len(),
                    input_step: input_step.wrapping_mul(2),
                    weight_step: channels,
                };
                // SAFETY: reads four inputs and four weights from `quad <= channels - 4` on at each tap, the last of
                // which end with `values` and `factors`; there is at least one tap. Writes four sums.
                unsafe { nervelet_wide_taps(&raw const frame) };
                for ((channel, sum), code) in (quad..).zip(sums).zip(pixel.iter_mut().skip(quad)) {
                    *code = Finish::of(requantization, channel)?.code(sum.into());
                }
                channel = quad.wrapping_add(4);
            }
        }
    }
    Ok(())
}

/// Int16 dense layer over rows of `depth` inputs, weights `[out][depth]`.
pub fn fully_connected_i16(
    depth: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let depth = depth.max(1);
    let outputs = (weights.len() / depth).max(1);
    for (row, codes) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs)) {
        for ((channel, code), filter) in codes.iter_mut().enumerate().zip(weights.chunks_exact(depth)) {
            *code = Finish::of(requantization, channel)?.code(dot(row, filter));
        }
    }
    Ok(())
}
