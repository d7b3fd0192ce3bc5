//! Multiply-accumulates of a step: products with a weight, over the whole output, padding included.

use nervelet::Model;
use nervelet::ops::{FloatLayer, OpKind, QuantizedLayer, Step};
use nervelet::ops::{conv_2d, depthwise_conv_2d, fully_connected};

/// The multiply-accumulates of one step of a model; 0 for steps without weights.
pub fn of(model: &Model<'_>, step: &Step<'_>) -> u64 {
    count(model, step).unwrap_or(0)
}

fn count(model: &Model<'_>, step: &Step<'_>) -> Option<u64> {
    let output = model.tensor(step.outputs().next()?)?;
    let channels = u64::from(*output.shape().last()?);
    let pixels = output.elements() as u64 / channels.max(1);
    let weights = match step.kind()? {
        OpKind::Conv2dInt8 => decode::<conv_2d::Parameters<QuantizedLayer>>(step)?.layer.weights.length,
        OpKind::Conv2dFloat32 => decode::<conv_2d::Parameters<FloatLayer>>(step)?.layer.weights.length / 4,
        OpKind::DepthwiseConv2dInt8 => {
            decode::<depthwise_conv_2d::Parameters<QuantizedLayer>>(step)?.layer.weights.length
        }
        OpKind::DepthwiseConv2dFloat32 => {
            decode::<depthwise_conv_2d::Parameters<FloatLayer>>(step)?.layer.weights.length / 4
        }
        OpKind::FullyConnectedInt8 => decode::<fully_connected::Parameters<QuantizedLayer>>(step)?.layer.weights.length,
        OpKind::FullyConnectedFloat32 => {
            decode::<fully_connected::Parameters<FloatLayer>>(step)?.layer.weights.length / 4
        }
        _ => 0,
    };
    Some(pixels * u64::from(weights))
}

fn decode<'m, P: serde::Deserialize<'m>>(step: &Step<'m>) -> Option<P> {
    postcard::from_bytes(step.parameters).ok()
}
