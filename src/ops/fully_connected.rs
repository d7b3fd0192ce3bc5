//! Dense layer: every output is a weighted sum of all inputs of its row.
//!
//! Int8: the arithmetic of [`conv_2d`](super::conv_2d) (TensorFlow Lite Micro's FULLY_CONNECTED, double rounding).
//! The input is read as `[rows, in]`; the output's last extent is the number of outputs.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, FloatLayer, OpKind, Operator, QuantizedLayer, StepView, Tensor, WideLayer};
use crate::kernels::{self, Active, Core, reference};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::FullyConnectedInt8, verify, run };
/// The operator on int16 with int8 weights.
pub static INT16: Operator = Operator { kind: OpKind::FullyConnectedInt16, verify: verify_i16, run: run_i16 };
/// The f32 operator.
pub static FLOAT32: Operator = Operator { kind: OpKind::FullyConnectedFloat32, verify: verify_f32, run: run_f32 };

/// Parameters of a dense layer; `L` is [`QuantizedLayer`], [`WideLayer`] or [`FloatLayer`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters<L> {
    /// Inputs of one row.
    pub depth: u32,
    /// Weights `[out][in]`.
    pub layer: L,
}

impl<L> Parameters<L> {
    /// Checks the shapes; returns the number of weights and of outputs.
    fn verify(&self, input: &Tensor, output: &Tensor) -> Result<[usize; 2], Error> {
        let depth = self.depth as usize;
        let outputs = output.shape().last().map_or(0, |extent| *extent as usize);
        if depth == 0 || outputs == 0 || !input.elements().is_multiple_of(depth) {
            return Err(Error::Shape);
        }
        let rows = input.elements() / depth;
        if output.elements() != rows.saturating_mul(outputs) {
            return Err(Error::Shape);
        }
        Ok([outputs.saturating_mul(depth), outputs])
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
    let Parameters { depth, layer } = view.parameters::<Parameters<QuantizedLayer>>()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let requantization = layer.requantization(view, input, output)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    let x = regions.rest.read(input)?;
    Active::fully_connected(depth as usize, x, layer.weights(view)?, &requantization, elements(codes)?)
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
    let Parameters { depth, layer } = view.parameters::<Parameters<WideLayer>>()?;
    let input = view.input(0)?;
    let (weights, requantization) = (layer.weights(view)?, layer.requantization(view)?);
    let regions = call.output()?;
    let [codes] = regions.writable;
    let x = regions.rest.read(input)?;
    Active::fully_connected_i16(depth as usize, x, weights, &requantization, elements(codes)?)
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
    let Parameters { depth, layer } = view.parameters::<Parameters<FloatLayer>>()?;
    let input = view.input(0)?;
    let finish = layer.output(view)?;
    let regions = call.output()?;
    let [values] = regions.writable;
    let x = regions.rest.read(input)?;
    reference::fully_connected_f32(depth as usize, x, layer.weights(view)?, &finish, elements(values)?)
}
