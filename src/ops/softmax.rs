//! Softmax along the last axis.
//!
//! Int8 in fixed point with output scale 1/256 and zero point -128 (TensorFlow Lite's SOFTMAX); f32 with `libm`'s
//! exponential, within `4e-7` of the exact quotient.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, StepView, Tensor};
use crate::fixed::Multiplier;
use crate::kernels::reference::{self, SoftmaxParameters};
use crate::kernels::{self};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::SoftmaxInt8, verify, run };
/// The f32 operator.
pub static FLOAT32: Operator = Operator { kind: OpKind::SoftmaxFloat32, verify: verify_f32, run: run_f32 };

/// The f32 operator over the start of each row: of matrices `[.., queries, keys]` each row takes as many as its place allows, and
/// as many as a second input says, one int32, if the step has it. The rest of the row is 0.
pub static MASKED_FLOAT32: Operator =
    Operator { kind: OpKind::MaskedSoftmaxFloat32, verify: verify_masked, run: run_masked };

/// Parameters of an int8 softmax: what [`SoftmaxParameters::new`] makes of scale and beta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The mantissa of one code in Q5.26.
    pub mantissa: i32,
    /// Its exponent.
    pub exponent: i8,
    /// Differences to the maximum below this are zero.
    pub smallest_difference: i32,
}

impl From<SoftmaxParameters> for Parameters {
    fn from(SoftmaxParameters { multiplier, smallest_difference }: SoftmaxParameters) -> Self {
        Self { mantissa: multiplier.mantissa, exponent: multiplier.exponent, smallest_difference }
    }
}

/// Parameters of an f32 softmax.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FloatParameters {
    /// The factor on the logits.
    pub beta: f32,
}

/// Parameters of a masked f32 softmax.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaskedParameters {
    /// The factor on the logits.
    pub beta: f32,
    /// Values that the first row of a matrix takes; each further row takes one more. [`u32::MAX`]: all take all.
    pub visible: u32,
}

/// Rows longer than this could overflow the sum of exponentials.
const MAX_DEPTH: usize = 8191;

fn depth(tensor: &Tensor) -> usize {
    tensor.shape().last().map_or(0, |extent| *extent as usize)
}

fn expect_rows(view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(data_type)?;
    output.expect(data_type)?;
    let fits = (1..=MAX_DEPTH).contains(&depth(input)) && input.elements() == output.elements();
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    expect_rows(view, DataType::Int8)?;
    let Parameters { mantissa, exponent, .. } = view.parameters()?;
    if mantissa >= 0 && Multiplier::EXPONENTS.contains(&exponent) { Ok(()) } else { Err(Error::Quantization) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { mantissa, exponent, smallest_difference } = view.parameters()?;
    let input = view.input(0)?;
    let parameters = SoftmaxParameters { multiplier: Multiplier { mantissa, exponent }, smallest_difference };
    let regions = call.output()?;
    let [codes] = regions.writable;
    reference::softmax(depth(input), &parameters, regions.rest.read(input)?, elements(codes)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    expect_rows(view, DataType::Float32)?;
    view.parameters::<FloatParameters>()?;
    Ok(())
}

fn run_f32(call: &mut Call<'_, '_>) -> kernels::Result {
    let FloatParameters { beta } = call.view.parameters()?;
    let input = call.view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    reference::softmax_f32(depth(input), beta, regions.rest.read(input)?, elements(values)?)
}

fn verify_masked(view: &StepView<'_>) -> Result<(), Error> {
    let limited = view.inputs() > 1;
    view.expect_operands(if limited { 2 } else { 1 }, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(DataType::Float32)?;
    output.expect(DataType::Float32)?;
    if limited {
        view.input(1)?.expect(DataType::Int32)?;
    }
    let counted = !limited || view.input(1)?.elements() == 1;
    let fits = input.shape().len() >= 2 && depth(input) > 0 && input.elements() == output.elements();
    if !fits || !counted {
        return Err(Error::Shape);
    }
    view.parameters::<MaskedParameters>()?;
    Ok(())
}

fn run_masked(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let MaskedParameters { beta, visible } = view.parameters()?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    let most = match view.input(1) {
        Ok(length) => regions.rest.read::<i32>(length)?.first().copied().unwrap_or(0).max(0) as usize,
        Err(_) => usize::MAX,
    };
    let rows = input.shape().iter().rev().nth(1).copied().unwrap_or(1);
    let taken = |row: u32| (visible.saturating_add(row) as usize).min(most);
    let (input, values) = (regions.rest.read(input)?, elements(values)?);
    reference::masked_softmax_f32([rows as usize, depth(view.input(0)?)], beta, taken, input, values)
}
