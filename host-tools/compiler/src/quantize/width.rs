//! In how many bits each tensor is computed.
//!
//! Eight, but for what sequence models need more for: recurrent layers and layer normalisation compute in 16 bits, and so
//! does what has a 16-bit kernel and reads 16 bits. An input of the graph has 16 bits where it reaches such a layer before
//! an image layer. The layer that devices train reads 8 bits: features are stored by the hundred.

use nervelet::ops::DataType;

use super::Precision;
use crate::graph::{Graph, Node, Op, TensorId};
use crate::tables;

/// Whether an operator has only a 16-bit kernel.
fn is_wide(op: &Op) -> bool {
    matches!(op, Op::Recurrent { .. } | Op::LayerNorm { .. } | Op::RmsNorm { .. })
}

/// Whether an operator has a kernel of 16 bits.
fn has_wide_kernel(op: &Op) -> bool {
    is_wide(op)
        || moves(op)
        || matches!(
            op,
            Op::Conv2d { .. }
                | Op::DepthwiseConv2d { .. }
                | Op::TransposeConv2d { .. }
                | Op::FullyConnected { .. }
                | Op::AveragePool2d { .. }
                | Op::MaxPool2d { .. }
                | Op::Mean { .. }
                | Op::Add { .. }
                | Op::Sub { .. }
                | Op::Mul { .. }
                | Op::BatchMatmul { .. }
                | Op::Attention { .. }
                | Op::ResizeBilinear { .. }
                | Op::Softmax { .. }
                | Op::Logistic
                | Op::Tanh
                | Op::Clamp { .. }
        )
        || matches!(op, Op::Function(function) if tables::is_smooth(*function))
}

/// Whether an operator moves elements of any type.
fn moves(op: &Op) -> bool {
    matches!(op, Op::Concatenation { .. } | Op::Pad { .. } | Op::Reshape | Op::Rearrange(_) | Op::Gather { .. })
}

/// Whether an operator multiplies operands, or makes an operand of what it reads.
fn is_product(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv2d { .. }
            | Op::DepthwiseConv2d { .. }
            | Op::TransposeConv2d { .. }
            | Op::FullyConnected { .. }
            | Op::BatchMatmul { .. }
            | Op::Attention { .. }
            | Op::Softmax { .. }
            | Op::Function(_)
    )
}

/// The positions of a node's inputs that hold activations, and not weights.
pub(super) fn activations(node: &Node) -> Vec<usize> {
    match node.op {
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::TransposeConv2d { .. } | Op::FullyConnected { .. } => {
            vec![0]
        }
        Op::Embedding | Op::MaskedSoftmax { .. } | Op::Mean { .. } => vec![0],
        Op::Attention { .. } => vec![0, 1, 2],
        Op::DenseRows { .. } | Op::LayerNorm { .. } | Op::RmsNorm { .. } => vec![0],
        Op::Recurrent { .. } => (0..node.inputs.len()).filter(|position| !(1..5).contains(position)).collect(),
        _ => (0..node.inputs.len()).collect(),
    }
}

/// The type that each node computes in, in the order of the nodes. `head` is the layer that devices train, which reads 8 bits.
pub(super) fn node_types(graph: &Graph, precision: Precision, head: Option<&str>) -> Vec<DataType> {
    let mut wide: Vec<bool> = vec![false; graph.tensors.len()];
    for id in &graph.inputs {
        wide[id.0] = reaches_wide(graph, *id);
    }
    // A state is read before it is written.
    for id in &graph.states {
        wide[id.0] = graph.consumers(*id).any(|reader| is_wide(&graph.nodes[reader].op));
    }
    let is_sequence = graph.nodes.iter().any(|node| is_wide(&node.op));
    let mut types = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let reads_wide = activations(node).iter().any(|position| wide[node.inputs[*position].0]);
        let computes_wide = match precision {
            _ if is_wide(&node.op) => true,
            _ if head == Some(&node.name) => false,
            Precision::Narrow if is_product(&node.op) => is_sequence && ends_in_sum(graph, node),
            _ => reads_wide && has_wide_kernel(&node.op),
        };
        for output in &node.outputs {
            wide[output.0] = computes_wide;
        }
        types.push(if computes_wide { DataType::Int16 } else { DataType::Int8 });
    }
    types
}

/// Whether what a dense layer makes is not multiplied next: it is added, normalised or read by the caller, and 8 bits would
/// be the end of what 16 bits keep elsewhere.
fn ends_in_sum(graph: &Graph, node: &Node) -> bool {
    let dense = matches!(node.op, Op::FullyConnected { .. });
    dense && node.outputs.first().is_some_and(|output| is_summed(graph, *output))
}

fn is_summed(graph: &Graph, id: TensorId) -> bool {
    graph.outputs.contains(&id)
        || graph.consumers(id).any(|reader| {
            let node = &graph.nodes[reader];
            let sums = matches!(node.op, Op::Add { .. } | Op::Sub { .. } | Op::LayerNorm { .. } | Op::RmsNorm { .. });
            sums || (moves(&node.op) && node.outputs.iter().any(|output| is_summed(graph, *output)))
        })
}

/// Whether a tensor comes to a layer of 16 bits without passing an image layer.
pub(super) fn reaches_wide(graph: &Graph, id: TensorId) -> bool {
    let mut seen = vec![false; graph.tensors.len()];
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut seen[id.0], true) {
            continue;
        }
        for reader in graph.consumers(id) {
            let node = &graph.nodes[reader];
            if is_wide(&node.op) {
                return true;
            }
            let image = matches!(node.op, Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::TransposeConv2d { .. });
            if has_wide_kernel(&node.op) && !image {
                open.extend(&node.outputs);
            }
        }
    }
    false
}

/// Whether a tensor is what a recurrent layer reads, moved or not.
pub(super) fn feeds_recurrent(graph: &Graph, id: TensorId) -> bool {
    graph.consumers(id).any(|reader| {
        let node = &graph.nodes[reader];
        let moved = moves(&node.op) && node.outputs.iter().any(|output| feeds_recurrent(graph, *output));
        moved || (matches!(node.op, Op::Recurrent { .. }) && node.inputs.first() == Some(&id))
    })
}
