//! Masks: a choice by a constant condition, and constants in front of a softmax that hide the end of each row.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Data, Node, Op, Tensor, TensorId};

use super::file::Operator;
use super::fuse::{other, sole_reader};
use super::import::{Import, Value};
use super::view::View;

/// What is as low as this has no weight behind a softmax.
const HIDDEN: f32 = -1e4;

/// A choice by a constant condition between what is computed and a constant number.
pub(super) fn choose<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let condition = import.constant(operator, 0).context("chooses by what is computed at run time")?;
    let number = |value: &Value| match value {
        Value::Constant(constant) => constant.array.uniform(),
        Value::Tensor(_) => None,
    };
    let (first, second) = (import.input(operator, 1)?, import.input(operator, 2)?);
    let (position, fill) = match (&first, number(&first), &second, number(&second)) {
        (Value::Tensor(_), _, _, Some(fill)) => (1, fill),
        (_, Some(fill), Value::Tensor(_), _) => (2, fill),
        _ => bail!("is taken between what is computed and a constant number"),
    };
    let x = import.real_operand(operator, position)?;
    let shape = x.view.shape();
    let own = condition.array.shape.clone();
    let kept: Vec<bool> = condition.array.whole()?.iter().map(|chosen| (*chosen != 0) == (position == 1)).collect();
    ensure!(super::binary::broadcast(&own, &shape)? == shape, "repeats {shape:?} for a condition of {own:?}");
    let id = import.in_logical_order(&x)?;
    let id = import.shape_as(id, &shape);
    let name = import.name(operator);
    let constant = |import: &mut Import<'f>, kept_as: f32, otherwise: f32| {
        let values = kept.iter().map(|kept| if *kept { kept_as } else { otherwise }).collect();
        import.add_data(&format!("{name}.mask"), own.clone(), Data::Float32(values), None)
    };
    let activation = Activation::None;
    let id = if fill <= HIDDEN {
        let mask = constant(import, 0.0, fill);
        import.node(&name, Op::Add { activation }, vec![id, mask], shape.clone(), None)?
    } else {
        let (mask, rest) = (constant(import, 1.0, 0.0), constant(import, 0.0, fill));
        let kept = import.node(&format!("{name}.kept"), Op::Mul { activation }, vec![id, mask], shape.clone(), None)?;
        import.node(&name, Op::Add { activation }, vec![kept, rest], shape.clone(), None)?
    };
    import.set_tensor(operator, 0, id, View::of(&shape))
}

/// Makes masks of the constants that are added in front of a softmax.
pub(super) fn fuse(graph: &mut Graph) {
    for position in 0..graph.nodes.len() {
        let Some(Masked { scores, rows, mask }) = masked_at(graph, position) else { continue };
        let softmax = graph.nodes[position].clone();
        let (Op::Softmax { beta }, Some(output)) = (&softmax.op, softmax.outputs.first().copied()) else { continue };
        let shape = graph.tensor(output).shape.clone();
        let keys = shape.last().copied().unwrap_or(1);
        let matrices = vec![graph.tensor(output).elements() / (rows * keys), rows, keys];
        let seen = |graph: &mut Graph, like: TensorId, part: &str| {
            let name = format!("{}.{part}", softmax.name);
            let tensor = Tensor { name, shape: matrices.clone(), ..graph.tensor(like).clone() };
            graph.add_tensor(tensor)
        };
        let (own, result) = (seen(graph, scores, "scores"), seen(graph, output, "shares"));
        let (visible, length) = match mask {
            Mask::Causal(visible) => (Some(visible), None),
            Mask::Length(length) => (None, Some(length)),
        };
        let length = length.map(|length| {
            graph.add_tensor(Tensor {
                name: format!("{}.length", softmax.name),
                shape: vec![1],
                data_type: nervelet::ops::DataType::Int32,
                quantization: None,
                data: Some(Data::Int32(vec![length as i32])),
            })
        });
        let view =
            |name: &str, from, to| Node { name: name.into(), op: Op::Reshape, inputs: vec![from], outputs: vec![to] };
        let before = view(&graph.tensor(own).name.clone(), scores, own);
        let after = view(&softmax.name, result, output);
        // What added the mask has no reader any more; its place and that of what is behind it take the new nodes.
        let inputs = [own].into_iter().chain(length).collect();
        let op = Op::MaskedSoftmax { beta: *beta, visible };
        let name = format!("{}.masked", softmax.name);
        let masked = Node { name, op, inputs, outputs: vec![result] };
        let added = graph.producer(softmax.inputs[0]);
        graph.nodes.splice(position..=position, [before, masked, after]);
        remove_unread(graph, added);
        return fuse(graph);
    }
}

