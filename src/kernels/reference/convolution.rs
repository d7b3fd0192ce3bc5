//! Int8 convolution, depthwise convolution and dense layer (oracle semantics: TensorFlow Lite, double rounding).

use super::super::{OutOfBounds, Requantization, Result, Window};
use crate::fixed::Multiplier;

/// `sum((input + input_offset) * weights)` in wrapping 32-bit arithmetic.
#[inline(always)]
pub fn dot(input: &[i8], weights: &[i8], input_offset: i32) -> i32 {
    input.iter().zip(weights).fold(0_i32, |sum, (x, w)| {
        sum.wrapping_add(i32::from(*x).wrapping_add(input_offset).wrapping_mul(i32::from(*w)))
    })
}

impl Requantization<'_> {
    /// The bias of a channel, where the sum starts.
    #[inline(always)]
    pub(crate) fn start(&self, channel: usize) -> core::result::Result<i32, OutOfBounds> {
        self.bias.get(channel).copied().ok_or(OutOfBounds)
    }

    /// The output code of a channel's finished sum.
    #[inline(always)]
    pub(crate) fn finish(&self, channel: usize, sum: i32) -> core::result::Result<i8, OutOfBounds> {
        let mantissa = *self.mantissas.get(channel).ok_or(OutOfBounds)?;
        let exponent = *self.exponents.get(channel).ok_or(OutOfBounds)?;
        let scaled = Multiplier { mantissa, exponent }.apply(sum).wrapping_add(self.output_zero_point);
        let [low, high] = self.range;
        Ok(scaled.min(high).max(low) as i8)
    }
}

/// Int8 convolution; `dot` is the core's dot product. Taps outside the image add nothing.
#[allow(clippy::too_many_arguments, reason = "a kernel's operands, each of another kind")]
#[inline(always)]
pub fn conv_2d(
    window: &Window,
    [channels, outputs]: [usize; 2],
    groups: usize,
    input: &[i8],
    weights: &[i8],
    requantization: &Requantization<'_>,
    output: &mut [i8],
    dot: impl Fn(&[i8], &[i8], i32) -> i32,
) -> Result {
    let groups = groups.max(1);
    let (depth, outputs_per_group) = (channels / groups, (outputs / groups).max(1));
    let [kernel_rows, kernel_columns] = window.kernel;
    let filter_row = kernel_columns.wrapping_mul(depth);
    // Neighbouring taps of one row are neighbours in memory: one dot product takes them all.
    let whole_rows = window.dilation[1] == 1 && groups == 1;
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        let (row_taps, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (column_taps, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, code) in pixel.iter_mut().enumerate() {
                let filter = channel.wrapping_mul(kernel_rows.wrapping_mul(filter_row));
                let group_offset = channel / outputs_per_group * depth;
                let mut sum = requantization.start(channel)?;
                for (step, tap) in row_taps.clone().enumerate() {
                    let y = first_row.wrapping_add(step.wrapping_mul(window.dilation[0]));
                    let image_row = y.wrapping_mul(window.input[1]);
                    let filter_at = filter.wrapping_add(tap.wrapping_mul(filter_row));
                    let mut add = |x: usize, tap: usize, length: usize| {
                        let at = image_row.wrapping_add(x).wrapping_mul(channels).wrapping_add(group_offset);
                        let filter_at = filter_at.wrapping_add(tap.wrapping_mul(depth));
                        let input = input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
                        let weights = weights.get(filter_at..filter_at.wrapping_add(length)).ok_or(OutOfBounds)?;
                        sum = sum.wrapping_add(dot(input, weights, requantization.input_offset));
                        Ok(())
                    };
                    if whole_rows {
                        add(first_column, column_taps.start, column_taps.len().wrapping_mul(depth))?;
                    } else {
                        for (step, tap) in column_taps.clone().enumerate() {
                            add(first_column.wrapping_add(step.wrapping_mul(window.dilation[1])), tap, depth)?;
                        }
                    }
                }
                *code = requantization.finish(channel, sum)?;
            }
        }
    }
    Ok(())
}

/// Int8 depthwise convolution; output channel `channel * multiplier + j` reads input channel `channel`.
pub fn depthwise_conv_2d(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    weights: &[i8],
    requantization: &Requantization<'_>,
    output: &mut [i8],
) -> Result {
    let multiplier = (outputs / channels.max(1)).max(1);
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        let (row_taps, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (column_taps, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, code) in pixel.iter_mut().enumerate() {
                let mut sum = requantization.start(channel)?;
                for (row_step, row_tap) in row_taps.clone().enumerate() {
                    let y = first_row.wrapping_add(row_step.wrapping_mul(window.dilation[0]));
                    for (column_step, column_tap) in column_taps.clone().enumerate() {
                        let x = first_column.wrapping_add(column_step.wrapping_mul(window.dilation[1]));
                        let at = y.wrapping_mul(window.input[1]).wrapping_add(x).wrapping_mul(channels);
                        let tap = row_tap.wrapping_mul(window.kernel[1]).wrapping_add(column_tap);
                        let code = input.get(at.wrapping_add(channel / multiplier)).ok_or(OutOfBounds)?;
                        let weight = weights.get(tap.wrapping_mul(outputs).wrapping_add(channel)).ok_or(OutOfBounds)?;
                        let value = i32::from(*code).wrapping_add(requantization.input_offset);
                        sum = sum.wrapping_add(value.wrapping_mul(i32::from(*weight)));
                    }
                }
                *code = requantization.finish(channel, sum)?;
            }
        }
    }
    Ok(())
}

/// Int8 dense layer: each row of `depth` inputs against every row of weights; `dot` is the core's dot product.
#[inline(always)]
pub fn fully_connected(
    depth: usize,
    input: &[i8],
    weights: &[i8],
    requantization: &Requantization<'_>,
    output: &mut [i8],
    dot: impl Fn(&[i8], &[i8], i32) -> i32,
) -> Result {
    let depth = depth.max(1);
    let outputs = (weights.len() / depth).max(1);
    for (row, codes) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs)) {
        for ((channel, code), filter) in codes.iter_mut().enumerate().zip(weights.chunks_exact(depth)) {
            let sum = requantization.start(channel)?.wrapping_add(dot(row, filter, requantization.input_offset));
            *code = requantization.finish(channel, sum)?;
        }
    }
    Ok(())
}
