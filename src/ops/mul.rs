//! Product of two tensors, broadcast as numpy does, with a fused activation (TensorFlow Lite's MUL).
//!
//! The parameters are those of [`add`](super::add::Parameters), of which only the output's multiplier counts.

use super::add::{run, run_f32, verify, verify_f32};
use super::{Call, OpKind, Operator, QuantizedElement};
use crate::kernels::reference::{self, Broadcast, MulParameters};
use crate::kernels::{self, Active, Core};

/// The int8 operator.
pub static INT8: Operator =
    Operator { kind: OpKind::MulInt8, verify: verify::<i8>, run: |call| run_codes(call, Active::mul) };
/// The int16 operator.
pub static INT16: Operator =
    Operator { kind: OpKind::MulInt16, verify: verify::<i16>, run: |call| run_codes(call, reference::mul::<i16>) };
/// The f32 operator.
pub static FLOAT32: Operator =
    Operator { kind: OpKind::MulFloat32, verify: verify_f32, run: |call| run_f32(call, |a, b| a * b) };

type Kernel<C> = fn(&Broadcast, &MulParameters, &[C], &[C], &mut [C]) -> kernels::Result;

fn run_codes<C: QuantizedElement>(call: &mut Call<'_, '_>, kernel: Kernel<C>) -> kernels::Result {
    run::<C>(call, |parameters, [a, b, output], x, y, codes| {
        let [_, _, multiplier] = parameters.multipliers();
        let scales = MulParameters {
            zero_points: [a.zero_point, b.zero_point],
            multiplier,
            output_zero_point: output.zero_point,
            range: parameters.range.map(C::widen),
        };
        kernel(&parameters.broadcast, &scales, x, y, codes)
    })
}
