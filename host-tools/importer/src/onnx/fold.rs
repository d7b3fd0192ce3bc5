//! What can be computed at once: shapes, and the arithmetic on them and on other constants.

use std::cmp::Ordering;

use anyhow::{Context, Result, bail, ensure};

use super::array::{Array, Elements, Kind, shape as checked};
use super::binary::broadcast;
use super::file::{Operator, axis};
use super::import::{Import, Value};
use super::view::View;

/// The integers of a constant input, if it is given.
pub(super) fn integers<'f>(import: &Import<'f>, operator: &Operator<'f>, position: usize) -> Result<Option<Vec<i64>>> {
    let Some(constant) = import.optional_constant(operator, position)? else { return Ok(None) };
    let values = constant.array.whole().with_context(|| format!("input {position}"))?;
    ensure!(constant.array.shape.len() <= 1, "input {position} is no list");
    Ok(Some(values.to_vec()))
}

/// Axes, which are an attribute in old operators and an input in newer ones.
pub(super) fn axes<'f>(import: &Import<'f>, operator: &Operator<'f>, position: usize) -> Result<Option<Vec<i64>>> {
    let axes = match operator.ints("axes")? {
        Some(axes) => Some(axes.to_vec()),
        None => integers(import, operator, position)?,
    };
    let few = axes.as_ref().is_none_or(|axes| axes.len() <= 64);
    ensure!(few, "names more axes than any tensor has");
    Ok(axes)
}

/// Computes an operator at once, if it is one of those that can be and all its inputs are constants.
pub(super) fn fold<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<bool> {
    let array = match &operator.node.op_type[..] {
        "Constant" => constant(operator)?,
        "Shape" => extents(import, operator)?,
        "Size" => {
            let shape = import.input(operator, 0)?.shape();
            Array::integers(vec![], vec![shape.iter().product::<usize>() as i64])
        }
        "ConstantOfShape" => filled(import, operator)?,
        "Range" => range(import, operator)?,
        kind => {
            let mut arrays = Vec::new();
            for name in operator.node.input.iter().filter(|name| !name.is_empty()) {
                match import.value(name)? {
                    Value::Constant(constant) => arrays.push(constant),
                    Value::Tensor(_) => return Ok(false),
                }
            }
            let arrays: Vec<&Array> = arrays.iter().map(|constant| &constant.array).collect();
            match arithmetic(import, operator, kind, &arrays)? {
                Some(array) => array,
                None => return Ok(false),
            }
        }
    };
    import.set_constant(operator, array)?;
    Ok(true)
}

fn constant(operator: &Operator<'_>) -> Result<Array> {
    if let Some(array) = operator.array("value")? {
        return Ok(array);
    }
    if let Some(values) = operator.ints("value_ints")? {
        return Ok(Array::integers(vec![values.len()], values.to_vec()));
    }
    if let Some(values) = operator.floats("value_floats")? {
        return Ok(Array::floats(vec![values.len()], values.to_vec()));
    }
    if let Some(value) = operator.optional_int("value_int")? {
        return Ok(Array::integers(vec![], vec![value]));
    }
    let value = operator.float("value_float", f32::NAN)?;
    ensure!(!value.is_nan(), "holds no number that is taken");
    Ok(Array::floats(vec![], vec![value]))
}

fn extents<'f>(import: &Import<'f>, operator: &Operator<'f>) -> Result<Array> {
    let shape = import.input(operator, 0)?.shape();
    let rank = shape.len() as i64;
    let at = |index: i64| (if index < 0 { index.saturating_add(rank) } else { index }).clamp(0, rank) as usize;
    let (start, end) = (at(operator.int("start", 0)?), at(operator.int("end", rank)?));
    let extents: Vec<i64> = shape.iter().take(end).skip(start).map(|extent| *extent as i64).collect();
    Ok(Array::integers(vec![extents.len()], extents))
}

