//! Operators that pick elements along axes by index: gathers, mirrored padding, resizing.

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::{Op, TensorId};

use super::constants;
use super::file::Operator;
use super::import::Import;
use super::layers::image;
use super::pooling::axis;

pub(super) fn gather(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 23;
    let (mut shape, indices) = (import.input(operator, 0)?.shape, import.input(operator, 1)?);
    let axis = axis(operator.option::<i32>(OPTIONS, 0, 0)?.into(), shape.len())?;
    ensure!(operator.option::<i32>(OPTIONS, 1, 0)? == 0, "a gather by batch is not taken");
    let rows = constants::integers(&indices).context("the indices have to be constant")?;
    let rows = rows.iter().map(|row| Ok(u32::try_from(self::axis(*row, shape[axis])?)?)).collect::<Result<Vec<_>>>()?;
    shape.splice(axis..=axis, indices.shape);
    let x = import.value(operator.input(0)?)?;
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, Op::Gather { axis, rows }, vec![x], output);
    Ok(())
}

pub(super) fn mirror_pad(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    // REFLECT leaves the border element out, SYMMETRIC repeats it.
    let border = match operator.option::<i8>(77, 0, 0)? {
        0 => 1,
        1 => 0,
        mode => bail!("has mode {mode}, which does not exist: the file is damaged"),
    };
    let shape = import.input(operator, 0)?.shape;
    let amounts = super::shapes::amounts(import, operator, &shape)?;
    let tables = shape.iter().zip(&amounts).map(|(extent, (before, after))| {
        let most = extent.saturating_sub(border);
        ensure!(*before <= most && *after <= most, "mirrors {before} and {after} of {extent} elements");
        let first = (0..*before).map(|i| before - 1 - i + border);
        let last = (0..*after).map(|i| extent - 1 - border - i);
        Ok(first.chain(0..*extent).chain(last).map(|row| row as u32).collect())
    });
    let tables = tables.collect::<Result<Vec<Vec<u32>>>>()?;
    pick(import, operator, &tables)
}

pub(super) fn resize_nearest(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 74;
    let shape = import.input(operator, 0)?.shape;
    let [rows, columns, channels] = image(&shape)?;
    let [new_rows, new_columns] = size(import, operator)?;
    let flag = |number| operator.option::<u8>(OPTIONS, number, 0).map(|flag| flag != 0);
    let (align_corners, half_pixel_centers) = (flag(0)?, flag(1)?);
    let table = |from: usize, to: usize| -> Vec<u32> {
        let step = if align_corners && to > 1 { (from - 1) as f32 / (to - 1) as f32 } else { from as f32 / to as f32 };
        let offset = if half_pixel_centers { 0.5 } else { 0.0 };
        let nearest = |i: usize| {
            let at = (i as f32 + offset) * step;
            let at = if align_corners { at.round() } else { at.floor() };
            (at.max(0.0) as usize).min(from - 1) as u32
        };
        (0..to).map(nearest).collect()
    };
    let whole = |extent: usize| (0..extent as u32).collect();
    pick(import, operator, &[whole(1), table(rows, new_rows), table(columns, new_columns), whole(channels)])
}

pub(super) fn resize_bilinear(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 15;
    let x = import.value(operator.input(0)?)?;
    let [_, _, channels] = image(&import.graph_tensor(x).shape)?;
    let [rows, columns] = size(import, operator)?;
    let flag = |number| operator.option::<u8>(OPTIONS, number, 0).map(|flag| flag != 0);
    let (align_corners, half_pixel_centers) = (flag(2)?, flag(3)?);
    ensure!(!(align_corners && half_pixel_centers), "aligned corners exclude half-pixel centres: the file is damaged");
    let output = import.output(operator, 0, &[1, rows, columns, channels])?;
    import.node(operator, Op::ResizeBilinear { align_corners, half_pixel_centers }, vec![x], output);
    Ok(())
}

/// The new rows and columns: constant input 1.
fn size(import: &Import<'_, '_>, operator: &Operator<'_>) -> Result<[usize; 2]> {
    let size = constants::integers(&import.input(operator, 1)?)?;
    let extent = |extent: i64| u16::try_from(extent).ok().filter(|extent| *extent > 0).map(usize::from);
    match size[..] {
        [rows, columns] => extent(rows).zip(extent(columns)).map(|(rows, columns)| [rows, columns]),
        _ => None,
    }
    .with_context(|| format!("resizes to {size:?}"))
}

/// Picks rows along every axis, one node for each axis that changes.
fn pick(import: &mut Import<'_, '_>, operator: &Operator<'_>, tables: &[Vec<u32>]) -> Result<()> {
    let mut x: TensorId = import.value(operator.input(0)?)?;
    let mut shape = import.graph_tensor(x).shape.clone();
    let same = |axis: usize| tables[axis].iter().copied().eq(0..shape[axis] as u32);
    let changed: Vec<usize> = (0..tables.len()).filter(|axis| !same(*axis)).collect();
    let last = changed.last().copied();
    for axis in changed {
        shape[axis] = tables[axis].len();
        let output =
            if Some(axis) == last { import.output(operator, 0, &shape)? } else { import.inner(x, shape.clone()) };
        import.node(operator, Op::Gather { axis, rows: tables[axis].clone() }, vec![x], output);
        x = output;
    }
    if last.is_none() {
        let output = import.output(operator, 0, &shape)?;
        import.node(operator, Op::Reshape, vec![x], output);
    }
    Ok(())
}
