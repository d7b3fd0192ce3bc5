//! Int8 layers whose weights are laid out for a core's kernels, see [`packing`](crate::kernels::packing).
//!
//! The arithmetic is that of [`conv_2d`](super::conv_2d), [`depthwise_conv_2d`](super::depthwise_conv_2d) and
//! [`fully_connected`](super::fully_connected) on int8, bit for bit. They are operators of their own, one for each
//! [`Form`], so that a firmware for one core links neither the kernels for row-major weights nor those of other forms.

use bytemuck::AnyBitPattern;
use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, Layer, OpKind, Operator, Place, Span, StepView, Tensor, WindowParameters};
use crate::kernels::packing::{Form, Packing};
use crate::kernels::{self, Active, Core, OutOfBounds, PackedLayer, Window};

/// Convolution; a depthwise one of a single channel, too.
pub static CONV_2D: Operator = Operator {
    kind: kind(Form::Convolution),
    verify: |view| verify_window(view, Form::Convolution),
    run: |call| run_window(call, Active::conv_2d_packed),
};
/// The same to fewer than four pixels.
pub static CONV_2D_PIXELS: Operator = Operator {
    kind: kind(Form::Pixels),
    verify: |view| verify_window(view, Form::Pixels),
    run: |call| run_window(call, Active::conv_2d_pixels_packed),
};
/// The same for weights whose sums are as large as they may be.
pub static CONV_2D_PLAIN: Operator = Operator {
    kind: kind(Form::PlainConvolution),
    verify: |view| verify_window(view, Form::PlainConvolution),
    run: |call| run_window(call, Active::conv_2d_plain_packed),
};
/// Depthwise convolution with one filter a channel.
pub static DEPTHWISE_CONV_2D: Operator = Operator {
    kind: kind(Form::Depthwise),
    verify: |view| verify_window(view, Form::Depthwise),
    run: |call| {
        run_window(call, |window, [channels, _], x, layer, scratch, codes| {
            Active::depthwise_conv_2d_packed(window, channels, x, layer, scratch, codes)
        })
    },
};
/// The same down the columns of an image.
pub static DEPTHWISE_COLUMNS: Operator = Operator {
    kind: kind(Form::DepthwiseColumns),
    verify: |view| verify_window(view, Form::DepthwiseColumns),
    run: |call| {
        run_window(call, |window, [channels, _], x, layer, scratch, codes| {
            Active::depthwise_columns_packed(window, channels, x, layer, scratch, codes)
        })
    },
};
/// Dense layer of one row; more rows are a convolution over an image of one row.
pub static FULLY_CONNECTED: Operator = Operator {
    kind: OpKind::FullyConnectedPacked,
    verify: |view| verify_fully_connected(view, &[Form::Pixels, Form::Convolution]),
    run: run_fully_connected,
};
/// The same on the inputs as they are, without scratch memory.
pub static FULLY_CONNECTED_DIRECT: Operator = Operator {
    kind: OpKind::FullyConnectedDirectPacked,
    verify: |view| verify_fully_connected(view, &[Form::DirectDense]),
    run: run_fully_connected_direct,
};

/// The kind of the steps that layouts of a form are for.
pub const fn kind(form: Form) -> OpKind {
    match form {
        Form::Convolution => OpKind::Conv2dPacked,
        Form::Pixels => OpKind::Conv2dPixelsPacked,
        Form::PlainConvolution => OpKind::Conv2dPlainPacked,
        Form::Depthwise => OpKind::DepthwiseConv2dPacked,
        Form::DepthwiseColumns => OpKind::DepthwiseColumnsPacked,
        Form::DirectDense => OpKind::FullyConnectedDirectPacked,
    }
}

/// Parameters of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Parameters {
    /// The sliding window.
    pub window: WindowParameters,
    /// The weights.
    pub weights: PackedWeights,
}

/// Parameters of a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct DenseParameters {
    /// The inputs.
    pub depth: u32,
    /// The weights.
    pub weights: PackedWeights,
}

/// Weights, biases and multipliers in one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct PackedWeights {
    /// The stream of 32-bit words.
    pub words: Span,
    /// The number of the [`Packing`].
    pub packing: u32,
    /// The range of the fused activation, in output codes.
    pub range: [i32; 2],
}

