//! Post-training quantization: a folded float graph and the ranges of its tensors become an int8 graph.
//!
//! Weights are symmetric per output channel with codes in -127..=127, activations affine per tensor, biases int32 of
//! scale `input * weight`. Softmax, logistic and tanh have the fixed output scales of TensorFlow Lite; pools, pads,
//! reshapes and concatenations keep the scale of their inputs.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;

use crate::calibrate::Ranges;
use crate::graph::{Data, Graph, Node, Op, Quantization, Tensor, TensorId};

/// Quantizes a folded float graph.
pub fn quantize(graph: &Graph, ranges: &Ranges) -> Result<Graph> {
    let mut quantized = graph.clone();
    assign_scales(&mut quantized, ranges)?;
    for index in 0..quantized.nodes.len() {
        let node = quantized.nodes[index].clone();
        if matches!(node.op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. }) {
            quantize_layer(&mut quantized, index).with_context(|| format!("quantizing {}", node.name))?;
        }
    }
    quantize_constants(&mut quantized);
    align_concatenations(&mut quantized)?;
    Ok(quantized)
}

/// The scale and zero point that cover a range, widened to hold 0 exactly.
fn affine((low, high): (f32, f32)) -> Quantization {
    let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
    // A tensor that was 0 throughout still needs a positive scale.
    let scale = ((high - low) / 255.0).max(1e-8) as f32;
    let zero_point = (-128.0 - low / f64::from(scale)).round().clamp(-128.0, 127.0) as i32;
    Quantization::per_tensor(scale, zero_point)
}

/// The output scale that an operator's arithmetic prescribes.
fn fixed_scale(op: &Op) -> Option<Quantization> {
    match op {
        Op::Softmax { .. } | Op::Logistic => Some(Quantization::per_tensor(1.0 / 256.0, -128)),
        Op::Tanh => Some(Quantization::per_tensor(1.0 / 128.0, 0)),
        _ => None,
    }
}

/// Whether an operator moves codes without scaling them.
fn keeps_scale(op: &Op) -> bool {
    matches!(
        op,
        Op::MaxPool2d { .. }
            | Op::AveragePool2d { .. }
            | Op::Reshape
            | Op::Pad { .. }
            | Op::Rearrange(_)
            | Op::Gather { .. }
            | Op::ResizeBilinear { .. }
    )
}

fn assign_scales(graph: &mut Graph, ranges: &Ranges) -> Result<()> {
    for id in graph.inputs.clone() {
        set_activation(graph, id, affine(range(graph, ranges, id)?));
    }
    for index in 0..graph.nodes.len() {
        let node = graph.nodes[index].clone();
        ensure!(!matches!(node.op, Op::BatchNorm { .. } | Op::Quantize), "{} is not folded", node.name);
        for output in &node.outputs {
            let quantization = match fixed_scale(&node.op) {
                Some(fixed) => fixed,
                None if keeps_scale(&node.op) => {
                    let input = graph.tensor(node.inputs[0]);
                    input
                        .quantization
                        .clone()
                        .with_context(|| format!("{} is read before it is computed", input.name))?
                }
                None => affine(range(graph, ranges, *output)?),
            };
            set_activation(graph, *output, quantization);
        }
    }
    Ok(())
}

fn range(graph: &Graph, ranges: &Ranges, id: TensorId) -> Result<(f32, f32)> {
    let name = &graph.tensor(id).name;
    let range = ranges.get(id.0).copied().flatten().with_context(|| format!("{name} has no calibrated range"))?;
    ensure!(range.0.is_finite() && range.1.is_finite(), "{name} was not finite during calibration: {range:?}");
    Ok(range)
}

fn set_activation(graph: &mut Graph, id: TensorId, quantization: Quantization) {
    let tensor = graph.tensor_mut(id);
    tensor.data_type = DataType::Int8;
    tensor.quantization = Some(quantization);
}

