//! Cortex-M4, M7 and M33 with DSP: two multiply-accumulates an instruction.
//!
//! | file | idea |
//! |---|---|
//! | `requantize.s` | from a sum to a code in three instructions |
//! | `widen.s` | input codes once become 16-bit factors, in the order of the matrix kernel |
//! | `matrix.s` | two channels by four pixels in registers: convolutions |
//! | `dense.s` | two channels of one pixel: dense layers |
//! | `depthwise.s` | four channels of one pixel, any taps |
//! | `columns.s` | depthwise 3 x 3: pairs of rows widened once, four outputs down a column at a time |
//! | `pooling.s` | sums of four channels in two words |
//! | `add.s` | two tensors, of which one has the factor one half |
//! | `rows.s` | int16 inputs, four rows of int8 weights at a time: recurrent layers |
//!
//! The Rust beside them walks the images, proves every address with checked slices, and calls the assembly.

#![expect(unsafe_code, reason = "the DSP instructions have no safe form on stable Rust")]

mod add;
mod assembly;
mod columns;
mod convolution;
mod depthwise;
mod dot;
mod pooling;
mod rows;

use super::packing::{self, armv7em::Layout};
use super::reference::{AddParameters, Broadcast};
use super::{Core, PackedLayer, Result, RowQuads, Window};

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

    fn depthwise_conv_2d_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        match own(layer) {
            Layout::DepthwiseColumns => columns::depthwise_conv_2d(window, channels, input, layer, scratch, output),
            _ => depthwise::depthwise_conv_2d(window, channels, input, layer, scratch, output),
        }
    }

    fn row_product(rows: &RowQuads<'_>, x: &[i16], results: &mut [i32]) -> Result {
        rows::row_product(rows, x, results)
    }

    fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
        add::add(broadcast, parameters, a, b, output)
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