fn filled<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<Array> {
    let shape = checked(&integers(import, operator, 0)?.context("has no shape")?)?;
    let elements = shape.iter().product();
    import.charge(elements)?;
    let Some(value) = operator.array("value")? else { return Ok(Array::floats(shape, vec![0.0; elements])) };
    ensure!(value.len() == 1, "fills with {} values", value.len());
    Ok(match value.elements {
        Elements::Float(values) => Array::floats(shape, vec![values[0]; elements]),
        Elements::Integer(values) => {
            Array { shape, kind: value.kind, elements: Elements::Integer(vec![values[0]; elements]) }
        }
    })
}

fn range<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<Array> {
    let number = |position: usize| -> Result<i64> {
        let constant = import.constant(operator, position)?;
        let [number] = constant.array.whole().context("only a range of integers is taken")? else {
            bail!("input {position} is no number")
        };
        Ok(*number)
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    ensure!(step != 0, "a range in steps of 0 has no end");
    let count = (i128::from(end) - i128::from(start)).checked_div(step.into()).unwrap_or(0);
    let exact = i128::from(start) + count * i128::from(step) == i128::from(end);
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX).saturating_add(usize::from(!exact && count >= 0));
    import.charge(count)?;
    let values = (0..count as i64).map(|at| start.wrapping_add(at.wrapping_mul(step))).collect();
    Ok(Array::integers(vec![count], values))
}

/// The arithmetic of an operator on constants; `None` for what is no arithmetic.
fn arithmetic<'f>(
    import: &mut Import<'f>,
    operator: &Operator<'f>,
    kind: &str,
    arrays: &[&Array],
) -> Result<Option<Array>> {
    let array = match (kind, arrays) {
        ("Concat", [first, ..]) => return concat(import, operator, first, arrays).map(Some),
        ("Cast", [x]) => cast(x, Kind::from_number(operator.int("to", 1)?)?),
        ("Sqrt", [x]) => real(x, f32::sqrt)?,
        ("Reciprocal", [x]) => real(x, f32::recip)?,
        ("Exp", [x]) => real(x, f32::exp)?,
        ("Floor", [x]) => real(x, f32::floor)?,
        ("Ceil", [x]) => real(x, f32::ceil)?,
        ("Neg", [x]) => either(x, |x| -x, i64::wrapping_neg),
        ("Abs", [x]) => either(x, f32::abs, i64::wrapping_abs),
        ("Not", [x]) => either(x, |x| x, |x| i64::from(x == 0)),
        ("Add", [a, b]) => binary(import, a, b, |a, b| a + b, |a, b| Some(a.wrapping_add(b)))?,
        ("Sub", [a, b]) => binary(import, a, b, |a, b| a - b, |a, b| Some(a.wrapping_sub(b)))?,
        ("Mul", [a, b]) => binary(import, a, b, |a, b| a * b, |a, b| Some(a.wrapping_mul(b)))?,
        ("Div", [a, b]) => binary(import, a, b, |a, b| a / b, i64::checked_div)?,
        ("Mod", [a, b]) => {
            let python = |a: i64, b: i64| {
                let rest = a.checked_rem(b)?;
                Some(if rest != 0 && (rest < 0) != (b < 0) { rest.wrapping_add(b) } else { rest })
            };
            operator.expect_int("fmod", 0)?;
            binary(import, a, b, |a, b| a - b * (a / b).floor(), python)?
        }
        ("Pow", [a, b]) => binary(import, a, b, f32::powf, |a, b| a.checked_pow(u32::try_from(b).ok()?))?,
        ("Min", [a, b]) => binary(import, a, b, f32::min, |a, b| Some(a.min(b)))?,
        ("Max", [a, b]) => binary(import, a, b, f32::max, |a, b| Some(a.max(b)))?,
        ("Equal", [a, b]) => compare(import, a, b, |order| order == Some(Ordering::Equal))?,
        ("Less", [a, b]) => compare(import, a, b, |order| order == Some(Ordering::Less))?,
        ("LessOrEqual", [a, b]) => compare(import, a, b, |order| order.is_some_and(Ordering::is_le))?,
        ("Greater", [a, b]) => compare(import, a, b, |order| order == Some(Ordering::Greater))?,
        ("GreaterOrEqual", [a, b]) => compare(import, a, b, |order| order.is_some_and(Ordering::is_ge))?,
        ("And", [a, b]) => binary(import, a, b, f32::min, |a, b| Some(a & b))?,
        ("Or", [a, b]) => binary(import, a, b, f32::max, |a, b| Some(a | b))?,
        ("Trilu", [x, rest @ ..]) => triangle(operator, x, rest)?,
        ("Where", [condition, a, b]) => choose(import, condition, a, b)?,
        _ => return Ok(None),
    };
    Ok(Some(array))
}

