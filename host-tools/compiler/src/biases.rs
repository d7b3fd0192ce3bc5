//! Offsets move to where they cost nothing: out of activations, into the biases of dense layers.
//!
//! An activation without its offset has a smaller range, and is exactly 0 where its input is: fewer bits are lost. Three moves
//! leave the function as it is. The offset of a normalisation goes through the dense layers that read it. What is added to
//! all keys of an attention shifts the scores of a query alike, which its softmax doesn't see. What is added to all values
//! comes out as it went in, since probabilities sum to 1, and goes through the dense layer behind.

use anyhow::Result;
use nervelet::kernels::reference;

use crate::graph::{Activation, Data, Graph, Op, Tensor, TensorId};

/// Makes every move there is.
pub(crate) fn move_biases(graph: &mut Graph) -> Result<()> {
    for index in 0..graph.nodes.len() {
        match graph.nodes[index].op {
            Op::LayerNorm { .. } => move_offset(graph, index),
            Op::FullyConnected { activation: Activation::None } if offsets(graph, index).is_some() => {
                drop_from_keys(graph, index)?;
                move_from_values(graph, index)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A reader of what a layer computes, behind nodes that only move elements or scale them all alike.
struct Reader {
    /// The node, or none for the caller, and which of its inputs it is.
    node: Option<usize>,
    position: usize,
    /// The channel of the layer that each element of that input comes from.
    channels: Vec<u32>,
    /// Whether elements were scaled on the way.
    scaled: bool,
}

/// All readers of a tensor whose elements come from some channels.
fn readers(graph: &Graph, id: TensorId, channels: &[u32], scaled: bool, found: &mut Vec<Reader>) -> Result<()> {
    if graph.outputs.contains(&id) || graph.states.contains(&id) {
        found.push(Reader { node: None, position: 0, channels: channels.into(), scaled });
    }
    for index in graph.consumers(id) {
        let node = &graph.nodes[index];
        let mut moved = vec![0; node.outputs.first().map_or(0, |output| graph.tensor(*output).elements())];
        let is_number = |id: &TensorId| graph.tensor(*id).data.is_some() && graph.tensor(*id).elements() == 1;
        match &node.op {
            Op::Reshape if moved.len() == channels.len() => moved.copy_from_slice(channels),
            Op::Rearrange(map) => {
                reference::rearrange(map, channels, &mut moved).map_err(nervelet::ops::Error::from)?;
            }
            Op::Gather { axis, rows } => {
                let shape = &graph.tensor(id).shape;
                let inner = shape[axis + 1..].iter().product();
                reference::gather(shape[*axis], inner, rows, channels, &mut moved)
                    .map_err(nervelet::ops::Error::from)?;
            }
            Op::Mul { activation: Activation::None } | Op::Div { activation: Activation::None }
                if node.inputs.first() == Some(&id) && node.inputs[1..].iter().all(is_number) =>
            {
                readers(graph, node.outputs[0], channels, true, found)?;
                continue;
            }
            _ => {
                let positions = (0..node.inputs.len()).filter(|position| node.inputs[*position] == id);
                found.extend(positions.map(|position| Reader {
                    node: Some(index),
                    position,
                    channels: channels.into(),
                    scaled,
                }));
                continue;
            }
        }
        readers(graph, node.outputs[0], &moved, scaled, found)?;
    }
    Ok(())
}

/// The readers of a node whose channels lie along the last axis.
fn readers_of(graph: &Graph, index: usize) -> Result<Vec<Reader>> {
    let output = graph.nodes[index].outputs[0];
    let tensor = graph.tensor(output);
    let count = tensor.shape.last().copied().unwrap_or(1).max(1);
    let channels: Vec<u32> = (0..tensor.elements()).map(|at| (at % count) as u32).collect();
    let mut found = Vec::new();
    readers(graph, output, &channels, false, &mut found)?;
    Ok(found)
}

/// The channels of a reader that is a dense layer, where they are the same in every row.
fn dense_channels<'r>(graph: &Graph, reader: &'r Reader) -> Option<&'r [u32]> {
    let node = &graph.nodes[reader.node?];
    let dense = matches!(node.op, Op::FullyConnected { .. }) && reader.position == 0 && !reader.scaled;
    let weights = graph.tensor(*node.inputs.get(1)?);
    let [_, depth] = weights.shape[..] else { return None };
    let constant = |id: &TensorId| graph.tensor(*id).float_data().is_some();
    let rows = reader.channels.chunks_exact(depth.max(1));
    let first = rows.clone().next()?;
    let whole = dense && node.inputs[1..].iter().all(constant) && rows.remainder().is_empty();
    (whole && { rows }.all(|row| row == first)).then_some(first)
}

/// Adds to the biases of dense layers what they make of an offset for each channel.
fn add_behind(graph: &mut Graph, readers: &[Reader], offsets: &[f32]) {
    for reader in readers {
        let (Some(index), Some(channels)) = (reader.node, dense_channels(graph, reader)) else { continue };
        let node = &graph.nodes[index];
        let Some(weights) = graph.tensor(node.inputs[1]).float_data() else { continue };
        let moved = weights.chunks_exact(channels.len().max(1)).map(|row| {
            let products = row.iter().zip(channels).map(|(w, c)| f64::from(*w) * f64::from(offsets[*c as usize]));
            products.sum::<f64>()
        });
        let bias = node.inputs.get(2).and_then(|bias| graph.tensor(*bias).float_data());
        let bias = moved.enumerate().map(|(row, moved)| (f64::from(bias.map_or(0.0, |bias| bias[row])) + moved) as f32);
        let bias = bias.collect();
        set_constant(graph, index, 2, bias);
    }
}

/// Replaces a constant of one node, which other nodes may read as well.
fn set_constant(graph: &mut Graph, index: usize, position: usize, values: Vec<f32>) {
    let tensor = Tensor {
        name: format!("{}.bias", graph.nodes[index].name),
        shape: vec![values.len()],
        data_type: nervelet::ops::DataType::Float32,
        quantization: None,
        data: Some(Data::Float32(values)),
    };
    let id = graph.add_tensor(tensor);
    let inputs = &mut graph.nodes[index].inputs;
    match inputs.get_mut(position) {
        Some(input) => *input = id,
        None => inputs.push(id),
    }
}

/// The offsets of a node, where there are any.
fn offsets(graph: &Graph, index: usize) -> Option<Vec<f32>> {
    let values = graph.tensor(*graph.nodes[index].inputs.get(2)?).float_data()?;
    values.iter().any(|value| *value != 0.0).then(|| values.to_vec())
}

/// The offset of a normalisation that only dense layers read.
fn move_offset(graph: &mut Graph, index: usize) {
    let (Some(offsets), Ok(readers)) = (offsets(graph, index), readers_of(graph, index)) else { return };
    if readers.is_empty() || readers.iter().any(|reader| dense_channels(graph, reader).is_none()) {
        return;
    }
    add_behind(graph, &readers, &offsets);
    set_constant(graph, index, 2, vec![0.0; offsets.len()]);
}

/// The second operand of a product as `[batches][along][across]`, `along` being the axis that is summed, or else the other.
fn channel_of_lines(graph: &Graph, reader: &Reader, summed: bool) -> Option<Vec<Vec<u32>>> {
    let node = &graph.nodes[reader.node?];
    let Op::BatchMatmul { transpose_a: false, transpose_b } = node.op else { return None };
    let [.., rows, columns] = graph.tensor(*node.inputs.get(1)?).shape[..] else { return None };
    if reader.position != 1 || rows == 0 || columns == 0 {
        return None;
    }
    // Lines along which the channel has to stay the same: columns of what is summed by rows.
    let downwards = summed != transpose_b;
    let (lines, length) = if downwards { (columns, rows) } else { (rows, columns) };
    let matrix = |codes: &[u32]| -> Option<Vec<u32>> {
        let at =
            |line: usize, place: usize| codes[if downwards { place * columns + line } else { line * columns + place }];
        (0..lines).map(|line| (1..length).all(|place| at(line, place) == at(line, 0)).then(|| at(line, 0))).collect()
    };
    reader.channels.chunks_exact(rows * columns).map(matrix).collect()
}

/// Whether scores come to a softmax along their last axis, and to nothing else; sums on the way may mask them.
fn becomes_probabilities(graph: &Graph, scores: TensorId) -> bool {
    let mut id = scores;
    loop {
        let mut consumers = graph.consumers(id);
        let (Some(reader), None) = (consumers.next(), consumers.next()) else { return false };
        let node = &graph.nodes[reader];
        let Some(output) = node.outputs.first() else { return false };
        let same_rows = graph.tensor(*output).shape.last() == graph.tensor(scores).shape.last();
        let others_are_constant = node.inputs.iter().all(|input| *input == id || graph.tensor(*input).data.is_some());
        match node.op {
            _ if graph.outputs.contains(&id) || !same_rows => return false,
            Op::Softmax { .. } | Op::MaskedSoftmax { .. } => return true,
            Op::Reshape => {}
            Op::Mul { activation: Activation::None } | Op::Div { activation: Activation::None }
                if node.inputs.first() == Some(&id)
                    && node.inputs[1..].iter().all(|input| graph.tensor(*input).elements() == 1)
                    && others_are_constant => {}
            Op::Add { activation: Activation::None } if others_are_constant => {}
            _ => return false,
        }
        id = *output;
    }
}

/// Whether a tensor holds the results of a softmax, as they are, whose rows have a sum of 1.
fn are_probabilities(graph: &Graph, mut id: TensorId) -> bool {
    let last = graph.tensor(id).shape.last().copied();
    while let Some(producer) = graph.producer(id) {
        let node = &graph.nodes[producer];
        match node.op {
            Op::Softmax { .. } | Op::MaskedSoftmax { visible: Some(1..), .. } if node.inputs.len() == 1 => {
                return graph.tensor(id).shape.last().copied() == last;
            }
            Op::Reshape => id = node.inputs[0],
            _ => return false,
        }
    }
    false
}

/// The bias of a layer without the channels that only pass to readers of which `fits` holds; what was taken out.
fn take_out(graph: &mut Graph, index: usize, readers: &[Reader], fits: &[bool]) -> Option<Vec<f32>> {
    let mut taken = offsets(graph, index)?;
    for (reader, fits) in readers.iter().zip(fits) {
        if !fits {
            reader.channels.iter().for_each(|channel| taken[*channel as usize] = 0.0);
        }
    }
    let own = graph.tensor(graph.nodes[index].inputs[2]).float_data()?;
    let left = own.iter().zip(&taken).map(|(own, taken)| own - taken).collect();
    if taken.iter().all(|taken| *taken == 0.0) {
        return None;
    }
    set_constant(graph, index, 2, left);
    Some(taken)
}

/// What is added to all keys of an attention changes nothing.
fn drop_from_keys(graph: &mut Graph, index: usize) -> Result<()> {
    let readers = readers_of(graph, index)?;
    let are_keys = |reader: &Reader| {
        let scores = reader.node.filter(|_| channel_of_lines(graph, reader, false).is_some());
        scores.is_some_and(|node| becomes_probabilities(graph, graph.nodes[node].outputs[0]))
    };
    let fits: Vec<bool> = readers.iter().map(are_keys).collect();
    take_out(graph, index, &readers, &fits);
    Ok(())
}

/// What is added to all values of an attention goes through the dense layers behind.
fn move_from_values(graph: &mut Graph, index: usize) -> Result<()> {
    let found = readers_of(graph, index)?;
    let behind: Vec<_> = found.iter().map(|reader| behind_values(graph, reader)).collect();
    let fits: Vec<bool> = behind.iter().map(Option::is_some).collect();
    if let Some(taken) = take_out(graph, index, &found, &fits) {
        behind.iter().flatten().for_each(|readers| add_behind(graph, readers, &taken));
    }
    Ok(())
}

/// The dense layers that read what an attention makes of values.
fn behind_values(graph: &Graph, values: &Reader) -> Option<Vec<Reader>> {
    let lines = channel_of_lines(graph, values, true).filter(|_| !values.scaled)?;
    let node = &graph.nodes[values.node?];
    let output = graph.tensor(*node.outputs.first()?);
    let [.., queries, columns] = output.shape[..] else { return None };
    let whole = are_probabilities(graph, node.inputs[0]) && output.elements() == lines.len() * queries * columns;
    let rows = lines.iter().flat_map(|line| std::iter::repeat_n(line, queries).flatten().copied());
    let channels: Vec<u32> = rows.collect();
    let mut found = Vec::new();
    readers(graph, *node.outputs.first()?, &channels, false, &mut found).ok()?;
    let usable = whole && !found.is_empty() && found.iter().all(|reader| dense_channels(graph, reader).is_some());
    usable.then_some(found)
}
