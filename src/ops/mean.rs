//! Mean over neighbouring axes: the input read as `[blocks, count, channels]`, the middle one averaged.
//!
//! Int8: the division by `count` is part of the multiplier, as in TensorFlow Lite's MEAN. Global average pooling of
//! `[1, rows, columns, channels]` has one block of `rows * columns`.
//!
//! The masked ones take how many rows of each block count from a second input, one int32: the first so many, to the bit as if
//! the others were not there. Without any row, the mean is 0; more than there are means all.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Element, Error, OpKind, Operator, QuantizedElement, StepView};
use crate::fixed::Multiplier;
use crate::kernels::{self, OutOfBounds, reference};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::MeanInt8, verify: verify::<i8>, run: run::<i8> };
/// The int16 operator.
pub static INT16: Operator = Operator { kind: OpKind::MeanInt16, verify: verify::<i16>, run: run::<i16> };
/// The f32 operator.
pub static FLOAT32: Operator =
    Operator { kind: OpKind::MeanFloat32, verify: verify_f32, run: |call| run_f32(call, reference::mean_f32) };
/// The int8 operator over the first rows.
pub static MASKED_INT8: Operator =
    Operator { kind: OpKind::MaskedMeanInt8, verify: verify_masked::<i8>, run: run_masked::<i8> };
/// The int16 operator over the first rows.
pub static MASKED_INT16: Operator =
    Operator { kind: OpKind::MaskedMeanInt16, verify: verify_masked::<i16>, run: run_masked::<i16> };
/// The f32 operator over the first rows.
pub static MASKED_FLOAT32: Operator =
    Operator { kind: OpKind::MaskedMeanFloat32, verify: verify_masked_f32, run: run_masked_f32 };
/// The f32 sum; a sum of codes is a mean whose multiplier is not divided.
pub static SUM_FLOAT32: Operator =
    Operator { kind: OpKind::SumFloat32, verify: verify_f32, run: |call| run_f32(call, reference::sum_f32) };

/// Parameters of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// Elements averaged into one.
    pub count: u32,
    /// Elements between two that are averaged.
    pub channels: u32,
    /// The mantissa of `input_scale / output_scale / count`, undivided where a mask says how many count; unused for f32.
    pub mantissa: i32,
    /// Its exponent.
    pub exponent: i8,
}

impl Parameters {
    /// The parameters of a mean of codes; the multiplier is divided as the reference divides it.
    pub fn codes(count: u32, channels: u32, input_scale: f32, output_scale: f32) -> Self {
        let multiplier = Multiplier::from_real(f64::from(input_scale) / f64::from(output_scale));
        let Multiplier { mantissa, exponent } = divided(multiplier, count);
        Self { count, channels, mantissa, exponent }
    }

    /// The parameters of a sum of codes, and of a masked mean, whose multiplier is divided when the count is known.
    pub fn sum(count: u32, channels: u32, input_scale: f32, output_scale: f32) -> Self {
        let Multiplier { mantissa, exponent } = Multiplier::from_real(f64::from(input_scale) / f64::from(output_scale));
        Self { count, channels, mantissa, exponent }
    }

    /// Checks the shapes of input and output, and the input's type.
    pub(super) fn verify(&self, view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
        view.expect_operands(1, 1)?;
        self.verify_shape(view, data_type)
    }

    fn verify_shape(&self, view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
        let (input, output) = (view.input(0)?, view.output(0)?);
        input.expect(data_type)?;
        let (count, channels) = (self.count as usize, self.channels as usize);
        let fits = count > 0
            && channels > 0
            && output.elements().is_multiple_of(channels)
            && output.elements().saturating_mul(count) == input.elements();
        if fits { Ok(()) } else { Err(Error::Shape) }
    }
}

/// A multiplier over a count, as the reference divides it.
fn divided(Multiplier { mantissa, exponent }: Multiplier, count: u32) -> Multiplier {
    let room = 63_u32.saturating_sub(u64::from(count.max(1)).leading_zeros()) as i32;
    let shift = room.min(32).min(31 + i32::from(exponent)).max(0);
    let divided = (i64::from(mantissa) << shift) / i64::from(count.max(1));
    Multiplier { mantissa: divided as i32, exponent: (i32::from(exponent) - shift) as i8 }
}

