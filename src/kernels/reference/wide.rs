//! Layers on int16 activations with int8 weights: sums of 64 bits, scaled with a mantissa of 16 bits, as TensorFlow
//! Lite scales them. All zero points are 0.

use super::super::{Code, OutOfBounds, Result, WideRequantization, Window};
use crate::fixed::Multiplier;

/// `sum + sum(input * weights)` over pairs.
#[inline(always)]
pub(super) fn dot_wide(sum: i64, input: &[i16], weights: &[i8]) -> i64 {
    let products = input.iter().zip(weights).map(|(x, w)| i64::from(i32::from(*x).wrapping_mul(i32::from(*w))));
    products.fold(sum, i64::wrapping_add)
}

impl WideRequantization<'_> {
    /// The bias of a channel, where the sum starts.
    #[inline(always)]
    pub(crate) fn start(&self, channel: usize) -> core::result::Result<i64, OutOfBounds> {
        if self.bias.is_empty() { Ok(0) } else { self.bias.get(channel).copied().ok_or(OutOfBounds) }
    }

    /// The output code of a channel's finished sum.
    #[inline(always)]
    pub(crate) fn finish(&self, channel: usize, sum: i64) -> core::result::Result<i32, OutOfBounds> {
        let mantissa = *self.mantissas.get(channel).ok_or(OutOfBounds)?;
        let exponent = *self.exponents.get(channel).ok_or(OutOfBounds)?;
        let [low, high] = self.range;
        Ok(Multiplier { mantissa, exponent }.apply_wide(sum).min(high).max(low))
    }
}

/// The taps inside the image for one output position, row by row: the input's pixel and the kernel's tap.
fn taps(window: &Window, row: usize, column: usize) -> impl Iterator<Item = (usize, usize)> {
    let (rows, first_row) = window.taps(0, row);
    let (columns, first_column) = window.taps(1, column);
    let Window { input, kernel, dilation, .. } = *window;
    rows.enumerate().flat_map(move |(row_step, row_tap)| {
        let y = first_row.wrapping_add(row_step.wrapping_mul(dilation[0]));
        columns.clone().enumerate().map(move |(column_step, column_tap)| {
            let x = first_column.wrapping_add(column_step.wrapping_mul(dilation[1]));
            (y.wrapping_mul(input[1]).wrapping_add(x), row_tap.wrapping_mul(kernel[1]).wrapping_add(column_tap))
        })
    })
}

/// Int16 convolution, weights `[out][kernel_rows][kernel_columns][in / groups]`.
pub fn conv_2d_i16(
    window: &Window,
    [channels, outputs]: [usize; 2],
    groups: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let (depth, outputs_per_group) = (channels / groups.max(1), (outputs / groups.max(1)).max(1));
    let filter = window.kernel[0].wrapping_mul(window.kernel[1]);
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        for column in 0..window.output[1] {
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, code) in pixel.iter_mut().enumerate() {
                let group = channel / outputs_per_group * depth;
                let mut sum = requantization.start(channel)?;
                for (at, tap) in taps(window, row, column) {
                    let at = at.wrapping_mul(channels).wrapping_add(group);
                    let weight = channel.wrapping_mul(filter).wrapping_add(tap).wrapping_mul(depth);
                    let input = input.get(at..at.wrapping_add(depth)).ok_or(OutOfBounds)?;
                    sum = dot_wide(sum, input, weights.get(weight..weight.wrapping_add(depth)).ok_or(OutOfBounds)?);
                }
                *code = i16::saturate(requantization.finish(channel, sum)?);
            }
        }
    }
    Ok(())
}

/// Int16 depthwise convolution; output channel `channel * multiplier + j` reads input channel `channel`.
pub fn depthwise_conv_2d_i16(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let multiplier = (outputs / channels.max(1)).max(1);
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        for column in 0..window.output[1] {
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, code) in pixel.iter_mut().enumerate() {
                let mut sum = requantization.start(channel)?;
                for (at, tap) in taps(window, row, column) {
                    let at = at.wrapping_mul(channels).wrapping_add(channel / multiplier);
                    let x = input.get(at).ok_or(OutOfBounds)?;
                    let w = weights.get(tap.wrapping_mul(outputs).wrapping_add(channel)).ok_or(OutOfBounds)?;
                    sum = dot_wide(sum, &[*x], &[*w]);
                }
                *code = i16::saturate(requantization.finish(channel, sum)?);
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
            let sum = dot_wide(requantization.start(channel)?, row, filter);
            *code = i16::saturate(requantization.finish(channel, sum)?);
        }
    }
    Ok(())
}
