//! Post-training quantization: a folded float graph and the ranges of its tensors become an integer graph.
//!
//! Weights are symmetric per output channel with codes in -127..=127. Activations of 8 bits are affine per tensor, those of
//! 16 bits, where `width` asks for them, symmetric; biases are integers of scale `input * weight`. Softmax, logistic, tanh and
//! recurrent states have fixed output scales; pools, pads, reshapes and concatenations keep the scale of their inputs.

mod attention;
mod convert;
mod recurrent;
mod width;

use anyhow::{Context, Result, bail, ensure};
use nervelet::kernels::reference::{CELL_FRACTION, quantize as code};
use nervelet::ops::DataType;

use crate::calibrate::Ranges;
use crate::graph::{Activation, Cell, Data, Graph, Node, Op, Quantization, Tensor, TensorId};
use crate::pack::rows::{Row, pack_rows};

/// Room above the largest value seen: 16-bit codes can afford it, and values beyond calibration clip hard.
const HEADROOM: f64 = 1.25;
/// The same for sums, which grow along a residual stream.
const SUM_HEADROOM: f64 = 1.5;
/// The same for what recurrent layers read: a clipped input stays in the state.
const RECURRENT_HEADROOM: f64 = 2.0;

/// The width of what is multiplied in layers that `width` gives 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 16 bits: nothing is lost but what 8-bit weights lose.
    #[default]
    Wide,
    /// 8 bits: faster and smaller; sums, residual streams, normalisations and recurrent layers keep 16 bits.
    Narrow,
}

/// Quantizes a folded float graph.
pub fn quantize(graph: &Graph, ranges: &Ranges) -> Result<Graph> {
    quantize_with(graph, ranges, Precision::default())
}

/// As [`quantize()`], with the width of operands.
pub fn quantize_with(graph: &Graph, ranges: &Ranges, precision: Precision) -> Result<Graph> {
    let mut quantized = graph.clone();
    attention::fuse(&mut quantized);
    quantize_tables(&mut quantized);
    let head = crate::compile::head_of(&quantized).map(|head| head.node);
    let types = width::node_types(&quantized, precision, head.as_deref());
    assign_scales(&mut quantized, ranges, &types)?;
    convert::convert(&mut quantized, ranges, &types)?;
    for index in 0..quantized.nodes.len() {
        let node = quantized.nodes[index].clone();
        let done = match node.op {
            Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
                quantize_layer(&mut quantized, index)
            }
            Op::Recurrent { .. } => recurrent::quantize_layer(&mut quantized, index),
            _ => Ok(()),
        };
        done.with_context(|| format!("quantizing {}", node.name))?;
    }
    quantize_constants(&mut quantized);
    align_concatenations(&mut quantized)?;
    Ok(quantized)
}

/// The scale and zero point of 8 bits that cover a range, widened to hold 0 exactly.
fn affine((low, high): (f32, f32)) -> Quantization {
    let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
    // A tensor that was 0 throughout still needs a positive scale.
    let scale = ((high - low) / 255.0).max(1e-8) as f32;
    let zero_point = (-128.0 - low / f64::from(scale)).round().clamp(-128.0, 127.0) as i32;
    Quantization::per_tensor(scale, zero_point)
}

/// The scale of 16 bits that covers a range with room to spare.
fn symmetric((low, high): (f32, f32), headroom: f64) -> Quantization {
    let largest = f64::from(low.abs().max(high.abs()));
    Quantization::per_tensor((headroom * largest / 32_767.0).max(1e-8) as f32, 0)
}

