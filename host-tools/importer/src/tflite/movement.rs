//! Operators that move elements: transpositions, slices, splits, stacks, tilings, and between space and depth.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::IndexMap;
use nervelet_compiler::graph::{Op, TensorId};
use nervelet_compiler::index_map;

use super::constants;
use super::file::Operator;
use super::import::Import;
use super::pooling::axis;

/// Input 0 moved by a map into a shape.
fn moved(import: &mut Import<'_, '_>, operator: &Operator<'_>, map: IndexMap, shape: &[usize]) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let output = import.output(operator, 0, shape)?;
    import.node(operator, Op::Rearrange(map), vec![x], output);
    Ok(())
}

/// The integers of a constant input.
fn integers(import: &Import<'_, '_>, operator: &Operator<'_>, position: usize) -> Result<Vec<i64>> {
    constants::integers(&import.input(operator, position)?)
}

pub(super) fn transpose(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let order = integers(import, operator, 1)?;
    let order = order.into_iter().map(|index| axis(index, shape.len())).collect::<Result<Vec<_>>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    ensure!(sorted.into_iter().eq(0..shape.len()), "{order:?} is no order of {} axes", shape.len());
    let output: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    moved(import, operator, index_map::transpose(&shape, &order)?, &output)
}

pub(super) fn slice(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let (begins, sizes) = (integers(import, operator, 1)?, integers(import, operator, 2)?);
    ensure!(begins.len() == shape.len() && sizes.len() == shape.len(), "slices {} axes of {shape:?}", begins.len());
    let axes = shape.iter().zip(begins.iter().zip(&sizes)).map(|(extent, (begin, size))| {
        let begin = usize::try_from(*begin).ok().filter(|begin| begin < extent);
        let begin = begin.with_context(|| format!("slices from {begins:?} of {shape:?}"))?;
        let rest = extent - begin;
        let size = if *size == -1 { Some(rest) } else { usize::try_from(*size).ok() };
        let size = size.filter(|size| (1..=rest).contains(size));
        Ok((begin, size.with_context(|| format!("slices {sizes:?} from {begins:?} of {shape:?}"))?))
    });
    let (begins, sizes): (Vec<_>, Vec<_>) = axes.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let map = index_map::slice(&shape, &begins, &sizes, &vec![1; shape.len()])?;
    moved(import, operator, map, &sizes)
}

pub(super) fn strided_slice(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    const OPTIONS: u8 = 32;
    let shape = import.input(operator, 0)?.shape;
    let mask = |number| operator.option::<i32>(OPTIONS, number, 0);
    let (begin_mask, end_mask, shrink_mask) = (mask(0)?, mask(1)?, mask(4)?);
    ensure!(
        mask(2)? == 0 && mask(3)? == 0,
        "an ellipsis or a new axis is not taken: write the slice out for every axis"
    );
    ensure!(operator.option::<u8>(OPTIONS, 5, 0)? == 0, "ends relative to the begin are not taken");
    let [begins, ends, steps] =
        [integers(import, operator, 1)?, integers(import, operator, 2)?, integers(import, operator, 3)?];
    let count = begins.len();
    ensure!(
        count <= shape.len() && ends.len() == count && steps.len() == count,
        "slices {count} axes of {shape:?} with {} ends and {} steps",
        ends.len(),
        steps.len()
    );
    let (mut offsets, mut extents, mut strides, mut output) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (axis, extent) in shape.iter().enumerate() {
        let set = |mask: i32| mask & (1 << axis) != 0;
        let (begin, size, step) = match (begins.get(axis), ends.get(axis), steps.get(axis)) {
            (Some(begin), _, _) if set(shrink_mask) => (self::axis(*begin, *extent)?, 1, 1),
            (Some(begin), Some(end), Some(step)) => {
                let begin = (!set(begin_mask)).then_some(*begin);
                let end = (!set(end_mask)).then_some(*end);
                range(*extent, begin, end, *step).with_context(|| format!("axis {axis} of {shape:?}"))?
            }
            _ => (0, *extent, 1),
        };
        offsets.push(begin);
        extents.push(size);
        strides.push(step);
        if !(axis < count && set(shrink_mask)) {
            output.push(size);
        }
    }
    moved(import, operator, index_map::slice(&shape, &offsets, &extents, &strides)?, &output)
}