/// A softmax whose argument is a sum with a mask.
struct Masked {
    /// What is masked.
    scores: TensorId,
    /// The rows that the mask has, as many as there are queries.
    rows: usize,
    mask: Mask,
}

/// Which places of a row count.
enum Mask {
    /// So many in the first row, one more in each further row.
    Causal(usize),
    /// So many in every row.
    Length(usize),
}

fn masked_at(graph: &Graph, position: usize) -> Option<Masked> {
    let softmax = &graph.nodes[position];
    let Op::Softmax { .. } = softmax.op else { return None };
    let argument = *softmax.inputs.first()?;
    let keys = *graph.tensor(argument).shape.last()?;
    // Views between the sum and the softmax are read by nothing else.
    let mut id = argument;
    let sum = loop {
        sole_reader(graph, id)?;
        let node = &graph.nodes[graph.producer(id)?];
        match node.op {
            Op::Reshape => id = *node.inputs.first()?,
            Op::Add { activation: Activation::None } => break node,
            _ => return None,
        }
    };
    let [a, b] = sum.inputs[..] else { return None };
    let is_constant = |id: TensorId| graph.tensor(id).float_data().is_some();
    let mask = if is_constant(a) { a } else { Some(b).filter(|b| is_constant(*b))? };
    let scores = other(sum, mask)?;
    let whole = graph.tensor(scores).elements() == graph.tensor(argument).elements();
    // The mask repeats along leading axes only.
    let (own, full) = (&graph.tensor(mask).shape, &graph.tensor(id).shape);
    let repeated = own.iter().take_while(|extent| **extent == 1).count();
    let repeats_whole = full.ends_with(&own[repeated..]);
    let values = graph.tensor(mask).float_data()?;
    if !whole || !repeats_whole || keys == 0 || !values.len().is_multiple_of(keys) {
        return None;
    }
    let counts: Vec<usize> = values.chunks_exact(keys).map(seen).collect::<Option<_>>()?;
    let (rows, first) = (counts.len(), *counts.first()?);
    let mask = if counts.iter().all(|count| *count == first) {
        Mask::Length(first)
    } else if counts.iter().enumerate().all(|(row, count)| *count == (first + row).min(keys)) {
        Mask::Causal(first)
    } else {
        return None;
    };
    Some(Masked { scores, rows, mask })
}

/// How many places at the start of a row count, if all others are hidden.
fn seen(row: &[f32]) -> Option<usize> {
    let count = row.iter().take_while(|value| **value == 0.0).count();
    row[count..].iter().all(|value| *value <= HIDDEN).then_some(count)
}

/// Removes a node that nothing reads, and those in front of it that nothing reads then.
fn remove_unread(graph: &mut Graph, from: Option<usize>) {
    let Some(from) = from else { return };
    for position in (0..=from).rev() {
        let unread = |id: &TensorId| graph.consumers(*id).next().is_none() && !graph.outputs.contains(id);
        let made = matches!(graph.nodes[position].op, Op::Reshape | Op::Add { .. });
        if made && graph.nodes[position].outputs.iter().all(unread) {
            graph.nodes.remove(position);
        }
    }
}