/// The output scale that an operator's arithmetic prescribes for a type.
fn fixed_scale(op: &Op, data_type: DataType) -> Option<Quantization> {
    let relu = Op::Recurrent { cell: Cell::Rnn { activation: Activation::Relu }, reverse: false };
    match (op, data_type) {
        (Op::Softmax { .. } | Op::Logistic, DataType::Int8) => Some(Quantization::per_tensor(1.0 / 256.0, -128)),
        (Op::Tanh, DataType::Int8) => Some(Quantization::per_tensor(1.0 / 128.0, 0)),
        (Op::Softmax { .. } | Op::Logistic | Op::Tanh, _) => Some(Quantization::per_tensor(1.0 / 32_768.0, 0)),
        (Op::Recurrent { cell, .. }, _) if Op::Recurrent { cell: *cell, reverse: false } != relu => {
            Some(Quantization::per_tensor(1.0 / 32_768.0, 0))
        }
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
            | Op::Copy
            | Op::Pad { .. }
            | Op::Rearrange(_)
            | Op::Gather { .. }
            | Op::Embedding
            | Op::ResizeBilinear { .. }
    )
}

/// Gives every computed tensor its type and scale.
fn assign_scales(graph: &mut Graph, ranges: &Ranges, types: &[DataType]) -> Result<()> {
    for id in graph.inputs.clone() {
        if graph.is_integer(id) {
            continue;
        }
        let range = range(graph, ranges, id)?;
        let initial = initial_state(graph, id);
        let (data_type, quantization) = match initial {
            Some(state) => state,
            None if !width::reaches_wide(graph, id) => (DataType::Int8, affine(range)),
            None if width::feeds_recurrent(graph, id) => (DataType::Int16, symmetric(range, RECURRENT_HEADROOM)),
            None => (DataType::Int16, symmetric(range, HEADROOM)),
        };
        set_activation(graph, id, data_type, quantization);
    }
    for id in graph.states.clone() {
        if let Some((data_type, quantization)) = initial_state(graph, id) {
            set_activation(graph, id, data_type, quantization);
        }
    }
    for (index, own) in types.iter().copied().enumerate() {
        let node = graph.nodes[index].clone();
        ensure!(!matches!(node.op, Op::BatchNorm { .. } | Op::Quantize), "{} is not folded", node.name);
        for (position, output) in node.outputs.iter().enumerate() {
            if graph.states.contains(output) && graph.tensor(*output).quantization.is_some() {
                continue;
            }
            let (data_type, quantization) = match fixed_scale(&node.op, own) {
                None if let Some(joined) = alike(graph, &node) => joined,
                // The cell of an LSTM.
                Some(_) if position == 2 => (DataType::Int32, cell_scale()),
                Some(fixed) => (own, fixed),
                None if keeps_scale(&node.op) => {
                    let input = graph.tensor(node.inputs[0]);
                    let quantization = input.quantization.clone();
                    (
                        input.data_type,
                        quantization.with_context(|| format!("{} is read before it is computed", input.name))?,
                    )
                }
                None => {
                    let mut range = range(graph, ranges, *output)?;
                    if matches!(node.op, Op::Recurrent { .. }) {
                        // The last state is one of the sequence.
                        range = self::range(graph, ranges, node.outputs[0])?;
                    }
                    let headroom = match node.op {
                        _ if width::feeds_recurrent(graph, *output) => RECURRENT_HEADROOM,
                        Op::Recurrent { .. } => RECURRENT_HEADROOM,
                        Op::Add { .. } | Op::Sub { .. } => SUM_HEADROOM,
                        _ => HEADROOM,
                    };
                    let wide = own == DataType::Int16;
                    (own, if wide { symmetric(range, headroom) } else { affine(range) })
                }
            };
            set_activation(graph, *output, data_type, quantization);
        }
    }
    Ok(())
}

/// The type and scale that all inputs of a concatenation have, where they are alike and not of 8 bits.
fn alike(graph: &Graph, node: &Node) -> Option<(DataType, Quantization)> {
    let first = graph.tensor(*node.inputs.first()?);
    let same = |id: &TensorId| {
        let tensor = graph.tensor(*id);
        tensor.data_type == first.data_type && tensor.quantization == first.quantization
    };
    let joins = matches!(node.op, Op::Concatenation { .. }) && first.data_type != DataType::Int8;
    let quantization = first.quantization.clone().filter(|_| joins && node.inputs.iter().all(same))?;
    Some((first.data_type, quantization))
}

