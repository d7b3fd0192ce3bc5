//! Constants of the file as arrays: what folding computes with, and what weights are made of.

use anyhow::{Context, Result, bail, ensure};

use super::proto;
use super::view::View;

/// The most axes of any tensor; those that are computed have fewer.
const MOST_AXES: usize = 32;
/// The largest number of elements of any tensor.
pub(super) const MOST_ELEMENTS: usize = 1 << 24;

/// The element types that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float32,
    Int8,
    Uint8,
    Int32,
    Int64,
    Bool,
}

impl Kind {
    /// The type with a number of `TensorProto.DataType`.
    pub(super) fn from_number(number: i64) -> Result<Self> {
        Ok(match number {
            1 => Kind::Float32,
            2 => Kind::Uint8,
            3 => Kind::Int8,
            6 => Kind::Int32,
            7 => Kind::Int64,
            9 => Kind::Bool,
            10 | 16 => bail!("half-precision floats are not taken: export the model in float32"),
            11 => bail!("double-precision floats are not taken: export the model in float32"),
            _ => bail!("element type {number} is not taken"),
        })
    }
}

/// Elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Elements {
    Float(Vec<f32>),
    Integer(Vec<i64>),
}

/// A constant array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
    pub(super) elements: Elements,
}

/// Integers of a constant with the reals they stand for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Codes {
    pub(super) codes: Vec<i64>,
    pub(super) kind: Kind,
    pub(super) scales: Vec<f32>,
    pub(super) zero_points: Vec<i64>,
    /// The axis that the scales run along.
    pub(super) axis: usize,
}

/// A constant, and the codes it was before it was dequantized.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) array: Array,
    pub(super) codes: Option<Codes>,
}

/// Checks extents and returns them; their product is at most [`MOST_ELEMENTS`].
pub(super) fn shape(extents: &[i64]) -> Result<Vec<usize>> {
    ensure!(extents.len() <= MOST_AXES, "a shape of {} axes has more than {MOST_AXES}", extents.len());
    let extent = |extent: &i64| usize::try_from(*extent).with_context(|| format!("shape {extents:?} is negative"));
    let shape = extents.iter().map(extent).collect::<Result<Vec<usize>>>()?;
    let elements = shape.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent));
    ensure!(elements.is_some_and(|n| n <= MOST_ELEMENTS), "shape {extents:?} has more than {MOST_ELEMENTS} elements");
    Ok(shape)
}

impl Array {
    /// Reads a tensor of the file.
    pub(super) fn read(tensor: &proto::Tensor) -> Result<Self> {
        ensure!(
            tensor.external_data.is_empty() && tensor.data_location == 0,
            "its data lies in another file, which is never opened: save the model as one file"
        );
        let kind = Kind::from_number(tensor.data_type.into())?;
        let shape = shape(&tensor.dims)?;
        let elements = match &tensor.raw_data {
            Some(raw) => from_bytes(kind, raw)?,
            None => match kind {
                Kind::Float32 => Elements::Float(tensor.float_data.clone()),
                Kind::Int64 => Elements::Integer(tensor.int64_data.clone()),
                _ => Elements::Integer(tensor.int32_data.iter().map(|value| i64::from(*value)).collect()),
            },
        };
        let array = Self { shape, kind, elements };
        let (found, wanted) = (array.len(), array.shape.iter().product::<usize>());
        ensure!(found == wanted, "shape {:?} has {wanted} elements, the file holds {found}", array.shape);
        array.expect_range()?;
        Ok(array)
    }

    /// Fails where integers are outside their type, which only a damaged file has.
    fn expect_range(&self) -> Result<()> {
        let range = match self.kind {
            Kind::Int8 => -128..=127,
            Kind::Uint8 => 0..=255,
            Kind::Bool => 0..=1,
            Kind::Int32 => i32::MIN.into()..=i32::MAX.into(),
            Kind::Int64 | Kind::Float32 => return Ok(()),
        };
        let Elements::Integer(values) = &self.elements else { return Ok(()) };
        ensure!(values.iter().all(|value| range.contains(value)), "a value is outside the range of its type");
        Ok(())
    }

    /// Reals in a shape.
    pub(super) fn floats(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, kind: Kind::Float32, elements: Elements::Float(values) }
    }

    /// Integers in a shape.
    pub(super) fn integers(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self { shape, kind: Kind::Int64, elements: Elements::Integer(values) }
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        match &self.elements {
            Elements::Float(values) => values.len(),
            Elements::Integer(values) => values.len(),
        }
    }

    /// The elements as reals.
    pub(super) fn reals(&self) -> Result<&[f32]> {
        match &self.elements {
            Elements::Float(values) => Ok(values),
            Elements::Integer(_) => bail!("is an array of integers where floats belong"),
        }
    }

    /// The elements as integers.
    pub(super) fn whole(&self) -> Result<&[i64]> {
        match &self.elements {
            Elements::Integer(values) => Ok(values),
            Elements::Float(_) => bail!("is an array of floats where integers belong"),
        }
    }

    /// The only element, if all are equal.
    pub(super) fn uniform(&self) -> Option<f32> {
        let Elements::Float(values) = &self.elements else { return None };
        let first = *values.first()?;
        values.iter().all(|value| *value == first).then_some(first)
    }

    /// The elements that a view of this array sees, in its order.
    pub(super) fn seen(&self, view: &View) -> Self {
        let positions = view.positions();
        let elements = match &self.elements {
            Elements::Float(values) => Elements::Float(pick(values, &positions)),
            Elements::Integer(values) => Elements::Integer(pick(values, &positions)),
        };
        Self { shape: view.shape(), kind: self.kind, elements }
    }
}

/// The elements at positions.
pub(super) fn pick<T: Copy>(values: &[T], positions: &[usize]) -> Vec<T> {
    positions.iter().filter_map(|position| values.get(*position).copied()).collect()
}

impl Codes {
    /// The codes that a view of them sees; `None` where their scales run along an axis and the view is no transposition.
    pub(super) fn seen(&self, view: &View, order: Option<&[usize]>) -> Option<Self> {
        let axis = match (self.scales.len(), order) {
            (1, _) => 0,
            (_, Some(order)) => order.iter().position(|from| *from == self.axis)?,
            _ => return None,
        };
        Some(Self { codes: pick(&self.codes, &view.positions()), axis, ..self.clone() })
    }
}

fn from_bytes(kind: Kind, raw: &[u8]) -> Result<Elements> {
    fn chunks<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        ensure!(rest.is_empty(), "{} bytes are no multiple of an element's {N}", bytes.len());
        Ok(chunks.iter().map(|chunk| read(*chunk)).collect())
    }
    Ok(match kind {
        Kind::Float32 => Elements::Float(chunks(raw, f32::from_le_bytes)?),
        Kind::Int8 => Elements::Integer(chunks(raw, |byte| i8::from_le_bytes(byte).into())?),
        Kind::Uint8 | Kind::Bool => Elements::Integer(chunks(raw, |[byte]: [u8; 1]| byte.into())?),
        Kind::Int32 => Elements::Integer(chunks(raw, |bytes| i32::from_le_bytes(bytes).into())?),
        Kind::Int64 => Elements::Integer(chunks(raw, i64::from_le_bytes)?),
    })
}
