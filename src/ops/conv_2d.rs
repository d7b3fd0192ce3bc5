//! Convolution of an image `[1, rows, columns, channels]` with a filter for each output channel.
//!
//! Int8: `clamp((bias + sum (x - zero_point) * w) * multiplier + output_zero_point)`, one multiplier a channel; taps
//! outside the image add nothing (TensorFlow Lite's CONV_2D, double rounding). A sequence is an image of one row.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, FloatLayer, OpKind, Operator, QuantizedLayer, StepView, Tensor, WideLayer, WindowParameters};
use crate::kernels::{self, Active, Core, reference};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::Conv2dInt8, verify, run };
/// The operator on int16 with int8 weights.
pub static INT16: Operator = Operator { kind: OpKind::Conv2dInt16, verify: verify_i16, run: run_i16 };
/// The f32 operator.
pub static FLOAT32: Operator = Operator { kind: OpKind::Conv2dFloat32, verify: verify_f32, run: run_f32 };

/// Parameters of a convolution; `L` is [`QuantizedLayer`], [`WideLayer`] or [`FloatLayer`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters<L> {
    /// The sliding window.
    pub window: WindowParameters,
    /// Output channel `c` reads the input channels of group `c / (outputs / groups)`.
    pub groups: u16,
    /// Weights `[out][kernel_rows][kernel_columns][in / groups]`.
    pub layer: L,
}

impl<L> Parameters<L> {
    /// Checks the shapes; returns the number of weights and of output channels.
    fn verify(&self, input: &Tensor, output: &Tensor) -> Result<[usize; 2], Error> {
        let (window, [channels, outputs]) = self.window.verify(input, output)?;
        let groups = usize::from(self.groups);
        if groups == 0 || !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(Error::Shape);
        }
        let [rows, columns] = window.kernel;
        let filter = rows.saturating_mul(columns).saturating_mul(channels / groups);
        Ok([outputs.saturating_mul(filter), outputs])
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
    let Parameters { window, groups, layer } = view.parameters::<Parameters<QuantizedLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let requantization = layer.requantization(view, input, output)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    let x = regions.rest.read(input)?;
    let weights = layer.weights(view)?;
    Active::conv_2d(&window, channels, groups.into(), x, weights, &requantization, elements(codes)?)
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
    let Parameters { window, groups, layer } = view.parameters::<Parameters<WideLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let (weights, requantization) = (layer.weights(view)?, layer.requantization(view)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    let x = regions.rest.read(input)?;
    Active::conv_2d_i16(&window, channels, groups.into(), x, weights, &requantization, elements(codes)?)
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
    let Parameters { window, groups, layer } = view.parameters::<Parameters<FloatLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let (window, channels) = window.over(input, output)?;
    let finish = layer.output(view)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    let x = regions.rest.read(input)?;
    let weights = layer.weights(view)?;
    reference::conv_2d_f32(&window, channels, groups.into(), x, weights, &finish, elements(values)?)
}
