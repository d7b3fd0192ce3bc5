//! Cortex-M55 and M85 with vector instructions: sixteen multiply-accumulates an instruction.
//!
//! | file | idea |
//! |---|---|
//! | `matrix.s` | two channels by four pixels in registers: convolutions |
//! | `dense.s` | eight channels of one pixel, or one: dense layers |
//! | `planes.s` | channels apart, columns of pixels in a row: a depthwise window is one vector |
//! | `lanes.s` | sixteen channels in the lanes of a vector: any depthwise window |
//! | `add.s` | two tensors: sums, of which one has the factor one half, and products |
//! | `pooling.s` | the largest of sixteen channels, means of eight |
//! | `taps.s` | row-major weights: eight channels of any window, products of rows |
//! | `wide.s` | one channel by four pixels of int16: convolutions |
//! | `channels.s` | four channels of one pixel of int16: depthwise convolutions, dense layers |
//! | `attention.s` | two queries at a time: scores, powers of one half, sums of values |
//! | `stream.s` | int16 codes one after the other: normalisation, tables, changes of scale |
//! | `rows.s` | eight int16 inputs, four rows of int8 weights: layers of sequence models |
//! | `copy.s` | copies, constants, ranges |
//!
//! Inputs are multiplied where they lie, without their zero point, which biases have taken in. The Rust beside the
//! assembly walks the images, proves every address with checked slices, and calls it.

#![expect(unsafe_code, reason = "the vector instructions have no safe form on stable Rust")]

mod add;
mod assembly;
mod attention;
mod dense;
mod depthwise;
mod lanes;
mod matrix;
mod pooling;
mod rows;
mod stream;
mod taps;
mod windows;

use super::blocked_attention;
use super::packing::{self, mve::Layout};
use super::reference::{AddParameters, Attention, Broadcast, LayerNorm, MulParameters};
use super::wide::{self, Kernels, Wide};
use super::{Code, Core, OutOfBounds, PackedLayer, Requantization, Result, RowQuads, WideRequantization, Window};
use crate::fixed::Multiplier;

/// A core with vector instructions.
#[derive(Debug, Clone, Copy)]
pub struct Mve;

impl Wide for Mve {
    const KERNELS: Kernels = assembly::WIDE;
}

impl Core for Mve {
    fn dot(input: &[i8], weights: &[i8], input_offset: i32) -> i32 {
        taps::dot(input, weights, input_offset)
    }

    fn depthwise_conv_2d(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        weights: &[i8],
        requantization: &Requantization<'_>,
        output: &mut [i8],
    ) -> Result {
        taps::depthwise_conv_2d(window, channels, input, weights, requantization, output)
    }

    fn conv_2d_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        match own(layer) {
            Layout::RowPairs | Layout::FlatPairs => matrix::conv_2d(window, channels, input, layer, scratch, output)?,
            _ => return Err(OutOfBounds),
        }
        assembly::clamp(output, layer.range);
        Ok(())
    }

    fn conv_2d_pixels_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        match own(layer) {
            Layout::Eights => dense::dense(window, channels, input, layer, scratch, output)?,
            Layout::Rows => dense::rows(input, layer, output)?,
            _ => return Err(OutOfBounds),
        }
        assembly::clamp(output, layer.range);
        Ok(())
    }

    fn fully_connected_packed(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
        match own(layer) {
            Layout::Rows => dense::rows(input, layer, output)?,
            Layout::Eights => dense::pixel(input, layer, scratch, output)?,
            _ => return Err(OutOfBounds),
        }
        assembly::clamp(output, layer.range);
        Ok(())
    }

    fn depthwise_conv_2d_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        _scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        if own(layer) != Layout::Lanes {
            return Err(OutOfBounds);
        }
        lanes::depthwise_conv_2d(window, channels, input, layer, output)?;
        assembly::clamp(output, layer.range);
        Ok(())
    }

    fn depthwise_columns_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        depthwise::depthwise_conv_2d(window, channels, input, layer, scratch, output)?;
        assembly::clamp(output, layer.range);
        Ok(())
    }

    fn attention<C: Code>(attention: &Attention, operands: [&[C]; 3], scratch: &mut [i32], output: &mut [C]) -> Result {
        blocked_attention::attention::<C, attention::Vectors>(attention, operands, scratch, output)
    }

    fn row_product(rows: &RowQuads<'_>, x: &[i16], results: &mut [i32]) -> Result {
        rows::row_product(rows, x, results)
    }

    fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
        add::add(broadcast, parameters, a, b, output)
    }

    fn add_i16(broadcast: &Broadcast, parameters: &AddParameters, a: &[i16], b: &[i16], output: &mut [i16]) -> Result {
        add::add_i16(broadcast, parameters, a, b, output)
    }

    fn layer_norm_i16(norm: &LayerNorm<'_>, x: &[i16], codes: &mut [i16]) {
        stream::layer_norm_i16(norm, x, codes);
    }

    fn lookup_i16(table: &[i16], x: &[i16], codes: &mut [i16]) -> Result {
        stream::lookup_i16(table, x, codes)
    }

    fn narrow(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i16], codes: &mut [i8]) {
        stream::narrow(zero_points, multiplier, range, x, codes);
    }

    fn widen(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i8], codes: &mut [i16]) {
        stream::widen(zero_points, multiplier, range, x, codes);
    }

    fn mul(broadcast: &Broadcast, parameters: &MulParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
        add::mul(broadcast, parameters, a, b, output)
    }

    fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
        pooling::max_pool_2d(window, channels, input, range, output)
    }

    fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
        pooling::average_pool_2d(window, channels, input, range, output)
    }

    fn conv_2d_i16(
        window: &Window,
        channels: [usize; 2],
        groups: usize,
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        wide::conv_2d_i16::<Self>(window, channels, groups, input, weights, requantization, output)
    }

    fn depthwise_conv_2d_i16(
        window: &Window,
        channels: [usize; 2],
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        wide::depthwise_conv_2d_i16::<Self>(window, channels, input, weights, requantization, output)
    }

    fn fully_connected_i16(
        depth: usize,
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        wide::fully_connected_i16::<Self>(depth, input, weights, requantization, output)
    }
}

/// The layout of a layer among those of this core.
fn own(layer: &PackedLayer<'_>) -> Layout {
    let packing::Layout::Mve(layout) = layer.packing.layout;
    layout
}

/// The words of a layer's records, unless their number is another.
#[inline(never)]
fn record_words(layer: &PackedLayer<'_>, depth: usize, channels: usize) -> core::result::Result<usize, OutOfBounds> {
    let layout = layer.packing.layout;
    let words = layout.record_words(depth);
    let sound =
        depth > 0 && layout.holds(channels) && Some(layer.words.len()) == layout.records(channels).checked_mul(words);
    if sound { Ok(words) } else { Err(OutOfBounds) }
}
