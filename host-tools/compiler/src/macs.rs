//! Multiply-accumulates of a step: products with a weight, or of two operands in attention, over the whole
//! output, padding included.

use nervelet::Model;
use nervelet::ops::{FloatLayer, OpKind, QuantizedLayer, Step, WindowParameters, words};
use nervelet::ops::{attention, conv_2d, depthwise_conv_2d, fully_connected, packed_layer};

/// The multiply-accumulates of one step of a model; 0 for steps without weights.
pub fn of(model: &Model<'_>, step: &Step<'_>) -> u64 {
    count(model, step).unwrap_or(0)
}

fn count(model: &Model<'_>, step: &Step<'_>) -> Option<u64> {
    let output = model.tensor(step.outputs().next()?)?;
    let filter = match step.kind()? {
        OpKind::Conv2dInt8 => conv_2d_filter(model, step, decode::<conv_2d::Parameters<QuantizedLayer>>(step)?)?,
        OpKind::Conv2dPacked
        | OpKind::Conv2dPixelsPacked
        | OpKind::Conv2dPlainPacked
        | OpKind::PointwiseInPlacePacked => {
            let channels = *model.tensor(step.inputs().next()?)?.shape().last()?;
            taps(&decode::<packed_layer::Parameters>(step)?.window) * u64::from(channels)
        }
        OpKind::DepthwiseConv2dPacked | OpKind::DepthwiseColumnsPacked | OpKind::DepthwiseInPlacePacked => {
            taps(&decode::<packed_layer::Parameters>(step)?.window)
        }
        OpKind::FullyConnectedPacked | OpKind::FullyConnectedDirectPacked => {
            decode::<packed_layer::DenseParameters>(step)?.depth.into()
        }
        OpKind::Conv2dFloat32 => conv_2d_filter(model, step, decode::<conv_2d::Parameters<FloatLayer>>(step)?)?,
        OpKind::DepthwiseConv2dInt8 => taps(&decode::<depthwise_conv_2d::Parameters<QuantizedLayer>>(step)?.window),
        OpKind::DepthwiseConv2dFloat32 => taps(&decode::<depthwise_conv_2d::Parameters<FloatLayer>>(step)?.window),
        OpKind::FullyConnectedInt8 => decode::<fully_connected::Parameters<QuantizedLayer>>(step)?.depth.into(),
        OpKind::DenseRowsInt16 => u64::from(*model.tensor(step.inputs().next()?)?.shape().last()?),
        kind @ (OpKind::AttentionInt8
        | OpKind::AttentionInt16
        | OpKind::MaskedAttentionInt8
        | OpKind::MaskedAttentionInt16) => {
            let masked = matches!(kind, OpKind::MaskedAttentionInt8 | OpKind::MaskedAttentionInt16);
            let scores = match masked {
                true => decode::<attention::MaskedParameters>(step)?.attention.scores,
                false => decode::<attention::Parameters>(step)?.scores,
            };
            // Every output is a sum over the keys, and the scores of its query serve all of its columns.
            let outputs = u64::from(scores.batches) * u64::from(scores.rows) * u64::from(scores.columns);
            return Some(outputs * u64::from(scores.depth) + output.elements() as u64 * u64::from(scores.columns));
        }
        OpKind::RnnInt16 | OpKind::RnnFloat32 => return recurrent(model, step, 1),
        OpKind::GruInt16 | OpKind::GruFloat32 => return recurrent(model, step, 3),
        OpKind::LstmInt16 | OpKind::LstmSequenceFloat32 => return recurrent(model, step, 4),
        OpKind::FullyConnectedFloat32 => decode::<fully_connected::Parameters<FloatLayer>>(step)?.depth.into(),
        _ => 0,
    };
    Some(output.elements() as u64 * filter)
}

/// The weights of all gates, on the input and on the state, over all steps of time.
fn recurrent(model: &Model<'_>, step: &Step<'_>, gates: u64) -> Option<u64> {
    let (x, output) = (model.tensor(step.inputs().next()?)?, model.tensor(step.outputs().next()?)?);
    let [depth, units] = [x, output].map(|tensor| u64::from(tensor.shape().last().copied().unwrap_or(0)));
    Some(output.elements() as u64 * gates * (depth + units))
}

fn taps(window: &WindowParameters) -> u64 {
    window.kernel.iter().map(|extent| u64::from(*extent)).product()
}

/// The weights of one output channel.
fn conv_2d_filter<L>(model: &Model<'_>, step: &Step<'_>, parameters: conv_2d::Parameters<L>) -> Option<u64> {
    let channels = *model.tensor(step.inputs().next()?)?.shape().last()?;
    Some(taps(&parameters.window) * u64::from(channels) / u64::from(parameters.groups).max(1))
}

fn decode<'m, P: serde::Deserialize<'m>>(step: &Step<'m>) -> Option<P> {
    words::decode(step.parameters).ok()
}
