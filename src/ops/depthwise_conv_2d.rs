//! Depthwise convolution: every input channel has its own filters, `multiplier` of them.
//!
//! The arithmetic of [`conv_2d`](super::conv_2d); output channel `channel * multiplier + j` (TensorFlow Lite's
//! DEPTHWISE_CONV_2D, double rounding).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, FloatLayer, OpKind, Operator, QuantizedLayer, StepView, Tensor, WideLayer, WindowParameters};
use crate::kernels::{self, Active, Core, reference};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::DepthwiseConv2dInt8, verify, run };
/// The operator on int16 with int8 weights.
pub static INT16: Operator = Operator { kind: OpKind::DepthwiseConv2dInt16, verify: verify_i16, run: run_i16 };
/// The f32 operator.
pub static FLOAT32: Operator = Operator { kind: OpKind::DepthwiseConv2dFloat32, verify: verify_f32, run: run_f32 };

/// Parameters of a depthwise convolution; `L` is [`QuantizedLayer`], [`WideLayer`] or [`FloatLayer`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters<L> {
    /// The sliding window.
    pub window: WindowParameters,
    /// Weights `[kernel_rows][kernel_columns][channels * multiplier]`.
    pub layer: L,
}

impl<L> Parameters<L> {
    /// Checks the shapes; returns the number of weights and of output channels.
    fn verify(&self, input: &Tensor, output: &Tensor) -> Result<[usize; 2], Error> {
        let (window, [channels, outputs]) = self.window.verify(input, output)?;
        if channels == 0 || !outputs.is_multiple_of(channels) {
            return Err(Error::Shape);
        }
        let [rows, columns] = window.kernel;
        Ok([rows.saturating_mul(columns).saturating_mul(outputs), outputs])
    }
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let parameters: Parameters<QuantizedLayer> = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let [weights, channels] = parameters.verify(input, output)?;
    parameters.layer.verify(view, input, output, weights, channels)
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { window, layer } = view.parameters::<Parameters<QuantizedLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let requantization = layer.requantization(view, input, output)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    let x = regions.rest.read(input)?;
    Active::depthwise_conv_2d(&window, channels, x, layer.weights(view)?, &requantization, elements(codes)?)
}

fn verify_i16(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let parameters: Parameters<WideLayer> = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let [weights, channels] = parameters.verify(input, output)?;
    parameters.layer.verify(view, input, output, weights, channels)
}

fn run_i16(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { window, layer } = view.parameters::<Parameters<WideLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let (weights, requantization) = (layer.weights(view)?, layer.requantization(view)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    let x = regions.rest.read(input)?;
    Active::depthwise_conv_2d_i16(&window, channels, x, weights, &requantization, elements(codes)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let parameters: Parameters<FloatLayer> = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let [weights, channels] = parameters.verify(input, output)?;
    parameters.layer.verify(view, input, output, weights, channels)
}

fn run_f32(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { window, layer } = view.parameters::<Parameters<FloatLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let finish = layer.output(view)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    let x = regions.rest.read(input)?;
    reference::depthwise_conv_2d_f32(&window, channels, x, layer.weights(view)?, &finish, elements(values)?)
}
