//! Constants: bytes of the file as numbers.

use std::ops::Deref;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Data, Tensor as GraphTensor};

use super::file::Tensor;

/// The bytes of a constant: of the file, or computed in advance.
#[derive(Debug, Clone)]
pub(super) enum Bytes<'b> {
    /// A part of the file.
    File(&'b [u8]),
    /// Computed in advance.
    Computed(Rc<[u8]>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::File(bytes) => bytes,
            Bytes::Computed(bytes) => bytes,
        }
    }
}

/// The elements of a constant.
pub(super) fn data(tensor: &Tensor<'_>) -> Result<Data> {
    let bytes = tensor.constant.as_deref().context("is no constant, and only constants are taken here")?;
    Ok(match tensor.data_type {
        DataType::Float32 => {
            let values: Vec<f32> = chunks(bytes, f32::from_le_bytes);
            let wrong = values.iter().find(|value| !value.is_finite());
            ensure!(wrong.is_none(), "holds the value {}", wrong.copied().unwrap_or_default());
            Data::Float32(values)
        }
        DataType::Int8 => Data::Int8(chunks(bytes, i8::from_le_bytes)),
        DataType::Int16 => Data::Int16(chunks(bytes, i16::from_le_bytes)),
        DataType::Int32 => Data::Int32(chunks(bytes, i32::from_le_bytes)),
        DataType::Int64 => Data::Int64(chunks(bytes, i64::from_le_bytes)),
    })
}

fn chunks<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}

/// The elements of a constant of indices, extents or axes.
pub(super) fn integers(tensor: &Tensor<'_>) -> Result<Vec<i64>> {
    let values = match data(tensor).with_context(|| format!("\"{}\"", tensor.name))? {
        Data::Int32(values) => values.into_iter().map(i64::from).collect(),
        Data::Int64(values) => values,
        other => bail!("\"{}\" holds {:?} where integers belong", tensor.name, other.data_type()),
    };
    Ok(values)
}

/// Replaces int8 weights by the reals that they stand for: what a layer between floats does with them.
pub(super) fn dequantize(tensor: &mut GraphTensor) -> Result<()> {
    let quantization = tensor.quantization.take().context("int8 weights without a scale: the file is damaged")?;
    let Some(Data::Int8(codes)) = &tensor.data else { bail!("weights of a float layer have to be float or int8") };
    let inner: usize = tensor.shape.iter().skip(quantization.axis + 1).product();
    let count = quantization.scales.len().max(1);
    let real = |(at, code): (usize, &i8)| {
        let index = if count == 1 { 0 } else { at / inner.max(1) % count };
        let scale = quantization.scales.get(index).copied().unwrap_or(0.0);
        let zero_point = quantization.zero_points.get(index).copied().unwrap_or(0);
        scale * (i32::from(*code) - zero_point) as f32
    };
    tensor.data = Some(Data::Float32(codes.iter().enumerate().map(real).collect()));
    tensor.data_type = DataType::Float32;
    Ok(())
}
