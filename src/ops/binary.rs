//! Element-wise operators on two tensors beside sum and product: difference, quotient, maximum, minimum, squared
//! difference, and the relu with learned slopes (TensorFlow Lite's SUB, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE,
//! PRELU).
//!
//! Parameters and broadcasting are those of [`add`](super::add::Parameters). Maximum and minimum compare codes: their
//! operands share the output's quantization. The relu's multipliers are the factor of what is positive, an unused
//! one, and the factor of input times slope.

use super::add::{run, run_f32, run_scaled, verify, verify_f32};
use super::{Call, OpKind, Operator, QuantizedElement};
use crate::kernels::reference::{self, MulParameters};
use crate::kernels::{self};

/// The int8 difference.
pub static SUB_INT8: Operator =
    Operator { kind: OpKind::SubInt8, verify: verify::<i8>, run: |call| run_scaled::<i8>(call, reference::sub) };
/// The int16 difference.
pub static SUB_INT16: Operator =
    Operator { kind: OpKind::SubInt16, verify: verify::<i16>, run: |call| run_scaled::<i16>(call, reference::sub) };
/// The f32 difference.
pub static SUB_FLOAT32: Operator =
    Operator { kind: OpKind::SubFloat32, verify: verify_f32, run: |call| run_f32(call, |a, b| a - b) };
/// The f32 quotient.
pub static DIV_FLOAT32: Operator =
    Operator { kind: OpKind::DivFloat32, verify: verify_f32, run: |call| run_f32(call, |a, b| a / b) };
/// The larger int8 code.
pub static MAXIMUM_INT8: Operator =
    Operator { kind: OpKind::MaximumInt8, verify: verify::<i8>, run: |call| select::<i8>(call, Ord::max) };
/// The larger f32 value.
pub static MAXIMUM_FLOAT32: Operator =
    Operator { kind: OpKind::MaximumFloat32, verify: verify_f32, run: |call| run_f32(call, f32::max) };
/// The smaller int8 code.
pub static MINIMUM_INT8: Operator =
    Operator { kind: OpKind::MinimumInt8, verify: verify::<i8>, run: |call| select::<i8>(call, Ord::min) };
/// The smaller f32 value.
pub static MINIMUM_FLOAT32: Operator =
    Operator { kind: OpKind::MinimumFloat32, verify: verify_f32, run: |call| run_f32(call, f32::min) };
/// The square of the int8 difference.
pub static SQUARED_DIFFERENCE_INT8: Operator = Operator {
    kind: OpKind::SquaredDifferenceInt8,
    verify: verify::<i8>,
    run: |call| run_scaled::<i8>(call, reference::squared_difference),
};
/// The square of the f32 difference.
pub static SQUARED_DIFFERENCE_FLOAT32: Operator = Operator {
    kind: OpKind::SquaredDifferenceFloat32,
    verify: verify_f32,
    run: |call| run_f32(call, |a, b| (a - b) * (a - b)),
};
/// The int8 relu with learned slopes.
pub static PRELU_INT8: Operator = Operator { kind: OpKind::PreluInt8, verify: verify::<i8>, run: run_prelu };
/// The f32 relu with learned slopes.
pub static PRELU_FLOAT32: Operator = Operator {
    kind: OpKind::PreluFloat32,
    verify: verify_f32,
    run: |call| run_f32(call, |x, slope| if x >= 0.0 { x } else { x * slope }),
};

fn select<C: QuantizedElement>(call: &mut Call<'_, '_>, choose: fn(C, C) -> C) -> kernels::Result {
    run::<C>(call, |parameters, _, a, b, codes| parameters.broadcast.apply(a, b, codes, choose))
}

fn run_prelu(call: &mut Call<'_, '_>) -> kernels::Result {
    run::<i8>(call, |parameters, [x, slope, output], codes, slopes, results| {
        let [positive, _, multiplier] = parameters.multipliers();
        let scales = MulParameters {
            zero_points: [x.zero_point, slope.zero_point],
            multiplier,
            output_zero_point: output.zero_point,
            range: parameters.range.map(i32::from),
        };
        reference::prelu(&parameters.broadcast, &scales, positive, codes, slopes, results)
    })
}
