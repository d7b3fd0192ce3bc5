//! Finds scaled dot-product attention in a graph of products and softmax, and makes it one node.
//!
//! Factors on queries, keys and scores become one factor, so that nothing is rounded in between. What doesn't have this form,
//! such as attention with a mask of another form than [`Op::MaskedSoftmax`] has, stays as it is.

use crate::graph::{Activation, Graph, Node, Op, Tensor, TensorId};

/// Joins every attention there is.
pub(super) fn fuse(graph: &mut Graph) {
    let mut position = 0;
    while position < graph.nodes.len() {
        if let Some(found) = attention_at(graph, position) {
            replace(graph, found);
        }
        position += 1;
    }
}

/// An attention: its two products by index, the factor on its scores, and its mask.
struct Found {
    scores: usize,
    context: usize,
    scale: f32,
    visible: Option<usize>,
    length: Option<TensorId>,
}

/// The attention around a softmax.
fn attention_at(graph: &Graph, position: usize) -> Option<Found> {
    let softmax = &graph.nodes[position];
    let (beta, visible) = match softmax.op {
        Op::Softmax { beta } => (beta, None),
        Op::MaskedSoftmax { beta, visible } => (beta, visible),
        _ => return None,
    };
    let (source, factor) = behind(graph, *softmax.inputs.first()?, true);
    let scores = graph.producer(source)?;
    let Op::BatchMatmul { transpose_a: false, .. } = graph.nodes[scores].op else { return None };
    let mut current = *softmax.outputs.first()?;
    let context = loop {
        let mut readers = graph.consumers(current);
        let (reader, None) = (readers.next()?, readers.next()) else { return None };
        let node = &graph.nodes[reader];
        match node.op {
            _ if graph.outputs.contains(&current) => return None,
            Op::Reshape => current = *node.outputs.first()?,
            Op::BatchMatmul { transpose_a: false, .. } if node.inputs.first() == Some(&current) => break reader,
            _ => return None,
        }
    };
    let shape = |id: TensorId| &graph.tensor(id).shape;
    let [q, k, v] = [graph.nodes[scores].inputs[0], graph.nodes[scores].inputs[1], graph.nodes[context].inputs[1]];
    let (scores_shape, probabilities) = (shape(source), shape(current));
    let lead = |shape: &[usize]| shape.iter().rev().skip(2).product::<usize>();
    let alike = scores_shape.len() >= 2
        && scores_shape.last() == shape(*softmax.inputs.first()?).last()
        && scores_shape[scores_shape.len() - 2..] == probabilities[probabilities.len().checked_sub(2)?..]
        && [q, k, v].iter().all(|id| lead(shape(*id)) == lead(scores_shape) && graph.tensor(*id).data.is_none());
    // Rows of the softmax have to be the queries, not all of them in one matrix.
    let queries = |id: TensorId| shape(id).iter().rev().nth(1);
    let masked = visible.is_none() || queries(softmax.inputs[0]) == queries(source);
    let length = softmax.inputs.get(1).copied();
    (alike && masked).then_some(Found { scores, context, scale: beta * factor, visible, length })
}

/// The tensor that a tensor is a view of, times a positive factor. With `alone`, only what no one else reads is passed.
fn behind(graph: &Graph, id: TensorId, alone: bool) -> (TensorId, f32) {
    let (mut id, mut factor) = (id, 1.0);
    loop {
        if alone && (graph.consumers(id).count() != 1 || graph.outputs.contains(&id)) {
            return (id, factor);
        }
        let Some(node) = graph.producer(id).map(|producer| &graph.nodes[producer]) else { return (id, factor) };
        let number = |id: &TensorId| graph.tensor(*id).float_data().filter(|values| values.len() == 1).map(|x| x[0]);
        let (source, own) = match (&node.op, &node.inputs[..]) {
            (Op::Reshape, [source]) => (*source, 1.0),
            (Op::Mul { activation: Activation::None }, [a, b]) => match (number(a), number(b)) {
                (None, Some(own)) => (*a, own),
                (Some(own), None) => (*b, own),
                _ => return (id, factor),
            },
            (Op::Div { activation: Activation::None }, [a, b]) => match number(b) {
                Some(divisor) => (*a, 1.0 / divisor),
                None => return (id, factor),
            },
            _ => return (id, factor),
        };
        let usable = own.is_finite() && own > 0.0 && graph.tensor(source).elements() == graph.tensor(id).elements();
        if !usable || graph.tensor(source).data.is_some() {
            return (id, factor);
        }
        (id, factor) = (source, factor * own);
    }
}

/// Puts one node in the place of an attention.
fn replace(graph: &mut Graph, Found { scores, context, scale, visible, length }: Found) {
    let mut scale = scale;
    let mut inputs = Vec::new();
    let mut views = Vec::new();
    for operand in [graph.nodes[scores].inputs[0], graph.nodes[scores].inputs[1]] {
        let (source, factor) = behind(graph, operand, false);
        scale *= factor;
        if factor == 1.0 {
            inputs.push(operand);
            continue;
        }
        let name = format!("{}.unscaled", graph.tensor(operand).name);
        let view = graph.add_tensor(Tensor { name: name.clone(), ..graph.tensor(operand).clone() });
        views.push(Node { name, op: Op::Reshape, inputs: vec![source], outputs: vec![view] });
        inputs.push(view);
    }
    inputs.push(graph.nodes[context].inputs[1]);
    inputs.extend(length);
    let transposed = |node: usize| matches!(graph.nodes[node].op, Op::BatchMatmul { transpose_b: true, .. });
    let (transpose_keys, transpose_values) = (transposed(scores), transposed(context));
    let op = Op::Attention { scale, transpose_keys, transpose_values, visible };
    let node = &mut graph.nodes[context];
    (node.op, node.inputs) = (op, inputs);
    graph.nodes.splice(context..context, views);
    remove_unread(graph);
}

/// Removes nodes whose results nobody reads.
fn remove_unread(graph: &mut Graph) {
    loop {
        let read = |id: &TensorId| {
            graph.consumers(*id).next().is_some() || graph.outputs.contains(id) || graph.states.contains(id)
        };
        match graph.nodes.iter().position(|node| !node.outputs.iter().any(read)) {
            Some(unread) => drop(graph.nodes.remove(unread)),
            None => return,
        }
    }
}