/// The scale of an LSTM's cell.
fn cell_scale() -> Quantization {
    Quantization::per_tensor((-(CELL_FRACTION as f32)).exp2(), 0)
}

/// The type and scale that a recurrent layer wants a tensor to have that is its initial state.
fn initial_state(graph: &Graph, id: TensorId) -> Option<(DataType, Quantization)> {
    graph.consumers(id).find_map(|reader| {
        let node = &graph.nodes[reader];
        let position = node.inputs.iter().position(|input| *input == id)?;
        match (&node.op, position) {
            (Op::Recurrent { .. }, 6) => Some((DataType::Int32, cell_scale())),
            (Op::Recurrent { .. }, 5) => Some((DataType::Int16, fixed_scale(&node.op, DataType::Int16)?)),
            _ => None,
        }
    })
}

fn range(graph: &Graph, ranges: &Ranges, id: TensorId) -> Result<(f32, f32)> {
    let name = &graph.tensor(id).name;
    // A view that quantization made has the range of what it views.
    let mut source = id;
    while source.0 >= ranges.len()
        && let Some(producer) = graph.producer(source)
    {
        source = graph.nodes[producer].inputs[0];
    }
    let range = ranges.get(source.0).copied().flatten().with_context(|| format!("{name} has no calibrated range"))?;
    ensure!(range.0.is_finite() && range.1.is_finite(), "{name} was not finite during calibration: {range:?}");
    Ok(range)
}

fn set_activation(graph: &mut Graph, id: TensorId, data_type: DataType, quantization: Quantization) {
    let tensor = graph.tensor_mut(id);
    tensor.data_type = data_type;
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
    let x = graph.tensor(node.inputs[0]);
    let wide = x.data_type == DataType::Int16;
    let input = x.quantization.as_ref().context("the input has no scale")?.scales[0];
    let bias = match node.inputs.get(2) {
        Some(id) => graph.tensor(*id).float_data().context("the bias is not constant")?.to_vec(),
        None => vec![0.0; channels],
    };
    let bias_scales: Vec<f32> = scales.iter().map(|scale| input * scale).collect();
    let bias = bias.iter().zip(&scales).map(|(bias, scale)| {
        let steps = f64::from(*bias) / (f64::from(input) * f64::from(*scale));
        // `as` saturates, far beyond what fits the sums of 16-bit inputs.
        if wide { steps.round().clamp(-1e12, 1e12) as i64 } else { steps.round().clamp(-1e9, 1e9) as i64 }
    });
    let data = match wide {
        true => Data::Int64(bias.collect()),
        false => Data::Int32(bias.map(|bias| bias as i32).collect()),
    };
    let bias = Tensor {
        name: format!("{}.bias", node.name),
        shape: vec![channels],
        data_type: data.data_type(),
        data: Some(data),
        quantization: Some(Quantization { zero_points: vec![0; channels], scales: bias_scales, axis: 0 }),
    };
    let quantization = Some(Quantization { zero_points: vec![0; channels], scales, axis });
    let weights = Tensor { data_type: DataType::Int8, data: Some(codes), quantization, ..weights };
    let (weights, bias) = (graph.add_tensor(weights), graph.add_tensor(bias));
    graph.nodes[index].inputs = vec![node.inputs[0], weights, bias];
    if let (Op::FullyConnected { activation }, true, Some(narrow)) = (node.op, wide, bias_of_rows(graph, index)) {
        let narrow = graph.add_tensor(narrow);
        graph.nodes[index].inputs[2] = narrow;
        graph.nodes[index].op = Op::DenseRows { activation };
    }
    Ok(())
}

