//! Operators that only change how elements are seen, and those that pick some.

use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::graph::{Data, Op, Quantization, TensorId};

use super::array::{Array, Constant, Elements, shape as checked};
use super::file::{Operator, axis};
use super::fold::{axes, integers};
use super::import::{Import, Operand, Value};
use super::joining::in_memory;
use super::view::View;

/// Another view of a value; constants are moved at once.
fn seen(import: &mut Import<'_>, value: &Value, view: View, order: Option<&[usize]>) -> Result<Value> {
    Ok(match value {
        Value::Tensor(operand) => Value::Tensor(Operand { view, ..operand.clone() }),
        Value::Constant(constant) => {
            import.charge(view.elements())?;
            let codes = constant.codes.as_ref().and_then(|codes| codes.seen(&view, order));
            Value::Constant(Rc::new(Constant { array: constant.array.seen(&view), codes }))
        }
    })
}

fn view_of(value: &Value) -> View {
    match value {
        Value::Tensor(operand) => operand.view.clone(),
        Value::Constant(constant) => View::of(&constant.array.shape),
    }
}

/// A value moved to the order of its axes, for views that can't be changed as they are.
fn settled(import: &mut Import<'_>, value: &Value) -> Result<Value> {
    let Value::Tensor(operand) = value else { return Ok(value.clone()) };
    let id = import.in_logical_order(operand)?;
    let view = View::of(&operand.view.shape());
    Ok(Value::Tensor(Operand { id, view, ..operand.clone() }))
}

/// A value in another shape.
pub(super) fn reshaped(import: &mut Import<'_>, value: &Value, shape: &[usize]) -> Result<Value> {
    let own = value.shape();
    let same = own.iter().product::<usize>() == shape.iter().product::<usize>();
    ensure!(same, "{own:?} does not reshape to {shape:?}");
    checked(&shape.iter().map(|extent| *extent as i64).collect::<Vec<_>>())?;
    if let (Value::Constant(constant), true) = (value, own.contains(&0)) {
        let array = Array { shape: shape.to_vec(), ..constant.array.clone() };
        return Ok(Value::Constant(Rc::new(Constant { array, codes: None })));
    }
    match view_of(value).reshaped(shape) {
        Some(view) => seen(import, value, view, None),
        None => {
            let value = settled(import, value)?;
            let view = view_of(&value).reshaped(shape).context("a reshape is lost")?;
            seen(import, &value, view, None)
        }
    }
}

pub(super) fn reshape<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let own = value.shape();
    let wanted = match operator.ints("shape")? {
        Some(shape) if operator.set < 5 => shape.to_vec(),
        _ => integers(import, operator, 1)?.context("has no shape")?,
    };
    let zero_is_zero = operator.int("allowzero", 0)? != 0;
    let open = wanted.iter().filter(|extent| **extent == -1).count();
    ensure!(open <= 1, "reshapes to {wanted:?}, of which more than one extent is open");
    let extent = |(at, extent): (usize, &i64)| match *extent {
        0 if !zero_is_zero => own.get(at).map(|extent| *extent as i64).context("keeps an extent that is not there"),
        -1 => Ok(1),
        extent => Ok(extent),
    };
    let mut shape = checked(&wanted.iter().enumerate().map(extent).collect::<Result<Vec<i64>>>()?)?;
    if let Some(at) = wanted.iter().position(|extent| *extent == -1) {
        let known: usize = shape.iter().product();
        let elements: usize = own.iter().product();
        ensure!(known > 0 && elements.is_multiple_of(known), "{own:?} does not reshape to {wanted:?}");
        shape[at] = elements / known;
    }
    let value = reshaped(import, &value, &shape)?;
    import.set(operator, 0, value)
}

pub(super) fn flatten<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let shape = value.shape();
    let at = match operator.int("axis", 1)? {
        all if all == shape.len() as i64 => shape.len(),
        index => axis(index, shape.len())?,
    };
    let (before, after) = shape.split_at(at);
    let flat = [before.iter().product(), after.iter().product()];
    let value = reshaped(import, &value, &flat)?;
    import.set(operator, 0, value)
}

pub(super) fn squeeze<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let shape = value.shape();
    let named = axes(import, operator, 1)?;
    let dropped = match named {
        Some(axes) => axes.iter().map(|index| axis(*index, shape.len())).collect::<Result<Vec<usize>>>()?,
        None => (0..shape.len()).filter(|at| shape[*at] == 1).collect(),
    };
    ensure!(dropped.iter().all(|at| shape[*at] == 1), "drops axes {dropped:?} of {shape:?}, not all of extent 1");
    let kept: Vec<usize> = (0..shape.len()).filter(|at| !dropped.contains(at)).map(|at| shape[at]).collect();
    let value = reshaped(import, &value, &kept)?;
    import.set(operator, 0, value)
}

