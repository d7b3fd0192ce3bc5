//! Sum of two tensors, broadcast as numpy does, with a fused activation.
//!
//! Codes: both operands are brought to a common scale of `2^-20` (int16: `2^-15`) of twice the larger one before they
//! are added (TensorFlow Lite's ADD). The f32 sum is one rounding.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Broadcast, Call, DataType, Error, OpKind, Operator, QuantizedElement, StepView, Tensor};
use crate::fixed::Multiplier;
use crate::kernels::reference::AddParameters;
use crate::kernels::{self, Active, Core};

/// The int8 operator.
pub static INT8: Operator =
    Operator { kind: OpKind::AddInt8, verify: verify::<i8>, run: |call| run_scaled::<i8>(call, Active::add) };
/// The int16 operator.
pub static INT16: Operator =
    Operator { kind: OpKind::AddInt16, verify: verify::<i16>, run: |call| run_scaled::<i16>(call, Active::add_i16) };
/// The f32 operator.
pub static FLOAT32: Operator =
    Operator { kind: OpKind::AddFloat32, verify: verify_f32, run: |call| run_f32(call, |a, b| a + b) };

/// Parameters of an element-wise operator on two tensors; `R` is `[i8; 2]`, `[i16; 2]` or `[f32; 2]`.
///
/// The multipliers of a sum of codes follow from the scales of its three tensors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters<R> {
    /// How the operands repeat along the output.
    pub broadcast: Broadcast,
    /// The range of the fused activation, in codes or reals.
    pub range: R,
    /// Mantissas of the first operand, the second one and the output; a product has only the last one.
    pub mantissas: [i32; 3],
    /// Their exponents.
    pub exponents: [i8; 3],
}

impl<R> Parameters<R> {
    /// Checks shapes, strides and types of the two operands and the output.
    pub(super) fn verify(&self, view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
        view.expect_operands(2, 1)?;
        let (a, b, output) = (view.input(0)?, view.input(1)?, view.output(0)?);
        for tensor in [&a, &b, &output] {
            tensor.expect(data_type)?;
        }
        let elements = self.broadcast.extents.iter().fold(1_usize, |n, extent| n.saturating_mul(*extent as usize));
        if elements != output.elements() {
            return Err(Error::Shape);
        }
        for (strides, operand) in [(&self.broadcast.first, &a), (&self.broadcast.second, &b)] {
            let last = strides.iter().zip(&self.broadcast.extents).fold(0_usize, |last, (stride, extent)| {
                last.saturating_add((*stride as usize).saturating_mul((*extent as usize).saturating_sub(1)))
            });
            if last >= operand.elements() {
                return Err(Error::Shape);
            }
        }
        Ok(())
    }

    /// The multipliers, unchecked.
    pub(super) fn multipliers(&self) -> [Multiplier; 3] {
        let [a, b, output] = self.mantissas;
        let [exponent_a, exponent_b, exponent_output] = self.exponents;
        [(a, exponent_a), (b, exponent_b), (output, exponent_output)]
            .map(|(mantissa, exponent)| Multiplier { mantissa, exponent })
    }
}

impl<C: QuantizedElement> Parameters<[C; 2]> {
    /// Checks zero points, multipliers and range.
    fn verify_codes(&self, view: &StepView<'_>) -> Result<(), Error> {
        self.verify(view, C::DATA_TYPE)?;
        for tensor in [view.input(0)?, view.input(1)?, view.output(0)?] {
            tensor.expect_codes::<C>()?;
        }
        let defined = self
            .multipliers()
            .iter()
            .all(|factor| factor.mantissa >= 0 && Multiplier::EXPONENTS.contains(&factor.exponent));
        let [low, high] = self.range;
        if defined && low <= high { Ok(()) } else { Err(Error::Quantization) }
    }
}

/// Checks an operator on the codes of two tensors.
pub(super) fn verify<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Parameters<[C; 2]>>()?.verify_codes(view)
}

/// Runs an operator on the codes of two tensors.
pub(super) fn run<C: QuantizedElement>(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(&Parameters<[C; 2]>, [&Tensor; 3], &[C], &[C], &mut [C]) -> kernels::Result,
) -> kernels::Result {
    let view = call.view;
    let parameters: Parameters<[C; 2]> = view.parameters()?;
    let tensors = [view.input(0)?, view.input(1)?, view.output(0)?];
    let regions = call.output()?;
    let [codes] = regions.writable;
    let (a, b) = (regions.rest.read(tensors[0])?, regions.rest.read(tensors[1])?);
    kernel(&parameters, tensors, a, b, elements(codes)?)
}

/// Runs an operator that brings both operands to a common scale first.
pub(super) fn run_scaled<C: QuantizedElement>(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(&Broadcast, &AddParameters, &[C], &[C], &mut [C]) -> kernels::Result,
) -> kernels::Result {
    run(call, |parameters, [a, b, output], x, y, codes| {
        let [multiplier_a, multiplier_b, output_multiplier] = parameters.multipliers();
        let scales = AddParameters {
            zero_points: [a.zero_point, b.zero_point],
            multipliers: [multiplier_a, multiplier_b],
            output_multiplier,
            output_zero_point: output.zero_point,
            range: parameters.range.map(C::widen),
        };
        kernel(&parameters.broadcast, &scales, x, y, codes)
    })
}

/// Checks an f32 operator on two tensors.
pub(super) fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Parameters<[f32; 2]>>()?.verify(view, DataType::Float32)
}

/// Runs an f32 operator on two tensors.
pub(super) fn run_f32(call: &mut Call<'_, '_>, combine: impl Fn(f32, f32) -> f32) -> kernels::Result {
    let view = call.view;
    let parameters: Parameters<[f32; 2]> = view.parameters()?;
    let (a, b) = (view.input(0)?, view.input(1)?);
    let [low, high] = parameters.range;
    let regions = call.output()?;
    let [values] = regions.writable;
    let (a, b) = (regions.rest.read(a)?, regions.rest.read(b)?);
    parameters.broadcast.apply(a, b, elements(values)?, |a, b| combine(a, b).max(low).min(high))
}
