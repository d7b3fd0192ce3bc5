//! Conversions: f32 to int8, int8 to f32, int8 to int8 of another scale. The last one with a clamp is the relu family.
//!
//! `round(x / scale) + zero_point` with halves away from zero, `scale * (code - zero_point)`, and the multiplier of
//! the two scales (TensorFlow Lite's QUANTIZE, DEQUANTIZE, RELU, RELU6).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, StepView};
use crate::fixed::Multiplier;
use crate::kernels::reference;

/// F32 to int8; it has no parameters.
pub static QUANTIZE: Operator = Operator { kind: OpKind::Quantize, verify: verify_quantize, run: run_quantize };
/// Int8 to f32; it has no parameters.
pub static DEQUANTIZE: Operator = Operator { kind: OpKind::Dequantize, verify: verify_dequantize, run: run_dequantize };
/// Int8 to int8.
pub static REQUANTIZE: Operator = Operator { kind: OpKind::Requantize, verify: verify_requantize, run: run_requantize };

/// Parameters of a requantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The mantissa of `input_scale / output_scale`.
    pub mantissa: i32,
    /// Its exponent.
    pub exponent: i8,
    /// The range that output codes are clamped to.
    pub range: [i8; 2],
}

fn expect_types(view: &StepView<'_>, from: DataType, to: DataType) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    for (tensor, data_type) in [(&input, from), (&output, to)] {
        match data_type {
            DataType::Int8 => tensor.expect_int8()?,
            other => tensor.expect(other)?,
        }
    }
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn verify_quantize(view: &StepView<'_>) -> Result<(), Error> {
    expect_types(view, DataType::Float32, DataType::Int8)?;
    let scale = view.output(0)?.scale;
    if scale.is_finite() && scale > 0.0 { Ok(()) } else { Err(Error::Quantization) }
}

fn run_quantize(call: &mut Call<'_, '_>) -> Result<(), Error> {
    let (input, output) = (call.view.input(0)?, call.view.output(0)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    for (value, code) in regions.rest.read(&input)?.iter().zip(elements::<i8>(codes)?) {
        *code = reference::quantize(*value, output.scale, output.zero_point);
    }
    Ok(())
}

fn verify_dequantize(view: &StepView<'_>) -> Result<(), Error> {
    expect_types(view, DataType::Int8, DataType::Float32)
}

fn run_dequantize(call: &mut Call<'_, '_>) -> Result<(), Error> {
    let input = call.view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    for (code, value) in regions.rest.read(&input)?.iter().zip(elements::<f32>(values)?) {
        *value = reference::dequantize(*code, input.scale, input.zero_point);
    }
    Ok(())
}

fn verify_requantize(view: &StepView<'_>) -> Result<(), Error> {
    expect_types(view, DataType::Int8, DataType::Int8)?;
    let Parameters { mantissa, exponent, range: [low, high] } = view.parameters()?;
    let defined = mantissa >= 0 && Multiplier::EXPONENTS.contains(&exponent) && low <= high;
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

fn run_requantize(call: &mut Call<'_, '_>) -> Result<(), Error> {
    let view = call.view;
    let Parameters { mantissa, exponent, range } = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let zero_points = [input.zero_point, output.zero_point];
    let regions = call.output()?;
    let [codes] = regions.writable;
    let multiplier = Multiplier { mantissa, exponent };
    let x = regions.rest.read(&input)?;
    reference::requantize(zero_points, multiplier, range.map(i32::from), x, elements(codes)?);
    Ok(())
}