pub(super) fn unsqueeze<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let named = axes(import, operator, 1)?.context("has no axes")?;
    let rank = value.shape().len() + named.len();
    let mut added = named.iter().map(|index| axis(*index, rank)).collect::<Result<Vec<usize>>>()?;
    added.sort_unstable();
    added.dedup();
    ensure!(added.len() == named.len(), "adds axes {named:?}, one of them twice");
    let mut shape = value.shape();
    for at in added {
        shape.insert(at, 1);
    }
    let value = reshaped(import, &value, &shape)?;
    import.set(operator, 0, value)
}

pub(super) fn transpose<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let view = view_of(&value);
    let order = match operator.ints("perm")? {
        Some(order) => order.iter().map(|index| axis(*index, view.rank())).collect::<Result<Vec<usize>>>()?,
        None => (0..view.rank()).rev().collect(),
    };
    let view = view.transposed(&order)?;
    let value = seen(import, &value, view, Some(&order))?;
    import.set(operator, 0, value)
}

pub(super) fn expand<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let wanted = checked(&integers(import, operator, 1)?.context("has no shape")?)?;
    let shape = super::binary::broadcast(&value.shape(), &wanted)?;
    ensure!(!shape.contains(&0), "makes a shape of {shape:?} without elements");
    checked(&shape.iter().map(|extent| *extent as i64).collect::<Vec<_>>())?;
    let view = view_of(&value).expanded(&shape)?;
    let value = seen(import, &value, view, None)?;
    import.set(operator, 0, value)
}

pub(super) fn tile<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let own = value.shape();
    let repeats = checked(&integers(import, operator, 1)?.context("has no repeats")?)?;
    ensure!(repeats.len() == own.len() && !repeats.contains(&0), "repeats {own:?} {repeats:?} times");
    let extents: Vec<i64> = own.iter().zip(&repeats).map(|(extent, count)| (extent * count) as i64).collect();
    let shape = checked(&extents)?;
    // Each axis is a repeated one of extent 1 and its own.
    let split: Vec<usize> = own.iter().flat_map(|extent| [1, *extent]).collect();
    let wide: Vec<usize> = own.iter().zip(&repeats).flat_map(|(extent, count)| [*count, *extent]).collect();
    let value = reshaped(import, &value, &split)?;
    let view = view_of(&value).expanded(&wide)?;
    let value = seen(import, &value, view, None)?;
    let value = reshaped(import, &value, &shape)?;
    import.set(operator, 0, value)
}

/// The elements `begin`, `begin + step`, .. of an axis.
fn sliced(import: &mut Import<'_>, value: &Value, axis: usize, begin: usize, count: usize, step: i64) -> Result<Value> {
    let (value, view) = match view_of(value).sliced(axis, begin, count, step) {
        Some(view) => (value.clone(), view),
        None => {
            let value = settled(import, value)?;
            let view = view_of(&value).sliced(axis, begin, count, step).context("a slice is lost")?;
            (value, view)
        }
    };
    seen(import, &value, view, None)
}

