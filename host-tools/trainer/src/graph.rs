//! Hands a trained network over to the compiler: the same layers over NHWC tensors, with the weights laid out for it.

mod sequence;

use anyhow::{Context, Result, ensure};
use nervelet_compiler::graph::{self, Graph, Padding, TensorId};
use nervelet_compiler::{BatchNormStatistics, GraphBuilder};

use crate::architecture::{Activation, Architecture, Layer, Operation, Shape, Window};
use crate::checkpoint::Checkpoint;
use crate::dataset::Normalization;
use crate::network::Weight;

/// The float graph of a checkpoint, whose inputs are those of [`Dataset::inputs`](crate::dataset::Dataset::inputs). With `classes` it ends in a softmax over them; without, it is an autoencoder and
/// ends in the reconstruction of the normalized input.
///
/// # Errors
/// When the checkpoint lacks a tensor of the architecture, or has it in another shape.
pub(crate) fn to_graph(
    name: &str,
    architecture: &Architecture,
    checkpoint: &Checkpoint,
    classes: &[String],
) -> Result<Graph> {
    let checkpoint = &in_real_units(architecture, checkpoint)?;
    let mut branch = Branch { builder: GraphBuilder::new(name), checkpoint, length: None };
    let [height, width, channels] = architecture.input;
    let input = branch.builder.input("input", &[1, height, width, channels], normalization(&checkpoint.input));
    let mut side = match &architecture.side {
        Some((width, layers)) => {
            let input = branch.builder.input("side", &[1, *width], checkpoint.side.as_ref().and_then(normalization));
            Some(branch.layers(layers, input, &mut None)?)
        }
        None => None,
    };
    branch.length = architecture.lengths.then(|| branch.builder.integers("length", &[1]));
    let mut output = branch.layers(&architecture.layers, input, &mut side)?;
    if !classes.is_empty() {
        output = branch.builder.softmax("softmax", output);
    }
    Ok(branch.builder.finish(&[output], classes))
}

/// A regression's last layer gives normalized values; here it takes on their units.
pub(crate) fn in_real_units(architecture: &Architecture, checkpoint: &Checkpoint) -> Result<Checkpoint> {
    let mut checkpoint = checkpoint.clone();
    let (Some(target), Some(head)) = (&checkpoint.target, architecture.head()) else { return Ok(checkpoint) };
    for part in ["weight", "bias"] {
        let name = format!("{}.{part}", head.name);
        let weight = checkpoint.weights.get_mut(&name).with_context(|| format!("the checkpoint has no {name}"))?;
        let offset = |mean: f32| if part == "bias" { mean } else { 0.0 };
        // The outputs are innermost.
        for (value, (mean, scale)) in weight.values.iter_mut().zip(target.mean.iter().zip(&target.scale).cycle()) {
            *value = *value / scale + offset(*mean);
        }
    }
    Ok(checkpoint)
}

/// The identity needs no pre-processing.
fn normalization(normalization: &Normalization) -> Option<graph::Normalization> {
    (*normalization != Normalization::identity(normalization.mean.len()))
        .then(|| graph::Normalization { mean: normalization.mean.clone(), scale: normalization.scale.clone() })
}

struct Branch<'a> {
    builder: GraphBuilder,
    checkpoint: &'a Checkpoint,
    /// How many steps of the example count.
    length: Option<TensorId>,
}