fn verify<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    let parameters: Parameters = view.parameters()?;
    parameters.verify(view, C::DATA_TYPE)?;
    verify_codes::<C>(view, &parameters)
}

fn verify_codes<C: QuantizedElement>(view: &StepView<'_>, parameters: &Parameters) -> Result<(), Error> {
    view.input(0)?.expect_codes::<C>()?;
    view.output(0)?.expect_codes::<C>()?;
    let defined = parameters.mantissa >= 0 && Multiplier::EXPONENTS.contains(&parameters.exponent);
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

fn run<C: QuantizedElement>(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { count, channels, mantissa, exponent } = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    let zero_points = [input.zero_point, output.zero_point];
    let multiplier = Multiplier { mantissa, exponent };
    let x = regions.rest.read(input)?;
    reference::mean::<C>(channels as usize, count as usize, x, zero_points, multiplier, elements(codes)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Parameters>()?.verify(view, DataType::Float32)?;
    view.output(0)?.expect(DataType::Float32)
}

fn run_f32(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(usize, usize, &[f32], &mut [f32]) -> kernels::Result,
) -> kernels::Result {
    let view = call.view;
    let Parameters { count, channels, .. } = view.parameters()?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    kernel(channels as usize, count as usize, regions.rest.read(input)?, elements(values)?)
}

/// Checks the shapes and the count's input.
fn verify_mask(view: &StepView<'_>, parameters: &Parameters, data_type: DataType) -> Result<(), Error> {
    view.expect_operands(2, 1)?;
    let count = view.input(1)?;
    count.expect(DataType::Int32)?;
    if count.elements() != 1 {
        return Err(Error::Shape);
    }
    parameters.verify_shape(view, data_type)
}

fn verify_masked<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    let parameters: Parameters = view.parameters()?;
    verify_mask(view, &parameters, C::DATA_TYPE)?;
    verify_codes::<C>(view, &parameters)
}

fn verify_masked_f32(view: &StepView<'_>) -> Result<(), Error> {
    verify_mask(view, &view.parameters()?, DataType::Float32)?;
    view.output(0)?.expect(DataType::Float32)
}

fn run_masked<C: QuantizedElement>(call: &mut Call<'_, '_>) -> kernels::Result {
    let parameters: Parameters = call.view.parameters()?;
    let Parameters { mantissa, exponent, channels, .. } = parameters;
    let zero_points = [call.view.input(0)?.zero_point, call.view.output(0)?.zero_point];
    let multiplier = Multiplier { mantissa, exponent };
    let zero = C::saturate(zero_points[1]);
    masked(call, &parameters, zero, |count, block, codes| {
        let multiplier = divided(multiplier, count);
        reference::mean::<C>(channels as usize, count as usize, block, zero_points, multiplier, codes)
    })
}

fn run_masked_f32(call: &mut Call<'_, '_>) -> kernels::Result {
    let parameters: Parameters = call.view.parameters()?;
    masked(call, &parameters, 0.0, |count, block, values| {
        reference::mean_f32(parameters.channels as usize, count as usize, block, values)
    })
}

/// Gives each block's first rows to the kernel, `zero` where there are none.
fn masked<T: Element>(
    call: &mut Call<'_, '_>,
    &Parameters { count, channels, .. }: &Parameters,
    zero: T,
    mean: impl Fn(u32, &[T], &mut [T]) -> kernels::Result,
) -> kernels::Result {
    let view = call.view;
    let (input, taken) = (view.input(0)?, view.input(1)?);
    let regions = call.output()?;
    let [output] = regions.writable;
    let (x, output) = (regions.rest.read::<T>(input)?, elements::<T>(output)?);
    let taken = regions.rest.read::<i32>(taken)?.first().copied().unwrap_or(0).max(0).unsigned_abs().min(count);
    if taken == 0 {
        output.fill(zero);
        return Ok(());
    }
    let (channels, rows) = (channels as usize, taken as usize);
    let blocks = x.chunks_exact(channels.wrapping_mul(count as usize).max(1));
    for (block, output) in blocks.zip(output.chunks_exact_mut(channels.max(1))) {
        mean(taken, block.get(..rows.wrapping_mul(channels)).ok_or(OutOfBounds)?, output)?;
    }
    Ok(())
}