pub(super) fn slice<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let mut value = import.input(operator, 0)?;
    let shape = value.shape();
    let given = |import: &Import<'f>, position: usize, name: &str| -> Result<Option<Vec<i64>>> {
        if operator.set < 10 {
            Ok(operator.ints(name)?.map(<[i64]>::to_vec))
        } else {
            integers(import, operator, position)
        }
    };
    let starts = given(import, 1, "starts")?.context("has no starts")?;
    let ends = given(import, 2, "ends")?.context("has no ends")?;
    let named = given(import, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = given(import, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    ensure!(
        [ends.len(), named.len(), steps.len()] == [starts.len(); 3],
        "starts, ends, axes and steps are not of one length"
    );
    let mut seen_axes = Vec::new();
    for (((start, end), index), step) in starts.iter().zip(&ends).zip(&named).zip(&steps) {
        let axis = axis(*index, shape.len())?;
        ensure!(!seen_axes.contains(&axis), "slices axis {axis} twice");
        seen_axes.push(axis);
        let extent = shape[axis] as i64;
        let from_end = |at: i64| if at < 0 { at.saturating_add(extent) } else { at };
        let (begin, count) = match step {
            1.. => {
                let (begin, end) = (from_end(*start).clamp(0, extent), from_end(*end).clamp(0, extent));
                (begin, (end - begin).max(0) as u64)
            }
            0 => bail!("slices in steps of 0"),
            _ => {
                let (begin, end) = (from_end(*start).clamp(-1, extent - 1), from_end(*end).clamp(-1, extent - 1));
                (begin, (begin - end).max(0) as u64)
            }
        };
        let count = count.div_ceil(step.unsigned_abs()) as usize;
        if count == 0 {
            let Value::Constant(constant) = &value else { bail!("slices nothing out of axis {axis} of {shape:?}") };
            let mut shape = constant.array.shape.clone();
            shape[axis] = 0;
            let elements = match constant.array.elements {
                Elements::Float(_) => Elements::Float(vec![]),
                Elements::Integer(_) => Elements::Integer(vec![]),
            };
            return import.set_constant(operator, Array { shape, kind: constant.array.kind, elements });
        }
        // A step beyond the axis is taken once at most.
        let step = (*step).clamp(-extent, extent);
        value = sliced(import, &value, axis, begin as usize, count, step)?;
    }
    import.set(operator, 0, value)
}

pub(super) fn split<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let shape = value.shape();
    let axis = axis(operator.int("axis", 0)?, shape.len())?;
    let parts = operator.node.output.len();
    let given =
        if operator.set < 13 { operator.ints("split")?.map(<[i64]>::to_vec) } else { integers(import, operator, 1)? };
    let counts = match given {
        Some(counts) => checked_sum(&counts, shape[axis])?,
        None => {
            let each = shape[axis].div_ceil(parts.max(1));
            (0..parts).map(|part| shape[axis].saturating_sub(part * each).min(each)).collect()
        }
    };
    let wide = counts.iter().all(|count| *count > 0);
    ensure!(counts.len() == parts && wide, "splits an extent of {} into {counts:?} for {parts} outputs", shape[axis]);
    let mut begin = 0;
    for (position, count) in counts.iter().enumerate() {
        let part = sliced(import, &value, axis, begin, *count, 1)?;
        import.set(operator, position, part)?;
        begin += count;
    }
    Ok(())
}

fn checked_sum(counts: &[i64], extent: usize) -> Result<Vec<usize>> {
    let counts = counts.iter().map(|count| usize::try_from(*count).ok().filter(|count| *count <= extent));
    let counts = counts.collect::<Option<Vec<usize>>>().context("a part is negative or too large")?;
    let sum = counts.iter().fold(0_usize, |sum, count| sum.saturating_add(*count));
    ensure!(sum == extent, "parts of {counts:?} don't make an extent of {extent}");
    Ok(counts)
}

pub(super) fn gather<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let shape = value.shape();
    let axis = axis(operator.int("axis", 0)?, shape.len())?;
    if let Some(indices) = import.integers(operator, 1)? {
        return embedding(import, operator, axis, indices);
    }
    let indices = import.constant(operator, 1).context("picks rows by an index that is computed at run time")?;
    let extent = shape[axis] as i64;
    let row = |index: &i64| {
        let row = if *index < 0 { index.checked_add(extent) } else { Some(*index) };
        row.filter(|row| (0..extent).contains(row)).map(|row| row as usize)
    };
    let rows = indices.array.whole()?.iter().map(row).collect::<Option<Vec<usize>>>();
    let rows = rows.with_context(|| format!("picks a row that an extent of {extent} does not have"))?;
    ensure!(!rows.is_empty(), "picks no row");
    let mut wanted = shape.clone();
    wanted.splice(axis..=axis, indices.array.shape.iter().copied());
    checked(&wanted.iter().map(|extent| *extent as i64).collect::<Vec<_>>())?;
    let neighbours = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let value = if neighbours {
        sliced(import, &value, axis, rows[0], rows.len(), 1)?
    } else {
        picked(import, operator, &value, axis, &rows)?
    };
    let value = reshaped(import, &value, &wanted)?;
    import.set(operator, 0, value)
}

/// Rows of a table by indices given at run time; a table of int8 codes stays one.
fn embedding<'f>(import: &mut Import<'f>, operator: &Operator<'f>, axis: usize, indices: TensorId) -> Result<()> {
    ensure!(axis == 0, "picks along axis {axis} by indices given at run time: only the first is taken");
    let (name, value) = (import.name(operator), import.input(operator, 0)?);
    let codes = match &value {
        Value::Constant(constant) => constant.codes.clone().filter(|codes| codes.scales.len() == 1),
        Value::Tensor(_) => None,
    };
    let (table, quantization) = match codes.as_ref().and_then(|codes| Some((codes.int8()?, codes.scales[0]))) {
        Some(((codes, zero_points), scale)) => {
            let quantization = Quantization::per_tensor(scale, zero_points[0] as i32);
            let shape = value.shape();
            (import.add_data(&name, shape, Data::Int8(codes), Some(quantization.clone())), Some(quantization))
        }
        None => {
            let table = import.real_operand(operator, 0)?;
            (import.in_logical_order(&table)?, None)
        }
    };
    let own = value.shape();
    let shape = [own[0], own[1..].iter().product()];
    let table = import.shape_as(table, &shape);
    let mut wanted = match import.input(operator, 1)? {
        Value::Tensor(indices) => indices.view.shape(),
        Value::Constant(constant) => constant.array.shape.clone(),
    };
    wanted.extend(&own[1..]);
    let wanted = checked(&wanted.iter().map(|extent| *extent as i64).collect::<Vec<_>>())?;
    let rows = import.tensor(indices).elements();
    let id = import.node(&name, Op::Embedding, vec![table, indices], vec![rows, shape[1]], quantization)?;
    import.set_tensor(operator, 0, id, View::of(&wanted))
}

