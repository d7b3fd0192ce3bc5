//! Joins in a graph what exporters take apart: a bias behind a product, the Gaussian error linear unit, normalisation by the
//! root mean square, and masks of a softmax.

use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Data, Function, Node, Op, Tensor, TensorId};

use super::{masks, root_mean_square};

/// Joins what can be joined; the graph computes the same function.
pub(super) fn fuse(graph: &mut Graph) {
    fuse_biases(graph);
    fuse_gelu(graph);
    root_mean_square::fuse(graph);
    masks::fuse(graph);
}

/// The only node that reads a tensor, if the caller does not.
pub(super) fn sole_reader(graph: &Graph, id: TensorId) -> Option<usize> {
    let mut readers = graph.consumers(id);
    let reader = readers.next()?;
    (readers.next().is_none() && !graph.outputs.contains(&id)).then_some(reader)
}

/// The other operand of a node of two.
pub(super) fn other(node: &Node, id: TensorId) -> Option<TensorId> {
    match node.inputs[..] {
        [a, b] if a == id && b != id => Some(b),
        [a, b] if b == id && a != id => Some(a),
        _ => None,
    }
}

/// The values of a constant of f32.
fn constant(graph: &Graph, id: TensorId) -> Option<&[f32]> {
    graph.tensor(id).float_data()
}

/// A dense layer without a bias and a sum with a constant for each output become one layer.
fn fuse_biases(graph: &mut Graph) {
    for position in 0..graph.nodes.len() {
        let node = &graph.nodes[position];
        let ([_, weights], Op::FullyConnected { activation: Activation::None }) = (&node.inputs[..], &node.op) else {
            continue;
        };
        let Some(outputs) = graph.tensor(*weights).shape.first().copied() else { continue };
        let Some((reader, layer_output)) = through_reshapes(graph, node.outputs[0]) else { continue };
        let sum = &graph.nodes[reader];
        if !matches!(sum.op, Op::Add { activation: Activation::None }) {
            continue;
        }
        let bias = other(sum, layer_output).and_then(|id| Some((id, constant(graph, id)?)));
        let Some((_, values)) = bias.filter(|(id, values)| along_last(graph, *id, values.len(), outputs)) else {
            continue;
        };
        let values = values.to_vec();
        let name = format!("{}.bias", node.name);
        let bias = graph.add_tensor(Tensor {
            name,
            shape: vec![outputs],
            data_type: nervelet::ops::DataType::Float32,
            quantization: None,
            data: Some(Data::Float32(values)),
        });
        graph.nodes[position].inputs.push(bias);
        // The sum is a view of the layer's output now.
        graph.nodes[reader].op = Op::Reshape;
        graph.nodes[reader].inputs = vec![layer_output];
    }
}

/// Whether a constant has one value for each place along the last axis of what it is added to.
fn along_last(graph: &Graph, id: TensorId, values: usize, outputs: usize) -> bool {
    values == outputs && graph.tensor(id).shape.last() == Some(&outputs)
}

/// The only reader of a tensor behind views of it, and the view that it reads; each keeps the last axis.
fn through_reshapes(graph: &Graph, id: TensorId) -> Option<(usize, TensorId)> {
    let mut id = id;
    loop {
        let reader = sole_reader(graph, id)?;
        let node = &graph.nodes[reader];
        if node.op != Op::Reshape {
            return Some((reader, id));
        }
        let output = *node.outputs.first()?;
        if graph.tensor(output).shape.last() != graph.tensor(id).shape.last() {
            return None;
        }
        id = output;
    }
}

/// `x * 0.5 * (1 + erf(x / sqrt(2)))`, in whichever order the factors come, becomes one function.
fn fuse_gelu(graph: &mut Graph) {
    while let Some((nodes, x, output)) = (0..graph.nodes.len()).find_map(|position| gelu_at(graph, position)) {
        let last = nodes.iter().copied().max().unwrap_or_default();
        graph.nodes[last].op = Op::Function(Function::Gelu);
        graph.nodes[last].inputs = vec![x];
        graph.nodes[last].outputs = vec![output];
        let mut index = 0;
        graph.nodes.retain(|_| {
            index += 1;
            index - 1 == last || !nodes.contains(&(index - 1))
        });
    }
}

/// The nodes of such a function around an error function, what it reads and what it writes.
fn gelu_at(graph: &Graph, position: usize) -> Option<(Vec<usize>, TensorId, TensorId)> {
    let erf = &graph.nodes[position];
    if erf.op != Op::Function(Function::Erf) {
        return None;
    }
    let scaled = *erf.inputs.first()?;
    let inner = graph.producer(scaled).filter(|_| sole_reader(graph, scaled) == Some(position))?;
    let (x, factor) = match (&graph.nodes[inner].op, &graph.nodes[inner].inputs[..]) {
        (Op::Div { activation: Activation::None }, [x, divisor]) => (*x, 1.0 / number(graph, *divisor)?),
        (Op::Mul { activation: Activation::None }, [a, b]) => match (number(graph, *a), number(graph, *b)) {
            (None, Some(factor)) => (*a, factor),
            (Some(factor), None) => (*b, factor),
            _ => return None,
        },
        _ => return None,
    };
    if (factor - std::f32::consts::FRAC_1_SQRT_2).abs() > 1e-6 {
        return None;
    }
    let mut nodes = vec![inner, position];
    let mut current = *erf.outputs.first()?;
    let plus_one = sole_reader(graph, current)?;
    let is_sum = matches!(graph.nodes[plus_one].op, Op::Add { activation: Activation::None });
    if !is_sum || number(graph, other(&graph.nodes[plus_one], current)?)? != 1.0 {
        return None;
    }
    nodes.push(plus_one);
    current = *graph.nodes[plus_one].outputs.first()?;
    // Two products, by x and by one half; or one by x * 0.5.
    let (mut with_x, mut halved) = (false, false);
    while !(with_x && halved) {
        let product = sole_reader(graph, current)?;
        if !matches!(graph.nodes[product].op, Op::Mul { activation: Activation::None }) {
            return None;
        }
        let factor = other(&graph.nodes[product], current)?;
        if factor == x && !with_x {
            with_x = true;
        } else if !halved && number(graph, factor) == Some(0.5) {
            halved = true;
        } else if let (false, false, Some(half)) = (with_x, halved, half_of(graph, factor, x)) {
            nodes.push(half);
            (with_x, halved) = (true, true);
        } else {
            return None;
        }
        nodes.push(product);
        current = *graph.nodes[product].outputs.first()?;
    }
    (graph.tensor(current).elements() == graph.tensor(x).elements()).then_some((nodes, x, current))
}

/// The node that makes a tensor as half of another, if nothing else reads it.
fn half_of(graph: &Graph, id: TensorId, x: TensorId) -> Option<usize> {
    let producer = graph.producer(id)?;
    let node = &graph.nodes[producer];
    sole_reader(graph, id)?;
    let half = matches!(node.op, Op::Mul { .. }) && number(graph, other(node, x)?) == Some(0.5);
    half.then_some(producer)
}

/// The value of a constant that is one number.
pub(super) fn number(graph: &Graph, id: TensorId) -> Option<f32> {
    match constant(graph, id)? {
        [number] => Some(*number),
        _ => None,
    }
}