/// The first element, the number of elements and the step of a slice as Python defines it.
fn range(extent: usize, begin: Option<i64>, end: Option<i64>, step: i64) -> Result<(usize, usize, i64)> {
    let extent = i64::try_from(extent)?;
    ensure!(step != 0, "a step of 0");
    let (lowest, highest) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
    let inside = |index: i64| if index < 0 { index.saturating_add(extent) } else { index }.clamp(lowest, highest);
    let begin = begin.map_or(if step > 0 { lowest } else { highest }, inside);
    let end = end.map_or(if step > 0 { highest } else { lowest }, inside);
    let distance = if step > 0 { end - begin } else { begin - end };
    let count = if distance > 0 { (distance as u64).div_ceil(step.unsigned_abs()) } else { 0 };
    ensure!(count > 0, "from {begin} to {end} in steps of {step} there is nothing");
    Ok((usize::try_from(begin)?, usize::try_from(count)?, step))
}

/// SPLIT: the axis is input 0, the tensor input 1; all parts are equal.
pub(super) fn split(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 1)?.shape;
    let [index] = integers(import, operator, 0)?[..] else { bail!("takes one axis") };
    let axis = axis(index, shape.len())?;
    let count = operator.outputs.len();
    ensure!(count > 0 && shape[axis] % count == 0, "{count} equal parts of axis {axis} of {shape:?}");
    parts(import, operator, 1, axis, &vec![shape[axis] / count; count], true)
}

/// SPLIT_V: the tensor is input 0, the sizes input 1, the axis input 2.
pub(super) fn split_v(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let (sizes, [index]) = (integers(import, operator, 1)?, &integers(import, operator, 2)?[..]) else {
        bail!("takes one axis")
    };
    let axis = axis(*index, shape.len())?;
    let known = sizes
        .iter()
        .filter(|size| **size != -1)
        .try_fold(0_usize, |sum, size| sum.checked_add(usize::try_from(*size).ok()?));
    let open = sizes.iter().filter(|size| **size == -1).count();
    let rest = known.and_then(|known| shape[axis].checked_sub(known)).filter(|rest| open == 1 || *rest == 0);
    let rest = rest.filter(|_| open <= 1).with_context(|| format!("parts {sizes:?} of axis {axis} of {shape:?}"))?;
    let sizes: Vec<usize> = sizes.iter().map(|size| if *size == -1 { rest } else { *size as usize }).collect();
    ensure!(sizes.len() == operator.outputs.len(), "{} parts but {} outputs", sizes.len(), operator.outputs.len());
    parts(import, operator, 0, axis, &sizes, true)
}

pub(super) fn unpack(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let axis = axis(operator.option::<i32>(64, 1, 0)?.into(), shape.len())?;
    let count = operator.outputs.len();
    ensure!(count == shape[axis], "{count} outputs for {} elements of axis {axis}", shape[axis]);
    parts(import, operator, 0, axis, &vec![1; count], false)
}

/// Cuts a tensor into its outputs along an axis, which is kept or, with extent 1, dropped.
fn parts(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    input: usize,
    axis: usize,
    sizes: &[usize],
    keep: bool,
) -> Result<()> {
    let x = import.value(operator.input(input)?)?;
    let shape = import.graph_tensor(x).shape.clone();
    let mut start = 0;
    for (position, size) in sizes.iter().enumerate() {
        let (mut begin, mut extents) = (vec![0; shape.len()], shape.clone());
        (begin[axis], extents[axis]) = (start, *size);
        let map = index_map::slice(&shape, &begin, &extents, &vec![1; shape.len()])?;
        if !keep {
            extents.remove(axis);
        }
        let output = import.output(operator, position, &extents)?;
        import.node(operator, Op::Rearrange(map), vec![x], output);
        start += size;
    }
    Ok(())
}