fn compare(import: &mut Import<'_>, a: &Array, b: &Array, holds: impl Fn(Option<Ordering>) -> bool) -> Result<Array> {
    let real = |a: f32, b: f32| f32::from(u8::from(holds(a.partial_cmp(&b))));
    let found = binary(import, a, b, real, |a, b| Some(i64::from(holds(Some(a.cmp(&b))))))?;
    Ok(cast(&found, Kind::Bool))
}

/// The upper or the lower triangle of matrices, zeros elsewhere.
fn triangle(operator: &Operator<'_>, x: &Array, diagonal: &[&Array]) -> Result<Array> {
    let upper = operator.int("upper", 1)? != 0;
    let from = match diagonal {
        [diagonal] => *diagonal.whole()?.first().context("has no diagonal")?,
        _ => 0,
    };
    let [.., rows, columns] = x.shape[..] else { bail!("{:?} is no matrix", x.shape) };
    let kept = |at: usize| {
        let (row, column) = (at / columns.max(1) % rows.max(1), at % columns.max(1));
        let distance = column as i64 - row as i64;
        if upper { distance >= from } else { distance <= from }
    };
    fn part<T: Copy + Default>(values: &[T], kept: impl Fn(usize) -> bool) -> Vec<T> {
        values.iter().enumerate().map(|(at, value)| if kept(at) { *value } else { T::default() }).collect()
    }
    let elements = match &x.elements {
        Elements::Float(values) => Elements::Float(part(values, kept)),
        Elements::Integer(values) => Elements::Integer(part(values, kept)),
    };
    Ok(Array { shape: x.shape.clone(), kind: x.kind, elements })
}

fn cast(x: &Array, kind: Kind) -> Array {
    let elements = match (&x.elements, kind) {
        (Elements::Float(values), Kind::Float32) => Elements::Float(values.clone()),
        (Elements::Integer(values), Kind::Float32) => Elements::Float(values.iter().map(|x| *x as f32).collect()),
        (Elements::Float(values), kind) => Elements::Integer(
            values
                .iter()
                .map(|x| wrapped(if kind == Kind::Bool { i64::from(*x != 0.0) } else { *x as i64 }, kind))
                .collect(),
        ),
        (Elements::Integer(values), kind) => Elements::Integer(values.iter().map(|x| wrapped(*x, kind)).collect()),
    };
    Array { shape: x.shape.clone(), kind, elements }
}

/// An integer in a narrower type.
fn wrapped(value: i64, kind: Kind) -> i64 {
    match kind {
        Kind::Bool => i64::from(value != 0),
        Kind::Int8 => i64::from(value as i8),
        Kind::Uint8 => i64::from(value as u8),
        Kind::Int32 => i64::from(value as i32),
        Kind::Int64 | Kind::Float32 => value,
    }
}

fn real(x: &Array, function: impl Fn(f32) -> f32) -> Result<Array> {
    Ok(Array::floats(x.shape.clone(), x.reals()?.iter().map(|x| function(*x)).collect()))
}

fn either(x: &Array, real: impl Fn(f32) -> f32, whole: impl Fn(i64) -> i64) -> Array {
    let elements = match &x.elements {
        Elements::Float(values) => Elements::Float(values.iter().map(|x| real(*x)).collect()),
        Elements::Integer(values) => Elements::Integer(values.iter().map(|x| whole(*x)).collect()),
    };
    Array { shape: x.shape.clone(), kind: x.kind, elements }
}

/// An array repeated to a shape.
fn expanded(x: &Array, shape: &[usize]) -> Result<Array> {
    Ok(if x.shape == shape { x.clone() } else { x.seen(&View::of(&x.shape).expanded(shape)?) })
}

