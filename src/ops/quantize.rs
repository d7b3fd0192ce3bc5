//! Conversions: f32 to codes, codes to f32, codes to codes of another scale or width. The last one with a clamp is the
//! relu family.
//!
//! `round(x / scale) + zero_point` with halves away from zero, `scale * (code - zero_point)`, and the multiplier of
//! the two scales (TensorFlow Lite's QUANTIZE, DEQUANTIZE, RELU, RELU6).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Element, Error, OpKind, Operator, QuantizedElement, StepView};
use crate::fixed::Multiplier;
use crate::kernels::{self, Active, Core, reference};

/// F32 to int8; it has no parameters.
pub static QUANTIZE: Operator =
    Operator { kind: OpKind::Quantize, verify: verify_quantize::<i8>, run: run_quantize::<i8> };
/// F32 to int16.
pub static QUANTIZE_INT16: Operator =
    Operator { kind: OpKind::QuantizeInt16, verify: verify_quantize::<i16>, run: run_quantize::<i16> };
/// Int8 to f32; it has no parameters.
pub static DEQUANTIZE: Operator =
    Operator { kind: OpKind::Dequantize, verify: verify_dequantize::<i8>, run: run_dequantize::<i8> };
/// Int16 to f32.
pub static DEQUANTIZE_INT16: Operator =
    Operator { kind: OpKind::DequantizeInt16, verify: verify_dequantize::<i16>, run: run_dequantize::<i16> };
/// Int8 to int8.
pub static REQUANTIZE: Operator = Operator {
    kind: OpKind::Requantize,
    verify: verify_requantize::<i8, i8>,
    run: |call| run_requantize::<i8, i8>(call, any(i32::from)),
};
/// Int16 to int16.
pub static REQUANTIZE_INT16: Operator = Operator {
    kind: OpKind::RequantizeInt16,
    verify: verify_requantize::<i16, i16>,
    run: |call| run_requantize::<i16, i16>(call, any(i32::from)),
};
/// Int8 to int16.
pub static WIDEN: Operator = Operator {
    kind: OpKind::Widen,
    verify: verify_requantize::<i8, i16>,
    run: |call| run_requantize(call, Active::widen),
};
/// Int16 to int8.
pub static NARROW: Operator = Operator {
    kind: OpKind::Narrow,
    verify: verify_requantize::<i16, i8>,
    run: |call| run_requantize(call, Active::narrow),
};
/// Int32 to int16.
pub static NARROW_INT32: Operator = Operator {
    kind: OpKind::NarrowInt32,
    verify: verify_requantize::<i32, i16>,
    run: |call| run_requantize::<i32, i16>(call, any(|code| code)),
};

/// Parameters of a requantization; `C` is the output's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters<C> {
    /// The mantissa of `input_scale / output_scale`.
    pub mantissa: i32,
    /// Its exponent.
    pub exponent: i8,
    /// The range that output codes are clamped to.
    pub range: [C; 2],
}

fn expect_types(view: &StepView<'_>, from: DataType, to: DataType) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    for (tensor, data_type) in [(&input, from), (&output, to)] {
        match data_type {
            DataType::Int8 => tensor.expect_codes::<i8>()?,
            DataType::Int16 => tensor.expect_codes::<i16>()?,
            other => tensor.expect(other)?,
        }
    }
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn verify_quantize<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    expect_types(view, DataType::Float32, C::DATA_TYPE)?;
    let scale = view.output(0)?.scale;
    if scale.is_finite() && scale > 0.0 { Ok(()) } else { Err(Error::Quantization) }
}

fn run_quantize<C: QuantizedElement>(call: &mut Call<'_, '_>) -> kernels::Result {
    let (input, output) = (call.view.input(0)?, call.view.output(0)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    for (value, code) in regions.rest.read(input)?.iter().zip(elements::<C>(codes)?) {
        *code = reference::quantize(*value, output.scale, output.zero_point);
    }
    Ok(())
}

fn verify_dequantize<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    expect_types(view, C::DATA_TYPE, DataType::Float32)
}

fn run_dequantize<C: QuantizedElement>(call: &mut Call<'_, '_>) -> kernels::Result {
    let input = call.view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    for (code, value) in regions.rest.read::<C>(input)?.iter().zip(elements::<f32>(values)?) {
        *value = reference::dequantize(*code, input.scale, input.zero_point);
    }
    Ok(())
}

fn verify_requantize<I: Element, C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    expect_types(view, I::DATA_TYPE, C::DATA_TYPE)?;
    let Parameters { mantissa, exponent, range: [low, high] } = view.parameters::<Parameters<C>>()?;
    let defined = mantissa >= 0 && Multiplier::EXPONENTS.contains(&exponent) && low <= high;
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

/// The reference kernel for any pair of types.
fn any<I: Element, C: QuantizedElement>(
    widen: impl Fn(I) -> i32 + Copy,
) -> impl Fn([i32; 2], Multiplier, [i32; 2], &[I], &mut [C]) {
    move |zero_points, multiplier, range, x, codes| {
        reference::requantize(zero_points, multiplier, range, x, widen, codes);
    }
}

fn run_requantize<I: Element, C: QuantizedElement>(
    call: &mut Call<'_, '_>,
    kernel: impl Fn([i32; 2], Multiplier, [i32; 2], &[I], &mut [C]),
) -> kernels::Result {
    let view = call.view;
    let Parameters { mantissa, exponent, range } = view.parameters::<Parameters<C>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let zero_points = [input.zero_point, output.zero_point];
    let regions = call.output()?;
    let [codes] = regions.writable;
    let multiplier = Multiplier { mantissa, exponent };
    kernel(zero_points, multiplier, range.map(C::widen), regions.rest.read(input)?, elements::<C>(codes)?);
    Ok(())
}
