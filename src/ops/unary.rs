//! F32 functions of one value: logistic, tanh and the relu family. Accurate to `libm`: within 2 units in the last place.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, StepView};

/// `1 / (1 + exp(-x))`; it has no parameters.
pub static LOGISTIC_FLOAT32: Operator =
    Operator { kind: OpKind::LogisticFloat32, verify, run: |call| run(call, |x| 1.0 / (1.0 + libm::expf(-x))) };
/// The hyperbolic tangent; it has no parameters.
pub static TANH_FLOAT32: Operator = Operator { kind: OpKind::TanhFloat32, verify, run: |call| run(call, libm::tanhf) };
/// `max(low, min(x, high))`.
pub static CLAMP_FLOAT32: Operator = Operator { kind: OpKind::ClampFloat32, verify: verify_clamp, run: run_clamp };

/// Parameters of a clamp.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClampParameters {
    /// The smallest and the largest output.
    pub range: [f32; 2],
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(DataType::Float32)?;
    output.expect(DataType::Float32)?;
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>, function: impl Fn(f32) -> f32) -> Result<(), Error> {
    let input = call.view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    for (x, value) in regions.rest.read(&input)?.iter().zip(elements(values)?) {
        *value = function(*x);
    }
    Ok(())
}

fn verify_clamp(view: &StepView<'_>) -> Result<(), Error> {
    verify(view)?;
    let [low, high] = view.parameters::<ClampParameters>()?.range;
    if low <= high { Ok(()) } else { Err(Error::Quantization) }
}

fn run_clamp(call: &mut Call<'_, '_>) -> Result<(), Error> {
    let [low, high] = call.view.parameters::<ClampParameters>()?.range;
    run(call, |x| x.max(low).min(high))
}
