//! Product of two tensors, broadcast as numpy does, with a fused activation (TensorFlow Lite's MUL).
//!
//! The parameters are those of [`add`](super::add::Parameters), of which only the output's multiplier counts.

use super::add::{Parameters, run_float};
use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, StepView};
use crate::kernels::reference::{self, MulParameters};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::MulInt8, verify, run };
/// The f32 operator.
pub static FLOAT32: Operator = Operator { kind: OpKind::MulFloat32, verify: verify_f32, run: run_f32 };

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Parameters<[i8; 2]>>()?.verify_int8(view)
}

fn run(call: &mut Call<'_, '_>) -> Result<(), Error> {
    let view = call.view;
    let parameters: Parameters<[i8; 2]> = view.parameters()?;
    let (a, b, output) = (view.input(0)?, view.input(1)?, view.output(0)?);
    let [_, _, multiplier] = parameters.multipliers();
    let scales = MulParameters {
        zero_points: [a.zero_point, b.zero_point],
        multiplier,
        output_zero_point: output.zero_point,
        range: parameters.range.map(i32::from),
    };
    let regions = call.output()?;
    let [codes] = regions.writable;
    let (a, b) = (regions.rest.read(&a)?, regions.rest.read(&b)?);
    Ok(reference::mul(&parameters.broadcast, &scales, a, b, elements(codes)?)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Parameters<[f32; 2]>>()?.verify(view, DataType::Float32)
}

fn run_f32(call: &mut Call<'_, '_>) -> Result<(), Error> {
    run_float(call, |a, b| a * b)
}
