//! Pools and reductions.

use anyhow::{Result, bail, ensure};
use nervelet_compiler::graph::{Activation, Op, Window};

use super::constants;
use super::file::Operator;
use super::import::{Import, activation};
use super::layers::{image, output_shape, pair, window};

pub(super) fn pool_2d(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    op: impl Fn(Window, Activation) -> Op,
) -> Result<()> {
    const OPTIONS: u8 = 5;
    let x = import.value(operator.input(0)?)?;
    let [rows, columns, channels] = image(&import.graph_tensor(x).shape)?;
    let (stride, kernel) = (pair(operator, OPTIONS, 2, 1, 0)?, pair(operator, OPTIONS, 4, 3, 0)?);
    let window = window(operator.option(OPTIONS, 0, 0)?, [rows, columns], kernel, stride, [1, 1])?;
    let shape = output_shape(&window, [rows, columns], channels)?;
    let activation = activation(operator.option(OPTIONS, 5, 0)?)?;
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, op(window, activation), vec![x], output);
    Ok(())
}

/// An operator that reduces the axes of constant input 1.
pub(super) fn reduce(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    op: impl Fn(Vec<usize>, bool) -> Op,
) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let shape = import.graph_tensor(x).shape.clone();
    let mut axes = Vec::new();
    for index in constants::integers(&import.input(operator, 1)?)? {
        let axis = axis(index, shape.len())?;
        ensure!(!axes.contains(&axis), "axis {index} is named twice");
        axes.push(axis);
    }
    axes.sort_unstable();
    let keep_dims = operator.option::<u8>(27, 0, 0)? != 0;
    let output = import.output(operator, 0, &reduced(&shape, &axes, keep_dims))?;
    import.node(operator, op(axes, keep_dims), vec![x], output);
    Ok(())
}

pub(super) fn arg_max(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let shape = import.graph_tensor(x).shape.clone();
    let [index] = constants::integers(&import.input(operator, 1)?)?[..] else { bail!("takes one axis") };
    let axis = axis(index, shape.len())?;
    let output = import.output(operator, 0, &reduced(&shape, &[axis], false))?;
    import.node(operator, Op::ArgMax { axis }, vec![x], output);
    Ok(())
}

/// A shape without some axes, or with extent 1 there.
fn reduced(shape: &[usize], axes: &[usize], keep_dims: bool) -> Vec<usize> {
    let extent = |(axis, extent): (usize, &usize)| match (axes.contains(&axis), keep_dims) {
        (false, _) => Some(*extent),
        (true, true) => Some(1),
        (true, false) => None,
    };
    shape.iter().enumerate().filter_map(extent).collect()
}

/// An axis that may be counted from behind.
pub(super) fn axis(index: i64, rank: usize) -> Result<usize> {
    let counted = if index < 0 { index.checked_add_unsigned(rank as u64) } else { Some(index) };
    let axis = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    axis.ok_or_else(|| anyhow::anyhow!("names axis {index} of {rank}"))
}
