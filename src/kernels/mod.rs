//! Pure functions on slices: the arithmetic of the operators, for each core.
//!
//! [`Core`] is the seam. Every method has the reference kernel as its default, so a core overrides only what it does
//! better; an override returns the same bits. Operators call [`Active`], the core this build is for; tests compare it
//! with [`Reference`]. Sums wrap at 32 bits, as the cores' own additions do.
//!
//! A kernel checks its slices as it walks them: where the geometry reaches outside, it returns [`OutOfBounds`] and
//! what it wrote is unspecified. For a verified model this never happens.

// The only floor with `unsafe`: modules that need it opt in one by one.

#[cfg(nervelet_armv7em)]
pub mod armv7em;
pub mod blocked_attention;
mod code;
#[cfg(any(nervelet_armv7em, nervelet_armv7m, nervelet_armv6m))]
mod image;
#[cfg(nervelet_mve)]
pub mod mve;
pub mod packing;
pub mod parts;
pub mod reference;
pub mod rows;
#[cfg(any(nervelet_armv7m, nervelet_armv6m))]
pub mod scalar;
pub mod scaled_sum;
pub mod scaling;
#[cfg(any(nervelet_armv7em, nervelet_armv7m, nervelet_armv6m))]
mod stream;
#[cfg(any(nervelet_armv7m, nervelet_armv6m, nervelet_mve))]
pub mod wide;

pub use code::Code;
pub use packing::PackedLayer;
pub use rows::RowQuads;

use crate::fixed::Multiplier;

/// The geometry asks for elements that the slices don't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutOfBounds;

/// What a kernel returns.
pub type Result = core::result::Result<(), OutOfBounds>;

/// A sliding window over an NHWC image of batch 1; pairs are `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Extent of the input image.
    pub input: [usize; 2],
    /// Extent of the output image.
    pub output: [usize; 2],
    /// Extent of the kernel.
    pub kernel: [usize; 2],
    /// Input steps between two outputs.
    pub stride: [usize; 2],
    /// Input steps between two taps.
    pub dilation: [usize; 2],
    /// Padding above and to the left; what is below and to the right follows from the output's extent.
    pub padding: [usize; 2],
}

impl Window {
    /// A window of one tap over an image of one pixel.
    pub const fn pixel() -> Self {
        let one = [1; 2];
        Self { input: one, output: one, kernel: one, stride: one, dilation: one, padding: [0; 2] }
    }

    /// The extent of the image with the padding that windows reach; saturates.
    pub const fn padded_input(&self) -> [usize; 2] {
        let Self { output, kernel, stride, dilation, .. } = self;
        let rows = output[0].saturating_sub(1).saturating_mul(stride[0]);
        let columns = output[1].saturating_sub(1).saturating_mul(stride[1]);
        [
            rows.saturating_add(kernel[0].saturating_sub(1).saturating_mul(dilation[0])).saturating_add(1),
            columns.saturating_add(kernel[1].saturating_sub(1).saturating_mul(dilation[1])).saturating_add(1),
        ]
    }

    /// The taps of one axis that fall into the image for output `position`: the range of taps, and the input
    /// coordinate of the first of them.
    #[inline(never)]
    pub fn taps(&self, axis: usize, position: usize) -> (core::ops::Range<usize>, usize) {
        let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let (input, kernel, dilation) = (pick(&self.input), pick(&self.kernel), pick(&self.dilation).max(1));
        let origin = position.wrapping_mul(pick(&self.stride));
        let padding = pick(&self.padding);
        // Most windows lie in the image: no divisions. Small extents have a product that fits.
        if origin >= padding && (1..1 << 15).contains(&kernel) && dilation < 1 << 15 {
            let start = origin.wrapping_sub(padding);
            if start.saturating_add(kernel.wrapping_sub(1).wrapping_mul(dilation)) < input {
                return (0..kernel, start);
            }
        }
        let first = padding.saturating_sub(origin).div_ceil(dilation).min(kernel);
        let room = input.wrapping_add(padding).saturating_sub(origin);
        let end = room.div_ceil(dilation).min(kernel).max(first);
        (first..end, origin.wrapping_add(first.wrapping_mul(dilation)).saturating_sub(padding))
    }
}

/// How int32 sums become int8 codes: one multiplier for each output channel.
#[derive(Debug, Clone, Copy)]
pub struct Requantization<'a> {
    /// Added to every sum.
    pub bias: &'a [i32],
    /// Mantissas, see [`crate::fixed::Multiplier`].
    pub mantissas: &'a [i32],
    /// Exponents that belong to the mantissas.
    pub exponents: &'a [i8],
    /// Added to every input code: the negated zero point of the input.
    pub input_offset: i32,
    /// The zero point of the output.
    pub output_zero_point: i32,
    /// The range of the fused activation, in output codes.
    pub range: [i32; 2],
}

