//! Average and max pooling over `[1, rows, columns, channels]`.
//!
//! The average divides by the taps inside the image; int8 codes are averaged as they are, with halves away from zero,
//! so input and output share their quantization (TensorFlow Lite's AVERAGE_POOL_2D and MAX_POOL_2D).

use bytemuck::AnyBitPattern;
use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, QuantizedElement, StepView, WindowParameters};
use crate::kernels::{self, Active, Core, Window, reference};

/// Average of int8.
pub static AVERAGE_INT8: Operator = Operator {
    kind: OpKind::AveragePool2dInt8,
    verify: verify::<i8>,
    run: |call| run::<i8>(call, Active::average_pool_2d),
};
/// Average of int16.
pub static AVERAGE_INT16: Operator = Operator {
    kind: OpKind::AveragePool2dInt16,
    verify: verify::<i16>,
    run: |call| run::<i16>(call, reference::average_pool_2d),
};
/// Maximum of int8.
pub static MAX_INT8: Operator =
    Operator { kind: OpKind::MaxPool2dInt8, verify: verify::<i8>, run: |call| run::<i8>(call, Active::max_pool_2d) };
/// Maximum of int16.
pub static MAX_INT16: Operator = Operator {
    kind: OpKind::MaxPool2dInt16,
    verify: verify::<i16>,
    run: |call| run::<i16>(call, reference::max_pool_2d),
};
/// Average of f32.
pub static AVERAGE_FLOAT32: Operator = Operator {
    kind: OpKind::AveragePool2dFloat32,
    verify: verify_f32,
    run: |call| run_f32(call, reference::average_pool_2d_f32),
};
/// Maximum of f32.
pub static MAX_FLOAT32: Operator = Operator {
    kind: OpKind::MaxPool2dFloat32,
    verify: verify_f32,
    run: |call| run_f32(call, reference::max_pool_2d_f32),
};

/// Parameters of a pool; `R` is `[i8; 2]`, `[i16; 2]` or `[f32; 2]`.
#[derive(Debug, Clone, Copy, PartialEq, AnyBitPattern, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Parameters<R> {
    /// The sliding window.
    pub window: WindowParameters,
    /// The range of the fused activation, in codes or reals.
    pub range: R,
}

impl<R> Parameters<R> {
    fn verify(&self, view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
        view.expect_operands(1, 1)?;
        let (input, output) = (view.input(0)?, view.output(0)?);
        input.expect(data_type)?;
        output.expect(data_type)?;
        let (_, [channels, outputs]) = self.window.verify(input, output)?;
        if channels == outputs { Ok(()) } else { Err(Error::Shape) }
    }
}

fn verify<C: QuantizedElement>(view: &StepView<'_>) -> Result<(), Error> {
    let parameters = view.expect_layer::<Parameters<[i32; 2]>>()?.parameters;
    parameters.verify(view, C::DATA_TYPE)?;
    let ([low, high], [least, most]) = (parameters.range, C::RANGE);
    if least <= low && low <= high && high <= most { Ok(()) } else { Err(Error::Quantization) }
}

fn run<C: QuantizedElement>(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(&Window, usize, &[C], [i32; 2], &mut [C]) -> kernels::Result,
) -> kernels::Result {
    // Codes are words in the file.
    let step = call.view.layer::<Parameters<[i32; 2]>>()?;
    let Parameters { window, range } = *step.parameters;
    let (window, [channels, _]) = window.over(step.input, step.output)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    kernel(&window, channels, regions.rest.read(step.input)?, range, elements(codes)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    let parameters: Parameters<[f32; 2]> = view.parameters()?;
    parameters.verify(view, DataType::Float32)?;
    let [low, high] = parameters.range;
    if low <= high { Ok(()) } else { Err(Error::Quantization) }
}

fn run_f32(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(&Window, usize, &[f32], [f32; 2], &mut [f32]) -> kernels::Result,
) -> kernels::Result {
    let view = call.view;
    let Parameters { window, range } = view.parameters::<Parameters<[f32; 2]>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, [channels, _]) = window.over(input, output)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    kernel(&window, channels, regions.rest.read(input)?, range, elements(values)?)
}
