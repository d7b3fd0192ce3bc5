//! Operators that move elements or only change the shape.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::Op;

use super::constants;
use super::file::Operator;
use super::import::{Import, activation};
use super::pooling::axis;

pub(super) fn reshape(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 17;
    let wanted = match operator.optional_input(1) {
        Some(index) => constants::integers(&import.tensor(index)?)?,
        None => match operator.options(OPTIONS)? {
            Some(options) => options.vector::<i32>(0)?.iter().map(i64::from).collect(),
            None => bail!("names no shape: the file is damaged"),
        },
    };
    let x = import.value(operator.input(0)?)?;
    let elements = import.graph_tensor(x).elements();
    let known = wanted.iter().filter(|extent| **extent != -1).try_fold(1_usize, |product, extent| {
        product.checked_mul(usize::try_from(*extent).ok().filter(|extent| *extent > 0)?)
    });
    let known = known.with_context(|| format!("the new shape is {wanted:?}"))?;
    let open = wanted.iter().filter(|extent| **extent == -1).count();
    let fits = if open == 0 { known == elements } else { open == 1 && elements.is_multiple_of(known) };
    ensure!(fits, "{elements} elements don't take the shape {wanted:?}");
    let shape: Vec<usize> =
        wanted.iter().map(|extent| if *extent == -1 { elements / known } else { *extent as usize }).collect();
    reshape_to(import, operator, &shape)
}

pub(super) fn squeeze(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 30;
    let shape = import.input(operator, 0)?.shape;
    let named = match operator.options(OPTIONS)? {
        Some(options) => {
            let axes = options.vector::<i32>(0)?;
            axes.iter().map(|index| axis(index.into(), shape.len())).collect::<Result<Vec<_>>>()?
        }
        None => Vec::new(),
    };
    if let Some(axis) = named.iter().find(|axis| shape.get(**axis) != Some(&1)) {
        bail!("can't drop axis {axis} of {shape:?}");
    }
    let dropped = |axis: usize, extent: usize| if named.is_empty() { extent == 1 } else { named.contains(&axis) };
    let kept = shape.iter().enumerate().filter(|(axis, extent)| !dropped(*axis, **extent)).map(|(_, extent)| *extent);
    reshape_to(import, operator, &kept.collect::<Vec<_>>())
}

pub(super) fn expand_dims(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let mut shape = import.input(operator, 0)?.shape;
    let [index] = constants::integers(&import.input(operator, 1)?)?[..] else { bail!("takes one axis") };
    let axis = axis(index, shape.len() + 1)?;
    shape.insert(axis, 1);
    reshape_to(import, operator, &shape)
}

fn reshape_to(import: &mut Import<'_, '_>, operator: &Operator<'_>, shape: &[usize]) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let output = import.output(operator, 0, shape)?;
    import.node(operator, Op::Reshape, vec![x], output);
    Ok(())
}

pub(super) fn concatenation(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 10;
    let activation = activation(operator.option(OPTIONS, 1, 0)?)?;
    ensure!(activation == Default::default(), "a fused activation is not taken: use an activation layer of its own");
    let mut shape = import.input(operator, 0)?.shape;
    let axis = axis(operator.option::<i32>(OPTIONS, 0, 0)?.into(), shape.len())?;
    let mut inputs = Vec::new();
    let mut joined = 0_usize;
    for position in 0..operator.inputs.len() {
        let x = import.value(operator.input(position)?)?;
        let found = &import.graph_tensor(x).shape;
        let same = found.len() == shape.len()
            && found.iter().zip(&shape).enumerate().all(|(at, (found, extent))| at == axis || found == extent);
        ensure!(same, "input {position} of shape {found:?} does not fit {shape:?} along axis {axis}");
        joined = joined.saturating_add(found[axis]);
        inputs.push(x);
    }
    shape[axis] = joined;
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, Op::Concatenation { axis }, inputs, output);
    Ok(())
}

pub(super) fn pad(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let shape = import.graph_tensor(x).shape.clone();
    let amounts = amounts(import, operator, &shape)?;
    let padded: Vec<usize> =
        shape.iter().zip(&amounts).map(|(extent, (before, after))| extent + before + after).collect();
    let output = import.output(operator, 0, &padded)?;
    let op = match operator.optional_input(2) {
        None => Op::Pad { amounts },
        Some(index) => {
            let value = import.tensor(index)?;
            let same = value.data_type == import.graph_tensor(x).data_type
                && (value.quantization.is_none() || value.quantization == import.graph_tensor(x).quantization);
            ensure!(same, "pads with a value of another type or scale than the input's");
            let value = constants::data(&value).context("the padding value")?;
            ensure!(value.len() == 1, "pads with {} values", value.len());
            Op::PadWith { amounts, value }
        }
    };
    import.node(operator, op, vec![x], output);
    Ok(())
}

/// The elements before and after each axis: constant input 1.
pub(super) fn amounts(
    import: &Import<'_, '_>,
    operator: &Operator<'_>,
    shape: &[usize],
) -> Result<Vec<(usize, usize)>> {
    let amounts = import.input(operator, 1)?;
    ensure!(amounts.shape == [shape.len(), 2], "pads of shape {:?} for an input of {shape:?}", amounts.shape);
    let amounts = constants::integers(&amounts)?;
    let amounts = amounts.chunks_exact(2).map(|pair| {
        let [before, after] = [pair[0], pair[1]].map(|amount| u32::try_from(amount).ok().map(|amount| amount as usize));
        before.zip(after).with_context(|| format!("pads {pair:?} elements"))
    });
    amounts.collect()
}