impl PackedWeights {
    /// Checks the stream and the step's scratch memory against the geometry.
    pub(super) fn verify<P>(
        &self,
        view: &StepView<'_>,
        step: &Layer<'_, P>,
        window: &Window,
        [channels, outputs]: [usize; 2],
        forms: &[Form],
    ) -> Result<(), Error> {
        step.input.expect_int8()?;
        step.output.expect_int8()?;
        if step.input.place != Place::Arena {
            return Err(Error::Misplaced);
        }
        let found = self.packing;
        let packing = packing(found).filter(|packing| forms.contains(&packing.layout.form()));
        let layout = packing.ok_or(Error::Packing { found })?.layout;
        let [rows, columns] = window.kernel;
        let inputs = if layout.form().is_depthwise() { 1 } else { channels };
        let filter = layout.filter(rows, columns.saturating_mul(inputs));
        let [low, high] = self.range;
        let is_range = -128 <= low && low <= high && high <= 127;
        if !is_range || !self.layer(view, step)?.verify(&filter, outputs) {
            return Err(Error::Quantization);
        }
        if !layout.computes(window) {
            return Err(Error::Shape);
        }
        let scratch = view.record.scratch;
        if ![self.words, scratch].iter().all(|span| span.offset.is_multiple_of(4) && span.length.is_multiple_of(4)) {
            return Err(Error::Misaligned);
        }
        let (need, have) = (layout.scratch_words(window, channels).saturating_mul(4), scratch.length as usize);
        if have < need { Err(Error::Scratch { need, have }) } else { Ok(()) }
    }

    #[inline(always)]
    pub(super) fn layer<'m, P>(
        &self,
        view: &StepView<'m>,
        step: &Layer<'m, P>,
    ) -> Result<PackedLayer<'m>, OutOfBounds> {
        Ok(PackedLayer {
            packing: packing(self.packing).ok_or(OutOfBounds)?,
            words: view.constant_words(self.words)?,
            input_offset: step.input.zero_point.wrapping_neg(),
            output_zero_point: step.output.zero_point,
            range: self.range,
        })
    }
}

/// The packing of a number.
#[inline(always)]
fn packing(number: u32) -> Option<Packing> {
    Packing::from_number(u8::try_from(number).ok()?)
}

fn verify_window(view: &StepView<'_>, form: Form) -> Result<(), Error> {
    let step = view.expect_layer::<Parameters>()?;
    let Parameters { window, weights } = step.parameters;
    let (window, channels) = window.verify(step.input, step.output)?;
    if form.is_depthwise() && channels[0] != channels[1] {
        return Err(Error::Shape);
    }
    weights.verify(view, &step, &window, channels, &[form])
}

type Kernel = fn(&Window, [usize; 2], &[i8], &PackedLayer<'_>, &mut [u32], &mut [i8]) -> kernels::Result;

fn run_window(call: &mut Call<'_, '_>, kernel: Kernel) -> kernels::Result {
    let step = call.view.layer::<Parameters>()?;
    let (window, channels) = step.parameters.window.over(step.input, step.output)?;
    let layer = step.parameters.weights.layer(call.view, &step)?;
    let (x, scratch, codes) = call.memory_of(&step)?;
    kernel(&window, channels, bytemuck::cast_slice(x), &layer, elements(scratch)?, bytemuck::cast_slice_mut(codes))
}

fn verify_fully_connected(view: &StepView<'_>, forms: &[Form]) -> Result<(), Error> {
    let step = view.expect_layer::<DenseParameters>()?;
    let [depth, outputs] = [step.input, step.output].map(Tensor::elements);
    if step.parameters.depth as usize != depth {
        return Err(Error::Shape);
    }
    step.parameters.weights.verify(view, &step, &Window::pixel(), [depth, outputs], forms)
}

fn run_fully_connected(call: &mut Call<'_, '_>) -> kernels::Result {
    let step = call.view.layer::<DenseParameters>()?;
    let layer = step.parameters.weights.layer(call.view, &step)?;
    let (x, scratch, codes) = call.memory_of(&step)?;
    let (x, scratch, codes) = (bytemuck::cast_slice(x), elements(scratch)?, bytemuck::cast_slice_mut(codes));
    Active::fully_connected_packed(x, &layer, scratch, codes)
}

fn run_fully_connected_direct(call: &mut Call<'_, '_>) -> kernels::Result {
    let step = call.view.layer::<DenseParameters>()?;
    let layer = step.parameters.weights.layer(call.view, &step)?;
    let (x, codes) = call.operands_of(&step)?;
    Active::fully_connected_direct_packed(bytemuck::cast_slice(x), &layer, bytemuck::cast_slice_mut(codes))
}
