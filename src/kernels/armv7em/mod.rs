//! Cortex-M4, M7 and M33 with DSP: two multiply-accumulates an instruction.
//!
//! | file | idea |
//! |---|---|
//! | `requantize.s` | from a sum to a code in three instructions |
//! | `widen.s` | input codes once become 16-bit factors, in the order of the matrix kernel |
//! | `matrix.s` | two channels by four pixels in registers: convolutions |
//! | `dense.s` | two channels of one row of inputs: dense layers, single pixels |
//! | `wide_dense.s` | up to four channels of one row of inputs, weights of 16 bits: dense layers of few outputs |
//! | `depthwise.s` | four channels of one pixel, any taps |
//! | `columns.s` | depthwise 3 x 3: pairs of rows widened once, four outputs down a column at a time |
//! | `pooling.s` | sums of four channels in two words, the largest in one |
//! | `add.s` | two tensors: sums, of which one has the factor one half, and products |
//! | `wide/` | int16 inputs, row-major int8 weights: sums of 64 bits |
//! | `attention.s` | two queries at a time: scores, powers of one half, probabilities, sums of values |
//! | `stream.s` | int16 codes one after the other: normalisation, tables |
//! | `rows.s` | int16 inputs, four rows of int8 weights at a time: recurrent layers |
//!
//! The Rust beside them walks the images, proves every address with checked slices, and calls the assembly.

#![expect(unsafe_code, reason = "the DSP instructions have no safe form on stable Rust")]

mod add;
mod assembly;
mod attention;
mod blocks;
mod columns;
mod convolution;
mod dense;
mod depthwise;
mod dot;
mod pooling;
mod rows;
mod wide;
mod wide_dense;

use super::blocked_attention;
use super::packing::{self, armv7em::Layout};
use super::reference::{AddParameters, Attention, Broadcast, LayerNorm, MulParameters};
use super::{Code, Core, PackedLayer, Result, RowQuads, WideRequantization, Window, stream};
use crate::fixed::Multiplier;

/// The doubling of what a change of scale multiplies: the double of the product's high word is taken.
pub(super) const DOUBLING: u32 = 1;
/// The largest input of a change of scale, without its zero point, for any factor and for a power of two above 1: its double
/// is 32 bits.
pub(super) const LARGEST: [i64; 2] = [(1 << 30) - 1; 2];

/// An Armv7E-M core.
#[derive(Debug, Clone, Copy)]
pub struct Armv7em;

impl Core for Armv7em {
    #[inline(always)]
    fn dot(input: &[i8], weights: &[i8], input_offset: i32) -> i32 {
        dot::dot(input, weights, input_offset)
    }

    fn conv_2d_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        convolution::conv_2d(window, channels, input, layer, scratch, output)
    }

    fn conv_2d_pixels_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        convolution::conv_2d_pixels(window, channels, input, layer, scratch, output)
    }

    fn conv_2d_plain_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        convolution::conv_2d_plain(window, channels, input, layer, scratch, output)
    }

    fn pointwise_in_place(
        window: &Window,
        channels: [usize; 2],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        codes: &mut [i8],
    ) -> Result {
        convolution::pointwise_in_place(window, channels, layer, scratch, codes)
    }

    fn depthwise_in_place(
        window: &Window,
        channels: [usize; 2],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        codes: &mut [i8],
    ) -> Result {
        columns::depthwise_in_place(window, channels[0], layer, scratch, codes)
    }

    #[inline(always)]
    fn fully_connected_packed(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
        dense::fully_connected(input, layer, scratch, output)
    }

    #[inline(always)]
    fn fully_connected_direct_packed(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
        wide_dense::fully_connected(input, layer, output)
    }

    fn depthwise_conv_2d_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        depthwise::depthwise_conv_2d(window, channels, input, layer, scratch, output)
    }

    fn depthwise_columns_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        columns::depthwise_conv_2d(window, channels, input, layer, scratch, output)
    }

    fn attention<C: Code>(attention: &Attention, operands: [&[C]; 3], scratch: &mut [i32], output: &mut [C]) -> Result {
        blocked_attention::attention::<C, attention::Dsp>(attention, operands, scratch, output)
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

    fn conv_2d_i16(
        window: &Window,
        channels: [usize; 2],
        groups: usize,
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        wide::conv_2d_i16(window, channels, groups, input, weights, requantization, output)
    }

    fn depthwise_conv_2d_i16(
        window: &Window,
        channels: [usize; 2],
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        wide::depthwise_conv_2d_i16(window, channels, input, weights, requantization, output)
    }

    fn fully_connected_i16(
        depth: usize,
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        wide::fully_connected_i16(depth, input, weights, requantization, output)
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
}

/// The layout of a layer among those of this core.
fn own(layer: &PackedLayer<'_>) -> Layout {
    let packing::Layout::Armv7em(layout) = layer.packing.layout;
    layout
}
