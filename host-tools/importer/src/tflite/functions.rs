//! Functions of one or two tensors, element by element, and softmax.

use anyhow::{Result, ensure};
use nervelet_compiler::graph::{Activation, Op};

use super::file::Operator;
use super::import::{Import, activation};

/// An operator on one tensor that keeps its shape.
pub(super) fn unary(import: &mut Import<'_, '_>, operator: &Operator<'_>, op: Op) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let shape = import.graph_tensor(x).shape.clone();
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, op, vec![x], output);
    Ok(())
}

/// An operator on two tensors, broadcast, whose options of a kind begin with a fused activation.
pub(super) fn binary(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    options: u8,
    op: impl Fn(Activation) -> Op,
) -> Result<()> {
    let activation = activation(operator.option(options, 0, 0)?)?;
    let inputs = vec![import.value(operator.input(0)?)?, import.value(operator.input(1)?)?];
    let shape = broadcast(&import.graph_tensor(inputs[0]).shape, &import.graph_tensor(inputs[1]).shape)?;
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, op(activation), inputs, output);
    Ok(())
}

/// The shape of two tensors that are broadcast as numpy does.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        let lead = rank - shape.len();
        axis.checked_sub(lead).and_then(|axis| shape.get(axis)).copied().unwrap_or(1)
    };
    let axis = |axis| match (extent(a, axis), extent(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => anyhow::bail!("shapes {a:?} and {b:?} don't fit each other"),
    };
    (0..rank).map(axis).collect()
}

pub(super) fn softmax(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let beta = operator.option::<f32>(9, 0, 0.0)?;
    ensure!(beta.is_finite() && beta > 0.0, "beta is {beta}: it has to be positive");
    unary(import, operator, Op::Softmax { beta })
}