/// The bias in 32 bits of a dense layer of 16 bits whose sums fit 32 bits whatever the inputs: it takes the faster kernel
/// that rounds once.
fn bias_of_rows(graph: &Graph, index: usize) -> Option<Tensor> {
    let node = &graph.nodes[index];
    let [x, weights, bias] = node.inputs[..] else { return None };
    let [x, weights, bias] = [x, weights, bias].map(|id| graph.tensor(id));
    let output = graph.tensor(*node.outputs.first()?);
    let [outputs, depth] = weights.shape[..] else { return None };
    if x.shape.last() != Some(&depth) || output.shape.last() != Some(&outputs) {
        return None;
    }
    let scale = |tensor: &Tensor| Some(f64::from(*tensor.quantization.as_ref()?.scales.first()?));
    let factor = scale(x)? / scale(output)?;
    let (Some(Data::Int8(codes)), Some(Data::Int64(biases))) = (&weights.data, &bias.data) else { return None };
    let biases: Vec<i32> = biases.iter().map(|bias| i32::try_from(*bias).ok()).collect::<Option<_>>()?;
    let scales = &weights.quantization.as_ref()?.scales;
    let rows = codes.chunks_exact(depth).zip(&biases).zip(scales).map(|((weights, bias), scale)| Row {
        weights: weights.to_vec(),
        bias: *bias,
        factor: f64::from(*scale) * factor,
    });
    pack_rows(&rows.collect::<Vec<_>>()).ok()?;
    Some(Tensor { data_type: DataType::Int32, data: Some(Data::Int32(biases)), ..bias.clone() })
}

/// Tables of embeddings get int8 codes over their own range; layers that share one keep it.
fn quantize_tables(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        let Some(table) = graph.nodes[index].inputs.first().copied() else { continue };
        let (Op::Embedding, Some(values)) = (&graph.nodes[index].op, graph.tensor(table).float_data()) else {
            continue;
        };
        let quantization = affine(bounds(values));
        let (scale, zero_point) = (quantization.scales[0], quantization.zero_points[0]);
        let data = Data::Int8(values.iter().map(|x| code(*x, scale, zero_point)).collect());
        let tensor = Tensor {
            data_type: DataType::Int8,
            data: Some(data),
            quantization: Some(quantization),
            ..graph.tensor(table).clone()
        };
        graph.nodes[index].inputs[0] = graph.add_tensor(tensor);
    }
}

/// The smallest and the largest value, or 0.
fn bounds(values: &[f32]) -> (f32, f32) {
    values.iter().fold((0.0_f32, 0.0_f32), |(low, high), x| (low.min(*x), high.max(*x)))
}

/// Constants that are operands of nodes get codes over their own range, of the type that the node computes in.
fn quantize_constants(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        let node = graph.nodes[index].clone();
        let wide = node.outputs.first().is_some_and(|output| graph.tensor(*output).data_type == DataType::Int16);
        for id in width::activations(&node).iter().map(|position| node.inputs[*position]) {
            let state = initial_state(graph, id);
            let tensor = graph.tensor_mut(id);
            let Some(Data::Float32(values)) = &tensor.data else { continue };
            let bounds = bounds(values);
            let own =
                || if wide { (DataType::Int16, symmetric(bounds, 1.0)) } else { (DataType::Int8, affine(bounds)) };
            let (data_type, quantization) = state.unwrap_or_else(own);
            let (scale, zero_point) = (quantization.scales[0], quantization.zero_points[0]);
            let data = match data_type {
                DataType::Int32 => Data::Int32(values.iter().map(|x| (x / scale).round() as i32).collect()),
                DataType::Int16 => Data::Int16(values.iter().map(|x| code(*x, scale, zero_point)).collect()),
                _ => Data::Int8(values.iter().map(|x| code(*x, scale, zero_point)).collect()),
            };
            tensor.data = Some(data);
            tensor.data_type = data_type;
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
