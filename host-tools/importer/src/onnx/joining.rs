//! Operators that join tensors and surround them.

use anyhow::{Context, Result, ensure};
use nervelet::ops::MAX_RANK;
use nervelet_compiler::graph::{Data, Op, Quantization, TensorId};

use super::array::shape as checked;
use super::file::{Operator, axis};
use super::fold::integers;
use super::import::{Import, Operand};
use super::view::View;

/// An operand whose axes lie in an order in memory, with that order, its shape and where an axis is among them.
pub(super) fn in_memory(
    import: &mut Import<'_>,
    operand: &Operand,
    axis: usize,
) -> Result<(Operand, Vec<usize>, Vec<usize>, usize)> {
    let (operand, order) = import.ordered(operand)?;
    let shape = operand.view.shape();
    ensure!(shape.len() <= MAX_RANK, "works on {} axes, at most {MAX_RANK} are taken", shape.len());
    let place = order.iter().position(|at| *at == axis).context("an axis is lost")?;
    Ok((operand, order, shape, place))
}

pub(super) fn concat<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let count = operator.node.input.len();
    let first = import.input(operator, 0)?.shape();
    let axis = axis(operator.int("axis", 0)?, first.len())?;
    if count == 1 {
        let value = import.input(operator, 0)?;
        return import.set(operator, 0, value);
    }
    let mut operands = Vec::new();
    let mut joined = 0_usize;
    for position in 0..count {
        let operand = import.operand(operator, position)?;
        let shape = operand.view.shape();
        let fits = shape.len() == first.len() && (0..shape.len()).all(|at| at == axis || shape[at] == first[at]);
        ensure!(fits, "input {position} of shape {shape:?} does not fit {first:?} along axis {axis}");
        joined = joined.saturating_add(shape[axis]);
        operands.push(operand);
    }
    let output = import.int8_target(operator, &operands.iter().collect::<Vec<_>>());
    // The first that is computed and lies in some order says which.
    let ordered = operands.iter().filter(|operand| import.tensor(operand.id).data.is_none());
    let mut orders = ordered.filter_map(|operand| operand.view.order(import.tensor(operand.id).elements()));
    let order = orders.next().unwrap_or_else(|| (0..first.len()).collect());
    ensure!(first.len() <= MAX_RANK, "joins tensors of {} axes, at most {MAX_RANK} are taken", first.len());
    let place = order.iter().position(|at| *at == axis).context("an axis is lost")?;
    let name = import.name(operator);
    let mut inputs = Vec::new();
    for (position, operand) in operands.iter().enumerate() {
        let operand = if output.is_some() { operand.clone() } else { import.real(operand) };
        let id = import.in_order(&operand, &order)?;
        let shape = operand.view.shape();
        let id = import.shape_as(id, &order.iter().map(|at| shape[*at]).collect::<Vec<_>>());
        inputs.push(rescaled(import, &format!("{name}.requantize_{position}"), id, output.as_ref())?);
    }
    let mut shape = first;
    shape[axis] = joined;
    let extents = order.iter().map(|at| shape[*at]).collect();
    let id = import.node(&name, Op::Concatenation { axis: place }, inputs, extents, output)?;
    import.set_tensor(operator, 0, id, View::of(&shape).packed(&order))
}

/// Codes in another scale, where they have another.
fn rescaled(import: &mut Import<'_>, name: &str, id: TensorId, wanted: Option<&Quantization>) -> Result<TensorId> {
    let tensor = import.tensor(id);
    if wanted.is_none() || tensor.quantization.as_ref() == wanted {
        return Ok(id);
    }
    let shape = tensor.shape.clone();
    import.node(name, Op::Quantize, vec![id], shape, wanted.cloned())
}

pub(super) fn pad<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let mode = operator.text("mode", "constant")?;
    ensure!(mode == "constant", "mode={mode} is not taken, only constant");
    let operand = import.operand(operator, 0)?;
    let rank = operand.view.rank();
    let (given, number) = if operator.set < 11 {
        (operator.ints("pads")?.map(<[i64]>::to_vec), operator.float("value", 0.0)?)
    } else {
        let number = import.optional_constant(operator, 2)?;
        let number = number.map(|number| number.array.uniform().context("pads with what is no number"));
        (integers(import, operator, 1)?, number.transpose()?.unwrap_or(0.0))
    };
    let given = given.context("has no pads")?;
    let named = if operator.set < 18 { None } else { integers(import, operator, 3)? };
    let named = named.unwrap_or_else(|| (0..rank as i64).collect());
    ensure!(given.len() == 2 * named.len(), "{} pads for {} axes", given.len(), named.len());
    let mut amounts = vec![(0, 0); rank];
    for (at, index) in named.iter().enumerate() {
        let amount = |value: i64| u32::try_from(value).ok().map(|value| value as usize);
        let pair = amount(given[at]).zip(amount(given[at + named.len()]));
        amounts[axis(*index, rank)?] = pair.context("a pad is negative or too large")?;
    }
    let (operand, order, shape, _) = in_memory(import, &operand, 0)?;
    let padded: Vec<usize> =
        shape.iter().zip(&amounts).map(|(extent, (before, after))| extent + before + after).collect();
    checked(&padded.iter().map(|extent| *extent as i64).collect::<Vec<_>>())?;
    let input = import.shape_as(operand.id, &order.iter().map(|at| shape[*at]).collect::<Vec<_>>());
    let quantization = import.tensor(input).quantization.clone();
    let amounts: Vec<(usize, usize)> = order.iter().map(|at| amounts[*at]).collect();
    let op = match (&quantization, number) {
        (_, 0.0) => Op::Pad { amounts },
        (None, number) => Op::PadWith { amounts, value: Data::Float32(vec![number]) },
        (Some(scale), number) => {
            let code = (number / scale.scales[0]).round_ties_even() + scale.zero_points[0] as f32;
            Op::PadWith { amounts, value: Data::Int8(vec![code.clamp(-128.0, 127.0) as i8]) }
        }
    };
    let extents = order.iter().map(|at| padded[*at]).collect();
    let id = import.node(&import.name(operator), op, vec![input], extents, quantization)?;
    import.set_tensor(operator, 0, id, View::of(&padded).packed(&order))
}
