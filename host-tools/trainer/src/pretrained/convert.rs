//! PyTorch's tensors as this program keeps them.
//!
//! Convolutions agree but for the missing height of one-dimensional ones. A dense layer is transposed, and behind a
//! flattened map its inputs are put in order: PyTorch flattens channel, height, width, this program height, width,
//! channel, as the device does.

use crate::architecture::{Layer, Operation, Part, Shape};
use crate::network::{Weight, Weights};
use crate::recipe::PositionValues;

/// The tensors of a layer, by their part of the name, with their shapes.
pub(super) fn parts(layer: &Layer) -> Vec<(String, Vec<usize>)> {
    let channels = layer.input.channels();
    let with_bias = |weight: Vec<usize>, outputs: usize, bias: bool| {
        let bias = bias.then(|| ("bias".to_owned(), vec![outputs]));
        std::iter::once(("weight".to_owned(), weight)).chain(bias).collect()
    };
    let alike = |parts: &[&str]| parts.iter().map(|part| ((*part).to_owned(), vec![channels])).collect();
    let named = |parts: Vec<Part>| parts.into_iter().map(|part| (part.name, part.shape)).collect();
    match layer.operation {
        Operation::Convolution { filters, window, bias } => {
            let [height, width] = window.kernel;
            with_bias(vec![filters, channels, height, width], filters, bias)
        }
        Operation::Depthwise { multiplier, window, bias } => {
            let [height, width] = window.kernel;
            with_bias(vec![channels * multiplier, 1, height, width], channels * multiplier, bias)
        }
        Operation::BatchNorm { .. } => alike(&["gamma", "beta", "running_mean", "running_variance"]),
        Operation::LayerNorm { .. } => alike(&["gamma", "beta"]),
        Operation::Recurrent(plan) => named(plan.parts(channels)),
        Operation::Encoder(plan) => named(plan.parts(channels)),
        Operation::PositionalEncoding(PositionValues::Learned) => {
            vec![("weight".to_owned(), vec![layer.input.steps(), channels])]
        }
        Operation::Dense { units, bias } => with_bias(vec![channels, units], units, bias),
        _ => Vec::new(),
    }
}

/// A module's tensors as a layer's, with the layer's names; `None` where they don't fit.
pub(super) fn convert(before: &[Layer], layer: &Layer, module: &[(&str, &Weight)]) -> Option<Weights> {
    let find = |name: &str| module.iter().find(|(part, _)| *part == name).map(|(_, weight)| *weight);
    let ours = parts(layer);
    // What the layer can't hold must not get lost. PyTorch counts the batches that a normalization has seen.
    let held = module.iter().filter(|(part, _)| *part != "num_batches_tracked").count();
    if held != ours.len() {
        return None;
    }
    let mut weights = Weights::new();
    for (part, shape) in ours {
        let theirs = match part.as_str() {
            "gamma" => find("weight")?,
            "beta" => find("bias")?,
            "running_variance" => find("running_var")?,
            part => find(part)?,
        };
        let values = match (layer.operation, part.as_str()) {
            (Operation::Dense { units, .. }, "weight") => {
                if theirs.shape != [units, layer.input.channels()] {
                    return None;
                }
                dense(before, layer, theirs)
            }
            (Operation::BatchNorm { .. } | Operation::LayerNorm { .. }, _) if flattened(before, layer).is_some() => {
                return None;
            }
            _ if without_ones(&theirs.shape) == without_ones(&shape) && theirs.shape.first() == shape.first() => {
                theirs.values.clone()
            }
            _ => return None,
        };
        weights.insert(format!("{}.{part}", layer.name), Weight { shape, values });
    }
    Some(weights)
}

/// Extents apart from those of 1: a one-dimensional kernel is one of height 1.
fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|extent| *extent != 1).collect()
}

/// `[out, in]` as `[in, out]`, inputs of a flattened map in this program's order.
fn dense(before: &[Layer], layer: &Layer, theirs: &Weight) -> Vec<f32> {
    let inputs = layer.input.channels();
    let map = flattened(before, layer);
    let place = |input: usize| match map {
        Some([height, width, channels]) if input < height * width * channels => {
            let (pixel, channel) = (input / channels, input % channels);
            channel * height * width + pixel
        }
        _ => input,
    };
    let column = |input: usize| theirs.values.iter().skip(place(input)).step_by(inputs).copied();
    (0..inputs).flat_map(column).collect()
}

/// The map of more than one pixel whose flattened values come first in a layer's input.
fn flattened(before: &[Layer], layer: &Layer) -> Option<[usize; 3]> {
    let keeps_order = |operation: &Operation| {
        matches!(
            operation,
            Operation::Activation(_)
                | Operation::Dropout { .. }
                | Operation::Concatenate
                | Operation::BatchNorm { .. }
                | Operation::LayerNorm { .. }
        )
    };
    let Shape::Vector(_) = layer.input else { return None };
    let source = before.iter().rev().find(|layer| !keeps_order(&layer.operation))?;
    match (source.operation, source.input) {
        (Operation::Flatten, Shape::Map(map)) if map[0] * map[1] > 1 => Some(map),
        _ => None,
    }
}