impl Branch<'_> {
    fn layers(&mut self, layers: &[Layer], mut x: TensorId, side: &mut Option<TensorId>) -> Result<TensorId> {
        for layer in layers {
            x = self.layer(layer, x, side)?;
        }
        Ok(x)
    }

    fn layer(&mut self, layer: &Layer, x: TensorId, side: &mut Option<TensorId>) -> Result<TensorId> {
        let name = layer.name.as_str();
        match layer.operation {
            Operation::Convolution { window, bias, .. } => {
                let weight = self.weight(layer, "weight")?;
                let &[out, inputs, height, width] = weight.shape.as_slice() else {
                    anyhow::bail!("{name}: the weight has shape {:?}, not four extents", weight.shape)
                };
                // [out][in][height][width] to [out][height][width][in].
                let values = permuted(weight, [0, 2, 3, 1]);
                let weights =
                    self.builder.constant(&format!("{name}.weight"), &[out, height, width, inputs], values)?;
                let bias = self.bias(layer, bias)?;
                self.builder.conv_2d(name, x, weights, bias, window.into(), 1)
            }
            Operation::Depthwise { window, bias, .. } => {
                let weight = self.weight(layer, "weight")?;
                let &[out, 1, height, width] = weight.shape.as_slice() else {
                    anyhow::bail!("{name}: the weight has shape {:?}, not [out, 1, height, width]", weight.shape)
                };
                // [channels * multiplier][1][height][width] to [height][width][channels * multiplier].
                let values = permuted(weight, [2, 3, 0, 1]);
                let weights = self.builder.constant(&format!("{name}.weight"), &[height, width, out], values)?;
                let bias = self.bias(layer, bias)?;
                self.builder.depthwise_conv_2d(name, x, weights, bias, window.into())
            }
            Operation::Dense { bias, .. } => {
                let weight = self.weight(layer, "weight")?;
                let &[inputs, units] = weight.shape.as_slice() else {
                    anyhow::bail!("{name}: the weight has shape {:?}, not [in, out]", weight.shape)
                };
                // [in][out] to [out][in]. The order of a flattened map is already the compiler's.
                let mut values = Vec::with_capacity(weight.values.len());
                for unit in 0..units {
                    values.extend(weight.values.iter().skip(unit).step_by(units));
                }
                let weights = self.builder.constant(&format!("{name}.weight"), &[units, inputs], values)?;
                let bias = self.bias(layer, bias)?;
                self.builder.linear(name, x, weights, bias)
            }
            Operation::BatchNorm { epsilon, .. } => {
                let part = |part: &str| self.weight(layer, part).map(|weight| weight.values.clone());
                let statistics = BatchNormStatistics {
                    gamma: part("gamma")?,
                    beta: part("beta")?,
                    mean: part("running_mean")?,
                    variance: part("running_variance")?,
                    epsilon: epsilon as f32,
                };
                self.builder.batch_norm(name, x, statistics)
            }
            Operation::Activation(Activation::Relu) => Ok(self.builder.clamp(name, x, graph::Activation::Relu)),
            Operation::Activation(Activation::Relu6) => Ok(self.builder.clamp(name, x, graph::Activation::Relu6)),
            Operation::Activation(Activation::Tanh) => Ok(self.builder.tanh(name, x)),
            Operation::Activation(Activation::Sigmoid) => Ok(self.builder.logistic(name, x)),
            Operation::Activation(Activation::Gelu) => Ok(self.builder.gelu(name, x)),
            Operation::LastStep => match self.length {
                Some(length) => self.builder.last_step_of_length(name, x, length),
                None => self.builder.last_step(name, x),
            },
            Operation::Recurrent(plan) => self.recurrent(layer, &plan, x),
            Operation::Encoder(plan) => self.encoder(layer, &plan, x),
            Operation::LayerNorm { epsilon } => {
                let [gamma, beta] = ["gamma", "beta"].map(|part| self.constant(layer, part));
                self.builder.layer_norm(name, x, gamma?, beta?, epsilon as f32)
            }
            Operation::PositionalEncoding(values) => self.positional_encoding(layer, values, x),
            Operation::MaxPool(window) => self.builder.max_pool_2d(name, x, window.into()),
            Operation::AveragePool(window) => self.builder.average_pool_2d(name, x, window.into()),
            Operation::GlobalAveragePool => match self.length {
                Some(length) => self.builder.mean_of_length(name, x, length),
                None => self.builder.global_average_pool(name, x),
            },
            Operation::Flatten => match layer.input {
                Shape::Map(_) => self.builder.reshape(name, x, &[1, layer.output.len()]),
                Shape::Vector(_) => Ok(x),
            },
            Operation::Dropout { .. } => Ok(x),
            Operation::Concatenate => {
                let side = side.take().with_context(|| format!("{name}: there is no side input"))?;
                self.builder.concatenation(name, &[x, side], 1)
            }
        }
    }

    fn weight(&self, layer: &Layer, part: &str) -> Result<&Weight> {
        let name = format!("{}.{part}", layer.name);
        let weight = self.checkpoint.weights.get(&name).with_context(|| format!("the checkpoint has no {name}"))?;
        let length: usize = weight.shape.iter().product();
        ensure!(weight.values.len() == length, "{name}: {} values in shape {:?}", weight.values.len(), weight.shape);
        Ok(weight)
    }

    fn bias(&mut self, layer: &Layer, present: bool) -> Result<Option<TensorId>> {
        present.then(|| self.constant(layer, "bias")).transpose()
    }

    /// A weight as it is.
    fn constant(&mut self, layer: &Layer, part: &str) -> Result<TensorId> {
        let Weight { shape, values } = self.weight(layer, part)?.clone();
        self.builder.constant(&format!("{}.{part}", layer.name), &shape, values)
    }
}

impl From<Window> for graph::Window {
    fn from(window: Window) -> Self {
        let [(top, bottom), (left, right)] = window.padding;
        Self {
            kernel: window.kernel,
            stride: window.stride,
            dilation: [1, 1],
            padding: Padding { top, bottom, left, right },
        }
    }
}

/// The values of a tensor of four axes in the order of its axes `axes`.
fn permuted(weight: &Weight, axes: [usize; 4]) -> Vec<f32> {
    let extent = |axis: usize| weight.shape.get(axis).copied().unwrap_or(1);
    let stride = |axis: usize| (axis + 1..4).map(extent).product::<usize>();
    let [a, b, c, d] = axes;
    let mut values = Vec::with_capacity(weight.values.len());
    for i in 0..extent(a) {
        for j in 0..extent(b) {
            for k in 0..extent(c) {
                let start = i * stride(a) + j * stride(b) + k * stride(c);
                values.extend(weight.values.iter().skip(start).step_by(stride(d).max(1)).take(extent(d)));
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permuted_moves_axes() {
        let weight = Weight { shape: vec![2, 3, 1, 2], values: (0..12).map(|value| value as f32).collect() };
        assert_eq!(permuted(&weight, [0, 1, 2, 3]), weight.values);
        // [out][in][1][width] to [out][1][width][in]
        let expected = [0., 2., 4., 1., 3., 5., 6., 8., 10., 7., 9., 11.];
        assert_eq!(permuted(&weight, [0, 2, 3, 1]), expected);
    }
}
