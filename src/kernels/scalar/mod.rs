//! Cortex-M3, M0 and M0+: one multiplication at a time, which does the work of two.
//!
//! The Rust here walks the images, proves every address with checked slices, and calls the assembly of the processor,
//! in `armv7m` or `armv6m`:
//!
//! | file | idea |
//! |---|---|
//! | `requantize.s` | from a sum to a code, and the proof that it is the reference's arithmetic |
//! | `join.s` | input codes of two pixels share a word |
//! | `matrix.s` | one channel by four pixels in registers: convolutions |
//! | `dense.s` | two channels that share a word, one pixel: dense layers |
//! | `direct.s` | three channels or one, inputs as they are: dense layers of few inputs or outputs |
//! | `depthwise.s` | one channel by four pixels, any taps |
//! | `add.s` | two tensors: sums, of which one has the factor one half, and products |
//! | `wide.s` | one channel by four pixels of int16: convolutions |
//! | `channels.s` | four channels of one pixel of int16: depthwise convolutions, dense layers |
//! | `pooling.s` | the largest of four channels |
//! | `stream.s` | int16 codes one after the other: normalisation, tables, changes of scale |
//! | `rows.s` | int16 inputs, four rows of int8 weights at a time: layers of sequence models |

#![expect(unsafe_code, reason = "compilers spill what these kernels keep in registers")]

mod add;
mod assembly;
mod convolution;
mod dense;
mod depthwise;
mod direct;
mod pooling;
mod rows;

use super::blocked_attention::{self, Portable};
use super::packing::{self, scalar::Layout};
use super::reference::{AddParameters, Attention, Broadcast, LayerNorm, MulParameters};
use super::wide::{self, Kernels, Wide};
use super::{Code, Core, OutOfBounds, PackedLayer, Result, RowQuads, WideRequantization, Window, stream};
use crate::fixed::Multiplier;

pub(super) use assembly::DOUBLING;

/// The largest input of a change of scale, without its zero point: the kernels' products take 16 bits, or 18 where the
/// mantissa, a power of two above 1, has no lower half.
pub(super) const LARGEST: [i64; 2] = [1 << 15, (1 << 17) - 2];

/// A core without instructions for signal processing.
#[derive(Debug, Clone, Copy)]
pub struct Scalar;

impl Wide for Scalar {
    const KERNELS: Kernels = assembly::WIDE;
}

impl Core for Scalar {
    fn conv_2d_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        let packing::Layout::Scalar(layout) = layer.packing.layout;
        match layout {
            Layout::Channels => convolution::conv_2d(window, channels, input, layer, scratch, output)?,
            Layout::ChannelPairs => dense::conv_2d(window, channels, input, layer, scratch, output)?,
            Layout::Taps | Layout::ChannelTriples | Layout::ChannelSingles => return Err(OutOfBounds),
        }
        clamp(layer.range, output);
        Ok(())
    }

    #[inline(always)]
    fn fully_connected_packed(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
        dense::fully_connected(input, layer, scratch, output)?;
        clamp(layer.range, output);
        Ok(())
    }

    #[inline(always)]
    fn fully_connected_direct_packed(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
        direct::fully_connected(input, layer, output)?;
        clamp(layer.range, output);
        Ok(())
    }

    fn depthwise_conv_2d_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        depthwise::depthwise_conv_2d(window, channels, input, layer, scratch, output)?;
        clamp(layer.range, output);
        Ok(())
    }

    fn attention<C: Code>(attention: &Attention, operands: [&[C]; 3], scratch: &mut [i32], output: &mut [C]) -> Result {
        blocked_attention::attention::<C, Portable>(attention, operands, scratch, output)
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

/// Brings codes into the range of an activation that does not end where codes do.
fn clamp([low, high]: [i32; 2], codes: &mut [i8]) {
    if [low, high] != [-128, 127] {
        codes.iter_mut().for_each(|code| *code = i32::from(*code).min(high).max(low) as i8);
    }
}