pub(super) fn pack(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let mut shape = import.input(operator, 0)?.shape;
    let axis = axis(operator.option::<i32>(59, 1, 0)?.into(), shape.len() + 1)?;
    let part = shape.clone();
    shape.insert(axis, 1);
    let mut inputs: Vec<TensorId> = Vec::new();
    for position in 0..operator.inputs.len() {
        let x = import.value(operator.input(position)?)?;
        let found = &import.graph_tensor(x).shape;
        ensure!(*found == part, "input {position} has shape {found:?}, not {part:?}");
        let widened = import.inner(x, shape.clone());
        import.node(operator, Op::Reshape, vec![x], widened);
        inputs.push(widened);
    }
    shape[axis] = inputs.len();
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, Op::Concatenation { axis }, inputs, output);
    Ok(())
}

pub(super) fn reverse(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let (mut begin, mut steps) = (vec![0; shape.len()], vec![1; shape.len()]);
    for index in integers(import, operator, 1)? {
        let axis = axis(index, shape.len())?;
        (begin[axis], steps[axis]) = (shape[axis] - 1, -1);
    }
    moved(import, operator, index_map::slice(&shape, &begin, &shape, &steps)?, &shape)
}

pub(super) fn tile(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let repeats = integers(import, operator, 1)?;
    let counts = repeats.iter().map(|count| usize::try_from(*count).ok().filter(|count| *count > 0));
    let counts: Option<Vec<usize>> = counts.collect();
    let counts = counts.filter(|counts| counts.len() == shape.len());
    let counts = counts.with_context(|| format!("repeats {shape:?} {repeats:?} times"))?;
    let output = shape.iter().zip(&counts).map(|(extent, count)| extent.checked_mul(*count));
    let output: Vec<usize> = output.collect::<Option<_>>().context("the output is too large")?;
    moved(import, operator, index_map::tile(&shape, &counts)?, &output)
}

pub(super) fn broadcast_to(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let mut shape = import.input(operator, 0)?.shape;
    let wanted = integers(import, operator, 1)?;
    let wanted: Option<Vec<usize>> = wanted.iter().map(|extent| usize::try_from(*extent).ok()).collect();
    let wanted = wanted.context("a negative extent")?;
    let lead = wanted.len().checked_sub(shape.len()).context("fewer axes than the input has")?;
    shape.splice(0..0, std::iter::repeat_n(1, lead));
    let repeats = shape.iter().zip(&wanted).map(|(from, to)| match *from {
        from if from == *to => Ok(1),
        1 => Ok(*to),
        _ => bail!("{shape:?} does not broadcast to {wanted:?}"),
    });
    let repeats = repeats.collect::<Result<Vec<_>>>()?;
    moved(import, operator, index_map::tile(&shape, &repeats)?, &wanted)
}

pub(super) fn space_to_depth(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let (block, [rows, columns, channels]) = (block(operator, 19)?, super::layers::image(&shape)?);
    ensure!(rows % block == 0 && columns % block == 0, "{shape:?} does not divide into blocks of {block}");
    let map = index_map::space_to_depth([rows, columns, channels], block)?;
    moved(import, operator, map, &[1, rows / block, columns / block, channels * block * block])
}

pub(super) fn depth_to_space(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let shape = import.input(operator, 0)?.shape;
    let (block, [rows, columns, channels]) = (block(operator, 94)?, super::layers::image(&shape)?);
    ensure!(channels % (block * block) == 0, "{channels} channels don't divide into blocks of {block}");
    let inner = channels / (block * block);
    let map = index_map::depth_to_space([rows, columns, inner], block)?;
    moved(import, operator, map, &[1, rows * block, columns * block, inner])
}

fn block(operator: &Operator<'_>, options: u8) -> Result<usize> {
    let block = operator.option::<i32>(options, 0, 0)?;
    let positive = u16::try_from(block).ok().filter(|block| *block > 0).map(usize::from);
    positive.with_context(|| format!("a block of {block}: the file is damaged"))
}
