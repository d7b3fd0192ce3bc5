//! F32 layers. Sums start at zero, run over kernel rows, then columns, then channels, in order, without fused
//! multiply-adds, and the bias comes last: host and every core with an IEEE unit give the same bits.
//!
//! Against a sum in another order the relative error is at most `n * 2^-24` of the sum of magnitudes for `n` terms.

use super::super::{FloatOutput, OutOfBounds, Result, Window};

impl FloatOutput<'_> {
    pub(super) fn finish(&self, channel: usize, sum: f32) -> f32 {
        let sum = sum + self.bias.get(channel).copied().unwrap_or(0.0);
        sum.max(self.range[0]).min(self.range[1])
    }
}

fn dot(sum: f32, input: &[f32], weights: &[f32]) -> f32 {
    input.iter().zip(weights).fold(sum, |sum, (x, w)| sum + x * w)
}

/// F32 convolution, weights `[out][kernel_rows][kernel_columns][in / groups]`.
pub fn conv_2d_f32(
    window: &Window,
    [channels, outputs]: [usize; 2],
    groups: usize,
    input: &[f32],
    weights: &[f32],
    finish: &FloatOutput<'_>,
    output: &mut [f32],
) -> Result {
    let groups = groups.max(1);
    let (depth, outputs_per_group) = (channels / groups, (outputs / groups).max(1));
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, value) in pixel.iter_mut().enumerate() {
                let mut sum = 0.0;
                for (row_step, row_tap) in rows.clone().enumerate() {
                    let y = first_row.wrapping_add(row_step.wrapping_mul(window.dilation[0]));
                    for (column_step, column_tap) in columns.clone().enumerate() {
                        let x = first_column.wrapping_add(column_step.wrapping_mul(window.dilation[1]));
                        let at = y.wrapping_mul(window.input[1]).wrapping_add(x).wrapping_mul(channels);
                        let at = at.wrapping_add(channel / outputs_per_group * depth);
                        let filter = channel.wrapping_mul(window.kernel[0]).wrapping_add(row_tap);
                        let filter = filter.wrapping_mul(window.kernel[1]).wrapping_add(column_tap);
                        let filter = filter.wrapping_mul(depth);
                        let input = input.get(at..at.wrapping_add(depth)).ok_or(OutOfBounds)?;
                        let weights = weights.get(filter..filter.wrapping_add(depth)).ok_or(OutOfBounds)?;
                        sum = dot(sum, input, weights);
                    }
                }
                *value = finish.finish(channel, sum);
            }
        }
    }
    Ok(())
}

/// F32 depthwise convolution, weights `[kernel_rows][kernel_columns][channels * multiplier]`.
pub fn depthwise_conv_2d_f32(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[f32],
    weights: &[f32],
    finish: &FloatOutput<'_>,
    output: &mut [f32],
) -> Result {
    let multiplier = (outputs / channels.max(1)).max(1);
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        let (rows, first_row) = window.taps(0, row);
        for column in 0..window.output[1] {
            let (columns, first_column) = window.taps(1, column);
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, value) in pixel.iter_mut().enumerate() {
                let mut sum = 0.0;
                for (row_step, row_tap) in rows.clone().enumerate() {
                    let y = first_row.wrapping_add(row_step.wrapping_mul(window.dilation[0]));
                    for (column_step, column_tap) in columns.clone().enumerate() {
                        let x = first_column.wrapping_add(column_step.wrapping_mul(window.dilation[1]));
                        let at = y.wrapping_mul(window.input[1]).wrapping_add(x).wrapping_mul(channels);
                        let tap = row_tap.wrapping_mul(window.kernel[1]).wrapping_add(column_tap);
                        let x = input.get(at.wrapping_add(channel / multiplier)).ok_or(OutOfBounds)?;
                        let w = weights.get(tap.wrapping_mul(outputs).wrapping_add(channel)).ok_or(OutOfBounds)?;
                        sum += x * w;
                    }
                }
                *value = finish.finish(channel, sum);
            }
        }
    }
    Ok(())
}

/// F32 dense layer over rows of `depth` inputs, weights `[out][depth]`.
pub fn fully_connected_f32(
    depth: usize,
    input: &[f32],
    weights: &[f32],
    finish: &FloatOutput<'_>,
    output: &mut [f32],
) -> Result {
    let depth = depth.max(1);
    let outputs = (weights.len() / depth).max(1);
    for (row, values) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs)) {
        for ((channel, value), filter) in values.iter_mut().enumerate().zip(weights.chunks_exact(depth)) {
            *value = finish.finish(channel, dot(0.0, row, filter));
        }
    }
    Ok(())
}

/// [`softmax_f32`] over the first values of each row of matrices `[rows, depth]`, as many as `taken` says; the rest is 0.
pub fn masked_softmax_f32(
    [rows, depth]: [usize; 2],
    beta: f32,
    taken: impl Fn(u32) -> usize,
    input: &[f32],
    output: &mut [f32],
) -> Result {
    if depth == 0 || rows == 0 {
        return Err(OutOfBounds);
    }
    let places = (0..rows as u32).cycle();
    for ((row, values), place) in input.chunks_exact(depth).zip(output.chunks_exact_mut(depth)).zip(places) {
        let taken = taken(place).min(depth);
        let (values, rest) = values.split_at_mut_checked(taken).ok_or(OutOfBounds)?;
        rest.fill(0.0);
        if taken > 0 {
            softmax_f32(taken, beta, row.get(..taken).ok_or(OutOfBounds)?, values)?;
        }
    }
    Ok(())
}

/// F32 softmax of each row of `depth` values, `exp(beta * (x - max))` over its sum.
pub fn softmax_f32(depth: usize, beta: f32, input: &[f32], output: &mut [f32]) -> Result {
    if depth == 0 {
        return Err(OutOfBounds);
    }
    for (row, values) in input.chunks_exact(depth).zip(output.chunks_exact_mut(depth)) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (x, value) in row.iter().zip(values.iter_mut()) {
            *value = libm::expf((x - largest) * beta);
            sum += *value;
        }
        for value in values {
            *value /= sum;
        }
    }
    Ok(())
}
