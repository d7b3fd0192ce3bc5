//! Int8 layers whose weights are laid out for a core's kernels, see [`packing`](crate::kernels::packing).
//!
//! The arithmetic is that of [`conv_2d`](super::conv_2d), [`depthwise_conv_2d`](super::depthwise_conv_2d) and
//! [`fully_connected`](super::fully_connected) on int8, bit for bit. They are operators of their own, one for each
//! [`Form`], so that a firmware for one core links neither the kernels for row-major weights nor those of other forms.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, OpKind, Operator, Span, StepView, Tensor, WindowParameters};
use crate::kernels::packing::{Form, Packing};
use crate::kernels::{self, Active, Core, OutOfBounds, PackedLayer, Window};

/// Convolution; a depthwise one of a single channel, too.
pub static CONV_2D: Operator = Operator {
    kind: kind(Form::Convolution),
    verify: |view| verify_window(view, Form::Convolution),
    run: |call| run_window(call, Active::conv_2d_packed),
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
/// Dense layer, one row at a time; many rows are a convolution over an image of one row.
pub static FULLY_CONNECTED: Operator =
    Operator { kind: OpKind::FullyConnectedPacked, verify: verify_fully_connected, run: run_fully_connected };

/// The kind of the steps with a window that layouts of a form are for.
pub const fn kind(form: Form) -> OpKind {
    match form {
        Form::Convolution => OpKind::Conv2dPacked,
        Form::PlainConvolution => OpKind::Conv2dPlainPacked,
        Form::Depthwise => OpKind::DepthwiseConv2dPacked,
        Form::DepthwiseColumns => OpKind::DepthwiseColumnsPacked,
    }
}

/// Parameters of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The sliding window.
    pub window: WindowParameters,
    /// The weights.
    pub weights: PackedWeights,
}

/// Parameters of a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DenseParameters {
    /// Inputs of one row.
    pub depth: u32,
    /// The weights.
    pub weights: PackedWeights,
}

/// Weights, biases and multipliers in one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PackedWeights {
    /// The stream of 32-bit words.
    pub words: Span,
    /// The number of the [`Packing`].
    pub packing: u8,
    /// The range of the fused activation, in output codes.
    pub range: [i8; 2],
}

impl PackedWeights {
    /// Checks the stream and the step's scratch memory against the geometry.
    fn verify(
        &self,
        view: &StepView<'_>,
        window: &Window,
        [channels, outputs]: [usize; 2],
        form: Form,
    ) -> Result<(), Error> {
        let (input, output) = (view.input(0)?, view.output(0)?);
        input.expect_int8()?;
        output.expect_int8()?;
        let found = self.packing;
        let packing = Packing::from_number(found).filter(|packing| packing.layout.form() == form);
        let layout = packing.ok_or(Error::Packing { found })?.layout;
        let [rows, columns] = window.kernel;
        let inputs = if form.is_depthwise() { 1 } else { channels };
        let filter = layout.filter(rows, columns.saturating_mul(inputs));
        let [low, high] = self.range;
        if low > high || !self.layer(view, input, output)?.verify(&filter, outputs) {
            return Err(Error::Quantization);
        }
        if !layout.computes(window) {
            return Err(Error::Shape);
        }
        let scratch = view.record.scratch;
        if !scratch.offset.is_multiple_of(4) || !scratch.length.is_multiple_of(4) {
            return Err(Error::Misaligned);
        }
        let (need, have) = (layout.scratch_words(window, channels).saturating_mul(4), scratch.length as usize);
        if have < need { Err(Error::Scratch { need, have }) } else { Ok(()) }
    }

    #[inline(always)]
    fn layer<'m>(&self, view: &StepView<'m>, input: &Tensor, output: &Tensor) -> Result<PackedLayer<'m>, OutOfBounds> {
        Ok(PackedLayer {
            packing: Packing::from_number(self.packing).ok_or(OutOfBounds)?,
            words: view.constant_of(self.words)?,
            input_offset: input.zero_point.wrapping_neg(),
            output_zero_point: output.zero_point,
            range: [self.range[0].into(), self.range[1].into()],
        })
    }
}

fn verify_window(view: &StepView<'_>, form: Form) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let Parameters { window, weights } = view.parameters()?;
    let (window, channels) = window.verify(view.input(0)?, view.output(0)?)?;
    if form.is_depthwise() && channels[0] != channels[1] {
        return Err(Error::Shape);
    }
    weights.verify(view, &window, channels, form)
}

type Kernel = fn(&Window, [usize; 2], &[i8], &PackedLayer<'_>, &mut [u32], &mut [i8]) -> kernels::Result;

fn run_window(call: &mut Call<'_, '_>, kernel: Kernel) -> kernels::Result {
    let Parameters { window, weights } = call.view.parameters()?;
    let (input, output) = (call.view.input(0)?, call.view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let layer = weights.layer(call.view, input, output)?;
    let (x, scratch, codes) = call.input_scratch_and_output(input, output)?;
    kernel(&window, channels, bytemuck::cast_slice(x), &layer, elements(scratch)?, bytemuck::cast_slice_mut(codes))
}

fn verify_fully_connected(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let DenseParameters { depth, weights } = view.parameters()?;
    let (depth, outputs) = (depth as usize, outputs(view)?);
    let rows = view.input(0)?.elements().checked_div(depth).unwrap_or(0);
    let fits = |tensor: &Tensor, extent: usize| rows.checked_mul(extent) == Some(tensor.elements());
    if !fits(view.input(0)?, depth) || !fits(view.output(0)?, outputs) {
        return Err(Error::Shape);
    }
    weights.verify(view, &Window::pixel(), [depth, outputs], Form::Convolution)
}

fn run_fully_connected(call: &mut Call<'_, '_>) -> kernels::Result {
    let DenseParameters { depth, weights } = call.view.parameters()?;
    let (input, output) = (call.view.input(0)?, call.view.output(0)?);
    let (depth, outputs) = (depth as usize, outputs(call.view)?);
    let layer = weights.layer(call.view, input, output)?;
    let (x, scratch, codes) = call.input_scratch_and_output(input, output)?;
    let scratch = elements(scratch)?;
    let (mut x, mut codes): (&[i8], &mut [i8]) = (bytemuck::cast_slice(x), bytemuck::cast_slice_mut(codes));
    while !codes.is_empty() {
        let (row, rest) = x.split_at_checked(depth).ok_or(OutOfBounds)?;
        let (target, behind) = codes.split_at_mut_checked(outputs.max(1)).ok_or(OutOfBounds)?;
        Active::fully_connected_packed(row, &layer, scratch, target)?;
        (x, codes) = (rest, behind);
    }
    Ok(())
}

/// The outputs of one row.
#[inline]
fn outputs(view: &StepView<'_>) -> Result<usize, OutOfBounds> {
    view.output(0)?.shape().last().map(|extent| *extent as usize).ok_or(OutOfBounds)
}
