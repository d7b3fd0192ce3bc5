//! Joins normalisation by the root mean square, which exporters write as a square, a mean, a root, a quotient and a product.

use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Data, Function, Node, Op, Tensor, TensorId};

use super::fuse::{number, other, sole_reader};

/// Joins every such normalisation.
pub(super) fn fuse(graph: &mut Graph) {
    while let Some(found) = (0..graph.nodes.len()).find_map(|position| found_at(graph, position)) {
        let Found { last, x, gamma, epsilon } = found;
        let name = graph.nodes[last].name.clone();
        let data = Some(Data::Float32(gamma.clone()));
        let gamma = graph.add_tensor(Tensor {
            name: format!("{name}.gamma"),
            shape: vec![gamma.len()],
            data_type: nervelet::ops::DataType::Float32,
            quantization: None,
            data,
        });
        let node = &mut graph.nodes[last];
        (node.op, node.inputs) = (Op::RmsNorm { epsilon }, vec![x, gamma]);
        remove_unread(graph, last);
    }
}

/// A normalisation: its last node, what it reads, its factors.
struct Found {
    last: usize,
    x: TensorId,
    gamma: Vec<f32>,
    epsilon: f32,
}

/// The normalisation around a root.
fn found_at(graph: &Graph, position: usize) -> Option<Found> {
    let root = &graph.nodes[position];
    let inverse = match root.op {
        Op::Function(Function::Sqrt) => false,
        Op::Function(Function::Rsqrt) => true,
        _ => return None,
    };
    let (mean, epsilon) = mean_and_epsilon(graph, behind(graph, *root.inputs.first()?))?;
    let (x, depth) = squared_rows(graph, mean)?;
    let (divided, quotient) = quotient_of(graph, *root.outputs.first()?, inverse)?;
    if behind(graph, divided) != behind(graph, x) || rows(graph, divided)? != depth || rows(graph, quotient)? != depth {
        return None;
    }
    let maker = graph.producer(quotient)?;
    // What is divided is read where the nodes are: a view of it may come later than the square.
    let (last, gamma) = factors(graph, quotient, depth).unwrap_or((maker, vec![1.0; depth]));
    let same = graph.tensor(graph.nodes[last].outputs[0]).elements() == graph.tensor(divided).elements();
    same.then_some(Found { last, x: divided, gamma, epsilon })
}

/// The extent of the last axis.
fn rows(graph: &Graph, id: TensorId) -> Option<usize> {
    graph.tensor(id).shape.last().copied()
}

/// The tensor that a tensor is a view of.
fn behind(graph: &Graph, mut id: TensorId) -> TensorId {
    while let Some(node) = graph.producer(id).map(|node| &graph.nodes[node]).filter(|node| node.op == Op::Reshape) {
        id = node.inputs[0];
    }
    id
}

/// The node that makes a tensor, behind views.
fn maker(graph: &Graph, id: TensorId) -> Option<&Node> {
    Some(&graph.nodes[graph.producer(behind(graph, id))?])
}

/// The only node that reads a tensor or, behind views that nothing else reads, what it is seen as.
fn reader(graph: &Graph, mut id: TensorId) -> Option<(usize, TensorId)> {
    loop {
        let reader = sole_reader(graph, id)?;
        if graph.nodes[reader].op != Op::Reshape {
            return Some((reader, id));
        }
        id = *graph.nodes[reader].outputs.first()?;
    }
}

/// The mean square below a root, and what is added to it.
fn mean_and_epsilon(graph: &Graph, id: TensorId) -> Option<(TensorId, f32)> {
    let node = maker(graph, id)?;
    match (&node.op, &node.inputs[..]) {
        (Op::Add { activation: Activation::None }, [a, b]) => match (number(graph, *a), number(graph, *b)) {
            (None, Some(epsilon)) => Some((*a, epsilon)),
            (Some(epsilon), None) => Some((*b, epsilon)),
            _ => None,
        },
        (Op::Mean { .. }, _) => Some((id, 0.0)),
        _ => None,
    }
}

/// What is squared below a mean along the last axis, in whichever shape, and how long that axis is.
fn squared_rows(graph: &Graph, mean: TensorId) -> Option<(TensorId, usize)> {
    let node = maker(graph, mean)?;
    let Op::Mean { axes, .. } = &node.op else { return None };
    let square = *node.inputs.first()?;
    let shape = &graph.tensor(square).shape;
    let depth = *shape.last()?;
    if axes[..] != [shape.len() - 1] {
        return None;
    }
    let node = maker(graph, square)?;
    let x = match (&node.op, &node.inputs[..]) {
        (Op::Function(Function::Square), [x]) => *x,
        (Op::Mul { activation: Activation::None }, [a, b]) if behind(graph, *a) == behind(graph, *b) => *a,
        _ => return None,
    };
    Some((x, depth))
}

/// What is divided by a root, and the quotient.
fn quotient_of(graph: &Graph, root: TensorId, inverse: bool) -> Option<(TensorId, TensorId)> {
    let (position, seen) = reader(graph, root)?;
    let node = &graph.nodes[position];
    let output = *node.outputs.first()?;
    match (&node.op, &node.inputs[..]) {
        (Op::Mul { activation: Activation::None }, _) if inverse => Some((other(node, seen)?, output)),
        (Op::Div { activation: Activation::None }, [x, divisor]) if !inverse && *divisor == seen => {
            match number(graph, *x) {
                Some(1.0) => quotient_of(graph, output, true),
                Some(_) => None,
                None => Some((*x, output)),
            }
        }
        _ => None,
    }
}

/// The product with a factor for each place of a row, and these factors.
fn factors(graph: &Graph, quotient: TensorId, depth: usize) -> Option<(usize, Vec<f32>)> {
    let (position, seen) = reader(graph, quotient)?;
    let node = &graph.nodes[position];
    if !matches!(node.op, Op::Mul { activation: Activation::None }) || rows(graph, seen)? != depth {
        return None;
    }
    let factors = graph.tensor(other(node, seen)?);
    let values = factors.float_data().filter(|values| values.len() == depth && factors.shape.last() == Some(&depth))?;
    Some((position, values.to_vec()))
}

/// Removes nodes before one whose results nobody reads.
fn remove_unread(graph: &mut Graph, before: usize) {
    for position in (0..before).rev() {
        let unread = |id: &TensorId| graph.consumers(*id).next().is_none() && !graph.outputs.contains(id);
        if graph.nodes[position].outputs.iter().all(unread) {
            graph.nodes.remove(position);
        }
    }
}
