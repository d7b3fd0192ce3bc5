//! Int16 functions, by tables and multipliers that the host makes: logistic, tanh, leaky relu and softmax (TensorFlow
//! Lite's int16 kernels), and any other function as a table of its own. Logistic, tanh and softmax have output scale `2^-15`; all zero points are 0.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, OpKind, Operator, Span, StepView};
use crate::fixed::Multiplier;
use crate::kernels::reference::{self, Argument, WideSoftmax};
use crate::kernels::{self, Active, Core, OutOfBounds};

/// The logistic function.
pub static LOGISTIC: Operator =
    Operator { kind: OpKind::LogisticInt16, verify, run: |call| run(call, reference::logistic_i16) };
/// The hyperbolic tangent.
pub static TANH: Operator = Operator { kind: OpKind::TanhInt16, verify, run: |call| run(call, reference::tanh_i16) };
/// A leaky relu.
pub static LEAKY_RELU: Operator =
    Operator { kind: OpKind::LeakyReluInt16, verify: verify_leaky_relu, run: run_leaky_relu };
/// Softmax along the last axis.
pub static SOFTMAX: Operator = Operator { kind: OpKind::SoftmaxInt16, verify: verify_softmax, run: run_softmax };

/// Any function: 513 codes between which it interpolates.
pub static LOOKUP: Operator = Operator { kind: OpKind::LookupInt16, verify: verify_lookup, run: run_lookup };

/// Parameters of a function as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LookupParameters {
    /// 513 codes of i16, for the input codes from -32768 to 32768 in steps of 128.
    pub table: Span,
}

/// Parameters of logistic and tanh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// `2^16 / (1 + exp(-i / 24))` for `i` below 256, u16.
    pub table: Span,
    /// How codes become arguments.
    pub factor: i32,
    /// The shift that belongs to the factor.
    pub shift: u8,
}

/// Parameters of a leaky relu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LeakyReluParameters {
    /// The mantissas of what is positive and of what is negative.
    pub mantissas: [i32; 2],
    /// Their exponents.
    pub exponents: [i8; 2],
}

/// Parameters of a softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxParameters {
    /// The mantissa of one code in steps of 10 / 65535.
    pub mantissa: i32,
    /// Its exponent.
    pub exponent: i8,
    /// `exp(x)` over `[-10, 0]` in Q0.15, 513 entries of i16.
    pub exponentials: Span,
    /// `1 / (1 + x)` over `[0, 1]` in Q0.15, 513 entries of i16.
    pub reciprocals: Span,
}

/// Rows longer than this could overflow the sum of exponentials.
const MAX_DEPTH: usize = 65_535;

fn expect_wide(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect_codes::<i16>()?;
    output.expect_codes::<i16>()?;
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    expect_wide(view)?;
    let Parameters { table, shift, .. } = view.parameters()?;
    view.constant::<u16>(table, 256)?;
    if shift < 32 { Ok(()) } else { Err(Error::Quantization) }
}

fn run(call: &mut Call<'_, '_>, function: impl Fn(&[u16; 256], Argument, i16) -> i16) -> kernels::Result {
    let view = call.view;
    let Parameters { table, factor, shift } = view.parameters()?;
    let table: &[u16; 256] = view.constant_of::<u16>(table)?.try_into().map_err(|_| OutOfBounds)?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    let argument = Argument { factor, shift: shift.into() };
    for (code, result) in regions.rest.read(input)?.iter().zip(elements(codes)?) {
        *result = function(table, argument, *code);
    }
    Ok(())
}

fn verify_lookup(view: &StepView<'_>) -> Result<(), Error> {
    expect_wide(view)?;
    view.constant::<i16>(view.parameters::<LookupParameters>()?.table, 513).map(|_| ())
}

fn run_lookup(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let table = view.constant_of(view.parameters::<LookupParameters>()?.table)?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    Active::lookup_i16(table, regions.rest.read(input)?, elements(codes)?)
}

fn verify_leaky_relu(view: &StepView<'_>) -> Result<(), Error> {
    expect_wide(view)?;
    let LeakyReluParameters { exponents, .. } = view.parameters()?;
    let defined = exponents.iter().all(|exponent| Multiplier::EXPONENTS.contains(exponent));
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

fn run_leaky_relu(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let LeakyReluParameters { mantissas: [positive, negative], exponents } = view.parameters()?;
    let factors = [
        Multiplier { mantissa: positive, exponent: exponents[0] },
        Multiplier { mantissa: negative, exponent: exponents[1] },
    ];
    let (input, output) = (view.input(0)?, view.output(0)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    let zero_points = [input.zero_point, output.zero_point];
    reference::leaky_relu::<i16>(zero_points, factors, regions.rest.read(input)?, elements(codes)?);
    Ok(())
}

fn verify_softmax(view: &StepView<'_>) -> Result<(), Error> {
    expect_wide(view)?;
    let SoftmaxParameters { mantissa, exponent, exponentials, reciprocals } = view.parameters()?;
    view.constant::<i16>(exponentials, 513)?;
    view.constant::<i16>(reciprocals, 513)?;
    let depth = view.input(0)?.shape().last().map_or(0, |extent| *extent as usize);
    if !(1..=MAX_DEPTH).contains(&depth) {
        return Err(Error::Shape);
    }
    if mantissa >= 0 && Multiplier::EXPONENTS.contains(&exponent) { Ok(()) } else { Err(Error::Quantization) }
}

fn run_softmax(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let SoftmaxParameters { mantissa, exponent, exponentials, reciprocals } = view.parameters()?;
    let parameters = WideSoftmax {
        multiplier: Multiplier { mantissa, exponent },
        exponentials: view.constant_of(exponentials)?,
        reciprocals: view.constant_of(reciprocals)?,
    };
    let input = view.input(0)?;
    let depth = input.shape().last().map_or(0, |extent| *extent as usize);
    let regions = call.output()?;
    let [codes] = regions.writable;
    reference::softmax_i16(depth, &parameters, regions.rest.read(input)?, elements(codes)?)
}
