//! Conversions between 8 and 16 bits, where a node computes in another width than it is given.

use std::collections::HashMap;

use anyhow::Result;
use nervelet::ops::DataType;

use super::{HEADROOM, affine, range, symmetric, width};
use crate::calibrate::Ranges;
use crate::graph::{Graph, Node, Op, Quantization, Tensor, TensorId};

/// Puts a conversion in front of each node that reads another type than its own; one for all readers of a tensor.
pub(super) fn convert(graph: &mut Graph, ranges: &Ranges, types: &[DataType]) -> Result<()> {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut known: HashMap<(TensorId, DataType), TensorId> = HashMap::new();
    for (mut node, wanted) in nodes.into_iter().zip(types) {
        for position in width::activations(&node) {
            let id = node.inputs[position];
            let tensor = graph.tensor(id);
            // Moves keep what they are given, constants get the codes that suit their reader, and cells stay int32 where
            // they are joined or where they start a layer.
            let moves = super::keeps_scale(&node.op)
                || node.outputs.iter().all(|output| graph.tensor(*output).data_type == DataType::Int32);
            let counts = graph.is_integer(id);
            let is_cell = matches!(node.op, Op::Recurrent { .. }) && position > 5;
            if moves || counts || is_cell || tensor.data.is_some() || tensor.data_type == *wanted {
                continue;
            }
            let converted = match known.get(&(id, *wanted)) {
                Some(converted) => *converted,
                None => {
                    let converted = Tensor {
                        name: format!("{}.{}", tensor.name, if *wanted == DataType::Int16 { "wide" } else { "narrow" }),
                        data_type: *wanted,
                        quantization: Some(scale(graph, ranges, id, *wanted)?),
                        ..tensor.clone()
                    };
                    let name = converted.name.clone();
                    let converted = graph.add_tensor(converted);
                    graph.nodes.push(Node { name, op: Op::Quantize, inputs: vec![id], outputs: vec![converted] });
                    known.insert((id, *wanted), converted);
                    converted
                }
            };
            node.inputs[position] = converted;
        }
        graph.nodes.push(node);
    }
    Ok(())
}

/// The scale of a tensor in another width.
fn scale(graph: &Graph, ranges: &Ranges, id: TensorId, wanted: DataType) -> Result<Quantization> {
    let source = graph.tensor(id).quantization.as_ref().map_or(1.0, |quantization| quantization.scales[0]);
    match (graph.tensor(id).data_type, wanted) {
        (DataType::Int32, _) => Ok(symmetric(range(graph, ranges, id)?, HEADROOM)),
        // Any code less any zero point, times 128, is a code of 16 bits.
        (_, DataType::Int16) => Ok(Quantization::per_tensor(source / 128.0, 0)),
        _ => Ok(affine(range(graph, ranges, id)?)),
    }
}
