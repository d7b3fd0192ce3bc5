//! NumPy arrays as tensors: axis 0 is the case, the rest the tensor's shape.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{ReadNpyExt, ReadableElement, write_npy};
use nervelet::ops::{DataType, Tensor};

/// The element types that tensors of models have.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Int8 codes.
    Int8(Vec<i8>),
    /// Int16 codes.
    Int16(Vec<i16>),
    /// Reals.
    Float32(Vec<f32>),
}

/// Cases of one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Cases {
    /// The number of cases.
    pub count: usize,
    /// All elements, case after case.
    pub values: Values,
}

/// Reads an array whose axes behind the first are the shape of `tensor`.
pub fn read(path: &Path, name: &str, tensor: &Tensor) -> Result<Cases> {
    let expected: Vec<usize> = tensor.shape().iter().map(|extent| *extent as usize).collect();
    let (shape, values) = read_any(path)?;
    let [count, rest @ ..] = &shape[..] else { bail!("{} has no axis of cases", path.display()) };
    ensure!(
        *rest == expected,
        "{}: shape {shape:?}, but input {name} wants [cases, {}]",
        path.display(),
        expected.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    ensure!(*count > 0, "{} holds no case", path.display());
    Ok(Cases { count: *count, values })
}

fn read_any(path: &Path) -> Result<(Vec<usize>, Values)> {
    fn attempt<T: ReadableElement + Clone>(path: &Path) -> Result<(Vec<usize>, Vec<T>)> {
        let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
        let array = ArrayD::<T>::read_npy(BufReader::new(file))?;
        let shape = array.shape().to_vec();
        Ok((shape, array.as_standard_layout().iter().cloned().collect()))
    }
    File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    if let Ok((shape, values)) = attempt::<i8>(path) {
        return Ok((shape, Values::Int8(values)));
    }
    if let Ok((shape, values)) = attempt::<i16>(path) {
        return Ok((shape, Values::Int16(values)));
    }
    let (shape, values) = attempt::<f32>(path)
        .with_context(|| format!("{} is no array of int8, int16 or float32 in .npy format", path.display()))?;
    Ok((shape, Values::Float32(values)))
}

/// Where output `index` goes: `y.npy`, then `y_1.npy`, `y_2.npy`.
pub fn output_path(path: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}_{index}.npy"))
}

/// Writes the bytes of one tensor for each case.
pub fn write(path: &Path, tensor: &Tensor, cases: &[&[u8]]) -> Result<()> {
    let extents = tensor.shape().iter().map(|extent| *extent as usize);
    let shape = IxDyn(&std::iter::once(cases.len()).chain(extents).collect::<Vec<_>>());
    let bytes = cases.concat();
    let written = match tensor.data_type {
        DataType::Int8 => write_npy(path, &ArrayD::from_shape_vec(shape, elements(&bytes, i8::from_le_bytes))?),
        DataType::Int16 => write_npy(path, &ArrayD::from_shape_vec(shape, elements(&bytes, i16::from_le_bytes))?),
        DataType::Int32 => write_npy(path, &ArrayD::from_shape_vec(shape, elements(&bytes, i32::from_le_bytes))?),
        DataType::Int64 => write_npy(path, &ArrayD::from_shape_vec(shape, elements(&bytes, i64::from_le_bytes))?),
        DataType::Float32 => write_npy(path, &ArrayD::from_shape_vec(shape, elements(&bytes, f32::from_le_bytes))?),
    };
    written.with_context(|| format!("can't write {}", path.display()))
}

fn elements<T, const N: usize>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| from(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_outputs_are_numbered() {
        assert_eq!(output_path(Path::new("a/y.npy"), 0), Path::new("a/y.npy"));
        assert_eq!(output_path(Path::new("a/y.npy"), 2), Path::new("a/y_2.npy"));
    }
}
