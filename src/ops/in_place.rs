//! Int8 layers whose output begins where their input does: each code is written when no other one needs what was there.
//!
//! The arithmetic and the parameters are those of [`packed_layer`](super::packed_layer). A chain of such layers takes the
//! memory of its largest tensor, where others need that of two.

use super::packed_layer::Parameters;
use super::regions::elements;
use super::{Call, Error, OpKind, Operator, Span, StepView};
use crate::kernels::packing::Form;
use crate::kernels::{self, Active, Core, PackedLayer, Window};

/// Convolution of single pixels, to more or to fewer channels.
pub static POINTWISE_CONV_2D: Operator = Operator {
    kind: OpKind::PointwiseInPlacePacked,
    verify: |view| verify(view, Form::Convolution),
    run: |call| run(call, Active::pointwise_in_place),
};
/// Depthwise convolution to an image of the same extents.
pub static DEPTHWISE_CONV_2D: Operator = Operator {
    kind: OpKind::DepthwiseInPlacePacked,
    verify: |view| verify(view, Form::DepthwiseColumns),
    run: |call| run(call, Active::depthwise_in_place),
};

/// The kind of the steps in place that layouts of a form are for.
pub const fn kind(form: Form) -> Option<OpKind> {
    match form {
        Form::Convolution => Some(OpKind::PointwiseInPlacePacked),
        Form::DepthwiseColumns => Some(OpKind::DepthwiseInPlacePacked),
        _ => None,
    }
}

fn verify(view: &StepView<'_>, form: Form) -> Result<(), Error> {
    let step = view.expect_layer_in_place::<Parameters>()?;
    let Parameters { window, weights } = step.parameters;
    let (window, channels) = window.verify(step.input, step.output)?;
    weights.verify(view, &step, &window, channels, &[form])?;
    let layout = weights.layer(view, &step)?.packing.layout;
    let words = layout.in_place_words(&window, channels).ok_or(Error::Shape)?;
    let (need, have) = (words.saturating_mul(4), view.record.scratch.length as usize);
    if have < need { Err(Error::Scratch { need, have }) } else { Ok(()) }
}

type Kernel = fn(&Window, [usize; 2], &PackedLayer<'_>, &mut [u32], &mut [i8]) -> kernels::Result;

fn run(call: &mut Call<'_, '_>, kernel: Kernel) -> kernels::Result {
    let step = call.view.layer::<Parameters>()?;
    let (window, channels) = step.parameters.window.over(step.input, step.output)?;
    let layer = step.parameters.weights.layer(call.view, &step)?;
    let codes = Span { length: step.input.length.max(step.output.length), ..step.output.span() };
    let [scratch, codes] = call.scratch_and(codes)?;
    kernel(&window, channels, &layer, elements(scratch)?, bytemuck::cast_slice_mut(codes))
}
