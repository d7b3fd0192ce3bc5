//! Rewrites of a float graph that leave its function as it is: batch norm, activations and offsets move into layers.

use anyhow::{Context, Result, bail, ensure};

use crate::biases::move_biases;
use crate::graph::{Activation, Data, Graph, Node, Op, Tensor, TensorId};

/// Folds what can be folded; afterwards the graph has no batch norm.
pub fn fold(graph: &mut Graph) -> Result<()> {
    fold_batch_norm(graph)?;
    fuse_padding(graph);
    fuse_activations(graph);
    move_biases(graph)
}

/// The node that writes `id`, if nothing but one node reads it and the caller does not.
fn sole_producer(graph: &Graph, id: TensorId) -> Option<usize> {
    let read_once = graph.consumers(id).count() == 1 && !graph.outputs.contains(&id);
    read_once.then(|| graph.producer(id))?
}

/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta` as a factor and an offset for each channel.
fn factor_and_offset(graph: &Graph, node: &Node, epsilon: f32) -> Result<(Vec<f32>, Vec<f32>)> {
    let [_, gamma, beta, mean, variance] = node.inputs[..] else {
        bail!("{}: batch norm takes five inputs", node.name)
    };
    let values = |id: TensorId| {
        let tensor = graph.tensor(id);
        tensor.float_data().with_context(|| format!("{}: {} is not a constant", node.name, tensor.name))
    };
    let (gamma, beta, mean, variance) = (values(gamma)?, values(beta)?, values(mean)?, values(variance)?);
    let factor: Vec<f32> = gamma
        .iter()
        .zip(variance)
        .map(|(gamma, variance)| (f64::from(*gamma) / (f64::from(*variance) + f64::from(epsilon)).sqrt()) as f32)
        .collect();
    ensure!(factor.iter().all(|factor| factor.is_finite()), "{}: variance + epsilon is not positive", node.name);
    let offset = beta.iter().zip(mean).zip(&factor).map(|((beta, mean), factor)| beta - mean * factor).collect();
    Ok((factor, offset))
}

fn fold_batch_norm(graph: &mut Graph) -> Result<()> {
    while let Some(position) = graph.nodes.iter().position(|node| matches!(node.op, Op::BatchNorm { .. })) {
        let node = graph.nodes[position].clone();
        let Op::BatchNorm { epsilon } = node.op else { bail!("{}: not a batch norm", node.name) };
        let (factor, offset) = factor_and_offset(graph, &node, epsilon)?;
        let foldable = sole_producer(graph, node.inputs[0]).filter(|producer| {
            use Activation::None;
            matches!(
                graph.nodes[*producer].op,
                Op::Conv2d { activation: None, .. }
                    | Op::DepthwiseConv2d { activation: None, .. }
                    | Op::FullyConnected { activation: None }
            )
        });
        match foldable {
            Some(producer) => {
                scale_layer(graph, producer, &factor, &offset)?;
                graph.nodes[producer].outputs = node.outputs;
                graph.nodes.remove(position);
            }
            None => replace_by_arithmetic(graph, position, factor, offset),
        }
    }
    Ok(())
}

/// Multiplies a layer's output channels by `factor` and adds `offset`, inside its weights and bias.
fn scale_layer(graph: &mut Graph, index: usize, factor: &[f32], offset: &[f32]) -> Result<()> {
    let node = graph.nodes[index].clone();
    let weights = graph.tensor(node.inputs[1]).clone();
    let values = weights.float_data().with_context(|| format!("{}: weights are not constant", node.name))?;
    let channels = factor.len();
    // Depthwise weights have the channel innermost, the others outermost.
    let inner = if matches!(node.op, Op::DepthwiseConv2d { .. }) { 1 } else { values.len() / channels.max(1) };
    let scaled =
        values.iter().enumerate().map(|(at, weight)| weight * factor[(at / inner.max(1)) % channels]).collect();
    let bias = match node.inputs.get(2) {
        Some(id) => {
            graph.tensor(*id).float_data().with_context(|| format!("{}: bias is not constant", node.name))?.to_vec()
        }
        None => vec![0.0; channels],
    };
    let bias = bias.iter().zip(factor).zip(offset).map(|((bias, factor), offset)| bias * factor + offset).collect();
    let weights = graph.add_tensor(Tensor { data: Some(Data::Float32(scaled)), ..weights });
    let bias = constant(graph, format!("{}.bias", node.name), bias);
    graph.nodes[index].inputs = vec![node.inputs[0], weights, bias];
    Ok(())
}

fn constant(graph: &mut Graph, name: String, values: Vec<f32>) -> TensorId {
    graph.add_tensor(Tensor {
        name,
        shape: vec![values.len()],
        data_type: nervelet::ops::DataType::Float32,
        quantization: None,
        data: Some(Data::Float32(values)),
    })
}

/// A batch norm that follows no layer becomes a product and a sum.
fn replace_by_arithmetic(graph: &mut Graph, position: usize, factor: Vec<f32>, offset: Vec<f32>) {
    let node = graph.nodes[position].clone();
    let factor = constant(graph, format!("{}.factor", node.name), factor);
    let offset = constant(graph, format!("{}.offset", node.name), offset);
    let scaled = Tensor { name: format!("{}.scaled", node.name), ..graph.tensor(node.outputs[0]).clone() };
    let scaled = graph.add_tensor(scaled);
    let activation = Activation::None;
    let product = Node {
        name: format!("{}.scale", node.name),
        op: Op::Mul { activation },
        inputs: vec![node.inputs[0], factor],
        outputs: vec![scaled],
    };
    let sum = Node { op: Op::Add { activation }, inputs: vec![scaled, offset], ..node };
    graph.nodes.splice(position..=position, [product, sum]);
}

/// Zeros around rows and columns become a convolution's own padding.
fn fuse_padding(graph: &mut Graph) {
    let mut position = 0;
    while position < graph.nodes.len() {
        let fused = spatial_padding(graph, position)
            .filter(|_| matches!(graph.nodes[position].op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. }));
        match fused {
            Some((pad, amounts)) => {
                let source = graph.nodes[pad].inputs[0];
                let node = &mut graph.nodes[position];
                node.inputs[0] = source;
                if let Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } = &mut node.op {
                    window.padding.top += amounts[1].0;
                    window.padding.bottom += amounts[1].1;
                    window.padding.left += amounts[2].0;
                    window.padding.right += amounts[2].1;
                }
                graph.nodes.remove(pad);
                position = position.saturating_sub(1);
            }
            None => position += 1,
        }
    }
}

/// The pad node in front of a node, where it pads only rows and columns and by less than the kernel reaches.
fn spatial_padding(graph: &Graph, position: usize) -> Option<(usize, Vec<(usize, usize)>)> {
    let pad = sole_producer(graph, *graph.nodes[position].inputs.first()?)?;
    let Op::Pad { amounts } = &graph.nodes[pad].op else { return None };
    let (Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. }) = &graph.nodes[position].op else {
        return None;
    };
    let reach = |axis: usize| (window.kernel[axis] - 1) * window.dilation[axis];
    let fits =
        window.padding.top + amounts.get(1)?.0 <= reach(0) && window.padding.left + amounts.get(2)?.0 <= reach(1);
    let only_spatial = amounts.len() == 4 && amounts[0] == (0, 0) && amounts[3] == (0, 0);
    (fits && only_spatial).then(|| (pad, amounts.clone()))
}

/// Whether a node's input and output have the same codes; between different ones a relu rescales, which rounds.
fn keeps_quantization(graph: &Graph, position: usize) -> bool {
    let node = &graph.nodes[position];
    let quantization = |id: &TensorId| &graph.tensor(*id).quantization;
    node.inputs.first().map(quantization) == node.outputs.first().map(quantization)
}

/// A relu behind a layer becomes the layer's own activation.
fn fuse_activations(graph: &mut Graph) {
    let mut position = 0;
    while position < graph.nodes.len() {
        let fused = match graph.nodes[position].op {
            Op::Clamp { activation } => sole_producer(graph, graph.nodes[position].inputs[0])
                .filter(|_| keeps_quantization(graph, position))
                .filter(|producer| activation_of(&mut graph.nodes[*producer].op.clone()) == Some(&mut Activation::None))
                .map(|producer| (producer, activation)),
            _ => None,
        };
        match fused {
            Some((producer, activation)) => {
                let node = graph.nodes.remove(position);
                graph.nodes[producer].outputs = node.outputs;
                if let Some(slot) = activation_of(&mut graph.nodes[producer].op) {
                    *slot = activation;
                }
            }
            None => position += 1,
        }
    }
}

fn activation_of(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d { activation, .. }
        | Op::DepthwiseConv2d { activation, .. }
        | Op::FullyConnected { activation }
        | Op::AveragePool2d { activation, .. }
        | Op::MaxPool2d { activation, .. }
        | Op::Add { activation }
        | Op::Mul { activation } => Some(activation),
        _ => None,
    }
}
