//! Weights that other programs saved: safetensors files, and the zip files of `torch.save`.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::pickle;
use crate::network::Weight;

/// Named tensors in the order of the file; integers, which count batches, are left out.
pub(super) type StateDict = Vec<(String, Weight)>;

/// Reads a file by its content, whatever it is called.
pub(super) fn read(path: &Path) -> Result<StateDict> {
    let bytes = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    let tensors = if bytes.starts_with(b"PK\x03\x04") {
        pickle::read_zip(&bytes)
    } else if bytes.starts_with(&[0x80]) {
        bail!(
            "{} is in torch.save's format from before PyTorch 1.6; load it in Python and torch.save its state_dict anew",
            path.display()
        )
    } else {
        read_safetensors(&bytes)
    };
    let tensors = tensors.with_context(|| format!("{} holds no state_dict", path.display()))?;
    ensure!(!tensors.is_empty(), "{} holds no floating point tensor", path.display());
    for (name, weight) in &tensors {
        ensure!(weight.values.iter().all(|value| value.is_finite()), "{}: {name} is not finite", path.display());
    }
    Ok(tensors)
}

fn read_safetensors(bytes: &[u8]) -> Result<StateDict> {
    let file = SafeTensors::deserialize(bytes)?;
    let mut tensors = StateDict::new();
    for (name, view) in file.iter() {
        let kind = match view.dtype() {
            Dtype::F64 => Kind::F64,
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            _ => continue,
        };
        tensors.push((name.to_owned(), Weight { shape: view.shape().to_vec(), values: kind.decode(view.data()) }));
    }
    // The file sorts by name, so that `10` comes before `2`: back to the order of the modules.
    tensors.sort_by(|(a, _), (b, _)| natural(a).cmp(&natural(b)));
    Ok(tensors)
}

/// A name cut into text and numbers, which compare as numbers.
fn natural(name: &str) -> Vec<(u64, &str)> {
    name.split('.').map(|part| part.parse().map_or((u64::MAX, part), |number| (number, ""))).collect()
}

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F64,
    F32,
    F16,
    Bf16,
}

impl Kind {
    /// The kind of a storage class of PyTorch; `None` for integers and others.
    pub(super) fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            _ => return None,
        })
    }

    /// Little-endian numbers; a part of one at the end is left out.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
            Self::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Self::Bf16 => bytes.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        }
    }
}

/// The elements of a strided view; `None` where it reaches outside or repeats elements.
pub(super) fn gather(storage: &[f32], offset: usize, shape: &[usize], stride: &[usize]) -> Option<Weight> {
    let count = shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent))?;
    if count > storage.len() || shape.len() != stride.len() {
        return None;
    }
    let mut values = Vec::new();
    for index in 0..count {
        let (mut rest, mut at) = (index, offset);
        for (extent, stride) in shape.iter().zip(stride).rev() {
            at = at.checked_add((rest % extent).checked_mul(*stride)?)?;
            rest /= extent;
        }
        values.push(*storage.get(at)?);
    }
    Some(Weight { shape: shape.to_vec(), values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names = vec!["net.10.weight", "net.2.weight", "net.2.bias", "head.weight"];
        names.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(names, ["head.weight", "net.2.bias", "net.2.weight", "net.10.weight"]);
    }

    #[test]
    fn a_transposed_view_is_gathered_and_one_that_reaches_outside_refused() {
        let storage = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(gather(&storage, 0, &[3, 2], &[1, 3]).unwrap().values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(gather(&storage, 1, &[3, 2], &[1, 3]), None);
        assert_eq!(gather(&storage, 0, &[usize::MAX, 2], &[0, 0]), None);
    }

    #[test]
    fn halves_are_widened() {
        assert_eq!(Kind::F16.decode(&[0x00, 0x3c]), [1.0]);
        assert_eq!(Kind::Bf16.decode(&[0xc0, 0xbf]), [-1.5]);
        assert_eq!(Kind::F64.decode(&2.5f64.to_le_bytes()), [2.5]);
    }
}