/// Rows of an axis in any order.
fn picked<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    value: &Value,
    axis: usize,
    rows: &[usize],
) -> Result<Value> {
    let operand = match value {
        Value::Tensor(operand) => operand,
        Value::Constant(constant) => {
            let shape = &constant.array.shape;
            let inner: usize = shape.iter().skip(axis + 1).product();
            let outer: usize = shape.iter().take(axis).product();
            import.charge(outer * rows.len() * inner)?;
            let start = |block: usize, row: usize| (block * shape[axis] + row) * inner;
            let positions: Vec<usize> = (0..outer)
                .flat_map(|block| rows.iter().flat_map(move |row| start(block, *row)..start(block, *row) + inner))
                .collect();
            let elements = match &constant.array.elements {
                Elements::Float(values) => Elements::Float(super::array::pick(values, &positions)),
                Elements::Integer(values) => Elements::Integer(super::array::pick(values, &positions)),
            };
            let mut shape = shape.clone();
            shape[axis] = rows.len();
            let array = Array { shape, kind: constant.array.kind, elements };
            return Ok(Value::Constant(Rc::new(Constant { array, codes: None })));
        }
    };
    let (operand, order, shape, place) = in_memory(import, operand, axis)?;
    let mut extents: Vec<usize> = order.iter().map(|at| shape[*at]).collect();
    let input = import.shape_as(operand.id, &extents);
    extents[place] = rows.len();
    let quantization = import.tensor(input).quantization.clone();
    let rows: Vec<u32> = rows.iter().map(|row| u32::try_from(*row)).collect::<Result<_, _>>()?;
    let count = rows.len();
    let id =
        import.node(&import.name(operator), Op::Gather { axis: place, rows }, vec![input], extents, quantization)?;
    let mut shape = shape;
    shape[axis] = count;
    Ok(Value::Tensor(Operand { id, view: View::of(&shape).packed(&order), ..operand }))
}

/// Channels become blocks of pixels.
pub(super) fn depth_to_space<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let [batch, channels, rows, columns] = value.shape()[..] else { bail!("works on {:?}", value.shape()) };
    let block = operator.int("blocksize", 0)?;
    let block = usize::try_from(block).ok().filter(|block| *block > 0 && *block <= channels);
    let block = block.context("the blocksize is not positive or too large")?;
    ensure!(channels.is_multiple_of(block * block), "{channels} channels are no blocks of {block} x {block}");
    let depth = channels / block / block;
    let (split, order) = match operator.text("mode", "DCR")? {
        "DCR" => ([batch, block, block, depth, rows, columns], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([batch, depth, block, block, rows, columns], [0, 1, 4, 2, 5, 3]),
        other => bail!("mode={other} is not known"),
    };
    let value = reshaped(import, &value, &split)?;
    let view = view_of(&value).transposed(&order)?;
    let value = seen(import, &value, view, None)?;
    let value = reshaped(import, &value, &[batch, depth, rows * block, columns * block])?;
    import.set(operator, 0, value)
}

/// Blocks of pixels become channels.
pub(super) fn space_to_depth<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let value = import.input(operator, 0)?;
    let [batch, channels, rows, columns] = value.shape()[..] else { bail!("works on {:?}", value.shape()) };
    let block = usize::try_from(operator.int("blocksize", 0)?).ok().filter(|block| *block > 0);
    let block = block.context("the blocksize is not positive")?;
    ensure!(rows.is_multiple_of(block) && columns.is_multiple_of(block), "{rows} x {columns} is no blocks of {block}");
    let split = [batch, channels, rows / block, block, columns / block, block];
    let value = reshaped(import, &value, &split)?;
    let view = view_of(&value).transposed(&[0, 3, 5, 1, 2, 4])?;
    let value = seen(import, &value, view, None)?;
    let value = reshaped(import, &value, &[batch, channels * block * block, rows / block, columns / block])?;
    import.set(operator, 0, value)
}

pub(super) fn identity<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    ensure!(operator.output(1).is_none(), "its second output is not given out");
    let value = import.input(operator, 0)?;
    import.set(operator, 0, value)
}
