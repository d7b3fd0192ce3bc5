//! Packed layers on any machine: the reference reads through the layout, so that hosts run what devices run.

use super::super::packing::PackedLayer;
use super::super::{OutOfBounds, Result, Window};

/// Calls `visit` with the input offset (in pixels) and the kernel's row and column of every tap inside the image.
#[inline(always)]
fn each_tap(
    window: &Window,
    [row, column]: [usize; 2],
    mut visit: impl FnMut(usize, usize, usize) -> Result,
) -> Result {
    let (row_taps, first_row) = window.taps(0, row);
    let (column_taps, first_column) = window.taps(1, column);
    for (row_step, row_tap) in row_taps.enumerate() {
        let y = first_row.wrapping_add(row_step.wrapping_mul(window.dilation[0]));
        for (column_step, column_tap) in column_taps.clone().enumerate() {
            let x = first_column.wrapping_add(column_step.wrapping_mul(window.dilation[1]));
            visit(y.wrapping_mul(window.input[1]).wrapping_add(x), row_tap, column_tap)?;
        }
    }
    Ok(())
}

/// Int8 convolution with packed weights.
pub fn conv_2d_packed(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    output: &mut [i8],
) -> Result {
    let filter = layer.packing.layout.filter(window.kernel[0], window.kernel[1].wrapping_mul(channels));
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.output[0] {
        for column in 0..window.output[1] {
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, code) in pixel.iter_mut().enumerate() {
                let mut sum = 0_i32;
                each_tap(window, [row, column], |at, row_tap, column_tap| {
                    let at = at.wrapping_mul(channels);
                    let values = input.get(at..at.wrapping_add(channels)).ok_or(OutOfBounds)?;
                    let first = row_tap.wrapping_mul(filter.padded_row).wrapping_add(column_tap.wrapping_mul(channels));
                    for (k, value) in (first..).zip(values) {
                        let weight = layer.weight(channel, outputs, filter.depth, k).ok_or(OutOfBounds)?;
                        let value = i32::from(*value).wrapping_add(layer.input_offset);
                        sum = sum.wrapping_add(value.wrapping_mul(weight));
                    }
                    Ok(())
                })?;
                *code = layer.code(channel, outputs, filter.depth, sum).ok_or(OutOfBounds)?;
            }
        }
    }
    Ok(())
}

/// Int8 depthwise convolution with packed weights; as many outputs as inputs.
pub fn depthwise_conv_2d_packed(
    window: &Window,
    channels: usize,
    input: &[i8],
    layer: &PackedLayer<'_>,
    output: &mut [i8],
) -> Result {
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    for row in 0..window.output[0] {
        for column in 0..window.output[1] {
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, code) in pixel.iter_mut().enumerate() {
                let x = |at: usize| input.get(at.wrapping_mul(channels).wrapping_add(channel)).copied();
                *code = depthwise_code(window, [row, column], [channel, channels], layer, x)?;
            }
        }
    }
    Ok(())
}

/// The code of one of `channels` at an output position; `x` gives its input at a pixel.
pub fn depthwise_code(
    window: &Window,
    position: [usize; 2],
    [channel, channels]: [usize; 2],
    layer: &PackedLayer<'_>,
    x: impl Fn(usize) -> Option<i8>,
) -> core::result::Result<i8, OutOfBounds> {
    let filter = layer.packing.layout.filter(window.kernel[0], window.kernel[1]);
    let mut sum = 0_i32;
    each_tap(window, position, |at, row_tap, column_tap| {
        let k = row_tap.wrapping_mul(filter.padded_row).wrapping_add(column_tap);
        let weight = layer.weight(channel, channels, filter.depth, k).ok_or(OutOfBounds)?;
        let value = i32::from(x(at).ok_or(OutOfBounds)?).wrapping_add(layer.input_offset);
        sum = sum.wrapping_add(value.wrapping_mul(weight));
        Ok(())
    })?;
    layer.code(channel, channels, filter.depth, sum).ok_or(OutOfBounds)
}