/// How int64 sums become int16 codes: one multiplier for each output channel; all zero points are 0.
#[derive(Debug, Clone, Copy)]
pub struct WideRequantization<'a> {
    /// Added to every sum; empty for none.
    pub bias: &'a [i64],
    /// Mantissas, see [`crate::fixed::Multiplier`].
    pub mantissas: &'a [i32],
    /// Exponents that belong to the mantissas.
    pub exponents: &'a [i8],
    /// The range of the fused activation, in output codes.
    pub range: [i32; 2],
}

/// How f32 sums become outputs.
#[derive(Debug, Clone, Copy)]
pub struct FloatOutput<'a> {
    /// Added to every sum; empty for none.
    pub bias: &'a [f32],
    /// The range of the fused activation.
    pub range: [f32; 2],
}

/// A processor core: the kernels it runs.
pub trait Core {
    /// `sum((input + input_offset) * weights)` over pairs; surplus elements of the longer slice are left out.
    fn dot(input: &[i8], weights: &[i8], input_offset: i32) -> i32 {
        reference::dot(input, weights, input_offset)
    }

    /// Int8 convolution, weights `[out][kernel_rows][kernel_columns][in / groups]`.
    fn conv_2d(
        window: &Window,
        channels: [usize; 2],
        groups: usize,
        input: &[i8],
        weights: &[i8],
        requantization: &Requantization<'_>,
        output: &mut [i8],
    ) -> Result {
        reference::conv_2d(window, channels, groups, input, weights, requantization, output, Self::dot)
    }

    /// Int8 depthwise convolution, weights `[kernel_rows][kernel_columns][channels * multiplier]`.
    fn depthwise_conv_2d(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        weights: &[i8],
        requantization: &Requantization<'_>,
        output: &mut [i8],
    ) -> Result {
        reference::depthwise_conv_2d(window, channels, input, weights, requantization, output)
    }

    /// Int8 dense layer over rows of `depth` inputs, weights `[out][depth]`.
    fn fully_connected(
        depth: usize,
        input: &[i8],
        weights: &[i8],
        requantization: &Requantization<'_>,
        output: &mut [i8],
    ) -> Result {
        reference::fully_connected(depth, input, weights, requantization, output, Self::dot)
    }