/// Gives a layer int8 weights and an int32 bias.
fn quantize_layer(graph: &mut Graph, index: usize) -> Result<()> {
    let node = graph.nodes[index].clone();
    let weights = graph.tensor(node.inputs[1]).clone();
    let values = weights.float_data().context("the weights are not constant")?;
    let depthwise = matches!(node.op, Op::DepthwiseConv2d { .. });
    let axis = if depthwise { weights.shape.len() - 1 } else { 0 };
    let channels = weights.shape[axis];
    let inner = if depthwise { 1 } else { values.len() / channels.max(1) };
    let channel = |at: usize| (at / inner.max(1)) % channels;
    let mut largest = vec![0.0_f32; channels];
    for (at, value) in values.iter().enumerate() {
        ensure!(value.is_finite(), "a weight is not finite");
        largest[channel(at)] = largest[channel(at)].max(value.abs());
    }
    let scales: Vec<f32> =
        largest.iter().map(|largest| if *largest > 0.0 { largest / 127.0 } else { 1.0 / 127.0 }).collect();
    let codes =
        values.iter().enumerate().map(|(at, value)| (value / scales[channel(at)]).round().clamp(-127.0, 127.0) as i8);
    let codes = Data::Int8(codes.collect());
    let input = graph.tensor(node.inputs[0]).quantization.as_ref().context("the input has no scale")?.scales[0];
    let bias = match node.inputs.get(2) {
        Some(id) => graph.tensor(*id).float_data().context("the bias is not constant")?.to_vec(),
        None => vec![0.0; channels],
    };
    let bias_scales: Vec<f32> = scales.iter().map(|scale| input * scale).collect();
    let bias = bias.iter().zip(&scales).map(|(bias, scale)| {
        let steps = f64::from(*bias) / (f64::from(input) * f64::from(*scale));
        steps.round().clamp(f64::from(i32::MIN / 2), f64::from(i32::MAX / 2)) as i32
    });
    let bias = Tensor {
        name: format!("{}.bias", node.name),
        shape: vec![channels],
        data_type: DataType::Int32,
        data: Some(Data::Int32(bias.collect())),
        quantization: Some(Quantization { zero_points: vec![0; channels], scales: bias_scales, axis: 0 }),
    };
    let quantization = Some(Quantization { zero_points: vec![0; channels], scales, axis });
    let weights = Tensor { data_type: DataType::Int8, data: Some(codes), quantization, ..weights };
    let (weights, bias) = (graph.add_tensor(weights), graph.add_tensor(bias));
    graph.nodes[index].inputs = vec![node.inputs[0], weights, bias];
    Ok(())
}

/// Constants that are operands of element-wise nodes get codes over their own range.
fn quantize_constants(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        for id in graph.nodes[index].inputs.clone() {
            let tensor = graph.tensor_mut(id);
            let Some(Data::Float32(values)) = &tensor.data else { continue };
            let bounds = values.iter().fold((0.0_f32, 0.0_f32), |(low, high), x| (low.min(*x), high.max(*x)));
            let quantization = affine(bounds);
            let (scale, zero_point) = (quantization.scales[0], quantization.zero_points[0]);
            let codes = values.iter().map(|x| nervelet::kernels::reference::quantize(*x, scale, zero_point)).collect();
            tensor.data = Some(Data::Int8(codes));
            tensor.data_type = DataType::Int8;
            tensor.quantization = Some(quantization);
        }
    }
}

/// Inputs of a concatenation with another scale than its output pass through a requantization.
fn align_concatenations(graph: &mut Graph) -> Result<()> {
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = graph.nodes[index].clone();
        if matches!(node.op, Op::Concatenation { .. }) {
            let Some(output) = node.outputs.first() else { bail!("{} has no output", node.name) };
            let quantization = graph.tensor(*output).quantization.clone();
            for (position, id) in node.inputs.iter().enumerate() {
                let input = graph.tensor(*id).clone();
                if input.quantization == quantization {
                    continue;
                }
                let name = format!("{}.requantize_{position}", node.name);
                let aligned = Tensor { name: name.clone(), quantization: quantization.clone(), data: None, ..input };
                let aligned = graph.add_tensor(aligned);
                graph.nodes[index].inputs[position] = aligned;
                graph.nodes.insert(index, Node { name, op: Op::Quantize, inputs: vec![*id], outputs: vec![aligned] });
                index += 1;
            }
        }
        index += 1;
    }
    Ok(())
}
