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