/// The shape that arrays broadcast to, accounted for.
fn common(import: &mut Import<'_>, arrays: &[&Array]) -> Result<Vec<usize>> {
    let mut shape = vec![];
    for array in arrays {
        ensure!(!array.shape.contains(&0), "computes with an array of no elements");
        shape = broadcast(&shape, &array.shape)?;
    }
    let elements = shape.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent)).unwrap_or(usize::MAX);
    import.charge(elements)?;
    Ok(shape)
}

fn binary(
    import: &mut Import<'_>,
    a: &Array,
    b: &Array,
    real: impl Fn(f32, f32) -> f32,
    whole: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Array> {
    let shape = common(import, &[a, b])?;
    let (a, b) = (expanded(a, &shape)?, expanded(b, &shape)?);
    let elements = match (&a.elements, &b.elements) {
        (Elements::Float(a), Elements::Float(b)) => {
            Elements::Float(a.iter().zip(b).map(|(a, b)| real(*a, *b)).collect())
        }
        (Elements::Integer(a), Elements::Integer(b)) => {
            let values = a.iter().zip(b).map(|(a, b)| whole(*a, *b)).collect::<Option<Vec<i64>>>();
            Elements::Integer(values.context("divides by 0 or leaves the range of integers")?)
        }
        _ => bail!("computes with floats and integers"),
    };
    Ok(Array { shape, kind: a.kind, elements })
}

fn choose(import: &mut Import<'_>, condition: &Array, a: &Array, b: &Array) -> Result<Array> {
    let shape = common(import, &[condition, a, b])?;
    let (condition, a, b) = (expanded(condition, &shape)?, expanded(a, &shape)?, expanded(b, &shape)?);
    let condition = condition.whole()?;
    fn pick<T: Copy>(condition: &[i64], a: &[T], b: &[T]) -> Vec<T> {
        condition.iter().zip(a.iter().zip(b)).map(|(first, (a, b))| if *first != 0 { *a } else { *b }).collect()
    }
    let elements = match (&a.elements, &b.elements) {
        (Elements::Float(a), Elements::Float(b)) => Elements::Float(pick(condition, a, b)),
        (Elements::Integer(a), Elements::Integer(b)) => Elements::Integer(pick(condition, a, b)),
        _ => bail!("chooses between floats and integers"),
    };
    Ok(Array { shape, kind: a.kind, elements })
}

fn concat<'f>(import: &mut Import<'f>, operator: &Operator<'f>, first: &Array, arrays: &[&Array]) -> Result<Array> {
    let axis = axis(operator.int("axis", 0)?, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for array in arrays {
        let same =
            array.shape.len() == shape.len() && (0..shape.len()).all(|at| at == axis || array.shape[at] == shape[at]);
        ensure!(same && array.kind == first.kind, "joins arrays of other shapes or types");
        shape[axis] += array.shape[axis];
    }
    let shape = checked(&shape.iter().map(|extent| *extent as i64).collect::<Vec<_>>())?;
    import.charge(shape.iter().product())?;
    let run = |array: &Array| array.shape.iter().skip(axis).product::<usize>().max(1);
    let blocks: usize = shape.iter().take(axis).product();
    fn join<T: Copy>(parts: &[(&[T], usize)], blocks: usize) -> Vec<T> {
        let block =
            |at: usize| parts.iter().flat_map(move |(values, run)| values.iter().skip(at * run).take(*run).copied());
        (0..blocks).flat_map(block).collect()
    }
    let elements = match first.elements {
        Elements::Float(_) => {
            let parts = arrays.iter().map(|array| Ok((array.reals()?, run(array)))).collect::<Result<Vec<_>>>()?;
            Elements::Float(join(&parts, blocks))
        }
        Elements::Integer(_) => {
            let parts = arrays.iter().map(|array| Ok((array.whole()?, run(array)))).collect::<Result<Vec<_>>>()?;
            Elements::Integer(join(&parts, blocks))
        }
    };
    Ok(Array { shape, kind: first.kind, elements })
}