    /// Int8 convolution with packed weights; a dense layer of many rows is one over an image of one row.
    ///
    /// `scratch` has at least [`scratch_words`](packing::Layout::scratch_words); more makes it faster.
    fn conv_2d_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        _scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        reference::conv_2d_packed(window, channels, input, layer, output)
    }

    /// The same for layouts of [`packing::Form::Pixels`].
    fn conv_2d_pixels_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        Self::conv_2d_packed(window, channels, input, layer, scratch, output)
    }

    /// The same for layouts of [`packing::Form::PlainConvolution`].
    fn conv_2d_plain_packed(
        window: &Window,
        channels: [usize; 2],
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        Self::conv_2d_packed(window, channels, input, layer, scratch, output)
    }

    /// A convolution of single pixels whose codes take the place of its inputs at the start of `codes`, which holds the more
    /// of them; `scratch` has at least [`in_place_words`](packing::Layout::in_place_words).
    fn pointwise_in_place(
        window: &Window,
        channels: [usize; 2],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        codes: &mut [i8],
    ) -> Result {
        reference::pointwise_in_place(window, channels, layer, scratch, codes)
    }

    /// A depthwise convolution whose codes take the place of as many inputs; `scratch` as above.
    fn depthwise_in_place(
        window: &Window,
        channels: [usize; 2],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        codes: &mut [i8],
    ) -> Result {
        reference::depthwise_in_place(window, channels[0], layer, scratch, codes)
    }

    /// One row of an int8 dense layer with packed weights; `scratch` is that of a window of one pixel.
    fn fully_connected_packed(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
        let channels = [input.len(), output.len()];
        Self::conv_2d_packed(&Window::pixel(), channels, input, layer, scratch, output)
    }

    /// The same for layouts of [`packing::Form::DirectDense`], which need no scratch memory.
    fn fully_connected_direct_packed(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
        reference::conv_2d_packed(&Window::pixel(), [input.len(), output.len()], input, layer, output)
    }

    /// Int8 depthwise convolution with packed weights and as many outputs as inputs; `scratch` as above.
    fn depthwise_conv_2d_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        _scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        reference::depthwise_conv_2d_packed(window, channels, input, layer, output)
    }

    /// The same for layouts of [`packing::Form::DepthwiseColumns`].
    fn depthwise_columns_packed(
        window: &Window,
        channels: usize,
        input: &[i8],
        layer: &PackedLayer<'_>,
        scratch: &mut [u32],
        output: &mut [i8],
    ) -> Result {
        Self::depthwise_conv_2d_packed(window, channels, input, layer, scratch, output)
    }

    /// Products of rows of int8 weights with int16 inputs, see [`rows`].
    fn row_product(rows: &RowQuads<'_>, x: &[i16], results: &mut [i32]) -> Result {
        reference::row_product(rows, x, results)
    }

    /// Scaled dot-product attention of codes; `scratch` has a word for each key, and more makes it faster: as many as
    /// [`blocked_attention::scratch_words`].
    fn attention<C: Code>(
        attention: &reference::Attention,
        operands: [&[C]; 3],
        scratch: &mut [i32],
        output: &mut [C],
    ) -> Result {
        reference::attention(attention, operands, scratch, output)
    }

    /// The normalisation of one row of int16 codes.
    fn layer_norm_i16(norm: &reference::LayerNorm<'_>, x: &[i16], codes: &mut [i16]) {
        reference::layer_norm_i16(norm, x, codes);
    }

    /// A function of int16 codes as a table of 513.
    fn lookup_i16(table: &[i16], x: &[i16], codes: &mut [i16]) -> Result {
        for (x, code) in x.iter().zip(codes) {
            *code = reference::lookup_i16(table, *x)? as i16;
        }
        Ok(())
    }

    /// Codes of int16 as codes of int8 with another scale, in a range.
    fn narrow(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i16], codes: &mut [i8]) {
        reference::requantize(zero_points, multiplier, range, x, i32::from, codes);
    }

    /// Codes of int8 as codes of int16 with another scale, in a range.
    fn widen(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i8], codes: &mut [i16]) {
        reference::requantize(zero_points, multiplier, range, x, i32::from, codes);
    }

    /// The sum of two tensors of int16 codes.
    fn add_i16(
        broadcast: &reference::Broadcast,
        parameters: &reference::AddParameters,
        a: &[i16],
        b: &[i16],
        output: &mut [i16],
    ) -> Result {
        reference::add(broadcast, parameters, a, b, output)
    }

    /// The sum of two tensors of int8 codes.
    fn add(
        broadcast: &reference::Broadcast,
        parameters: &reference::AddParameters,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> Result {
        reference::add(broadcast, parameters, a, b, output)
    }

    /// Int16 convolution, weights `[out][kernel_rows][kernel_columns][in / groups]`.
    fn conv_2d_i16(
        window: &Window,
        channels: [usize; 2],
        groups: usize,
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        reference::conv_2d_i16(window, channels, groups, input, weights, requantization, output)
    }

    /// Int16 depthwise convolution, weights `[kernel_rows][kernel_columns][channels * multiplier]`.
    fn depthwise_conv_2d_i16(
        window: &Window,
        channels: [usize; 2],
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        reference::depthwise_conv_2d_i16(window, channels, input, weights, requantization, output)
    }

    /// Int16 dense layer over rows of `depth` inputs, weights `[out][depth]`.
    fn fully_connected_i16(
        depth: usize,
        input: &[i16],
        weights: &[i8],
        requantization: &WideRequantization<'_>,
        output: &mut [i16],
    ) -> Result {
        reference::fully_connected_i16(depth, input, weights, requantization, output)
    }

    /// The product of two tensors of int8 codes.
    fn mul(
        broadcast: &reference::Broadcast,
        parameters: &reference::MulParameters,
        a: &[i8],
        b: &[i8],
        output: &mut [i8],
    ) -> Result {
        reference::mul(broadcast, parameters, a, b, output)
    }

    /// The largest of the int8 codes inside the image.
    fn max_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
        reference::max_pool_2d(window, channels, input, range, output)
    }

    /// The rounded mean of the int8 codes inside the image.
    fn average_pool_2d(window: &Window, channels: usize, input: &[i8], range: [i32; 2], output: &mut [i8]) -> Result {
        reference::average_pool_2d(window, channels, input, range, output)
    }
}

/// Any core: the reference kernels, on which the others are measured.
#[derive(Debug, Clone, Copy)]
pub struct Reference;

impl Core for Reference {}

/// The core that this build is for.
#[cfg(nervelet_armv7em)]
pub type Active = armv7em::Armv7em;

/// The core that this build is for.
#[cfg(any(nervelet_armv7m, nervelet_armv6m))]
pub type Active = scalar::Scalar;

/// The core that this build is for.
#[cfg(nervelet_mve)]
pub type Active = mve::Mve;

/// The core that this build is for.
#[cfg(not(any(nervelet_armv7em, nervelet_armv7m, nervelet_armv6m, nervelet_mve)))]
pub type Active = Reference;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_equal_the_definition() {
        for (input, kernel, stride, dilation, padding) in
            [(5, 3, 1, 1, 1), (5, 3, 2, 2, 3), (1, 7, 3, 1, 6), (4, 2, 2, 3, 0), (6, 5, 1, 2, 4), (2, 9, 4, 1, 4)]
        {
            let window = Window {
                input: [input; 2],
                output: [1; 2],
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [dilation; 2],
                padding: [padding; 2],
            };
            for position in 0..4 {
                let inside = |tap: &usize| {
                    let at = position * stride + tap * dilation;
                    at >= padding && at - padding < input
                };
                let expected: std::vec::Vec<usize> = (0..kernel).filter(inside).collect();
                let (range, start) = window.taps(0, position);
                assert_eq!(range.clone().collect::<std::vec::Vec<_>>(), expected);
                if let Some(first) = expected.first() {
                    assert_eq!(start, position * stride + first * dilation - padding);
                }
            }
        }
    }
}
