//! Weights and normalization in one safetensors file, which other tools can read too.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::dataset::Normalization;
use crate::network::{Weight, Weights};

/// What a trained network consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Weights and running statistics.
    pub weights: Weights,
    /// Of the input.
    pub input: Normalization,
    /// Of the side input.
    pub side: Option<Normalization>,
    /// Of what a regression predicts: the last layer gives normalized values.
    pub target: Option<Normalization>,
}

impl Checkpoint {
    /// Writes the file; the same content gives the same bytes.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: BTreeMap<String, Weight> = self.weights.clone();
        let mut keep = |name: &str, normalization: &Normalization| {
            for (part, values) in [("mean", &normalization.mean), ("scale", &normalization.scale)] {
                let weight = Weight { shape: vec![values.len()], values: values.clone() };
                tensors.insert(format!("normalization.{name}.{part}"), weight);
            }
        };
        keep("input", &self.input);
        for (name, normalization) in [("side", &self.side), ("target", &self.target)] {
            normalization.iter().for_each(|normalization| keep(name, normalization));
        }
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, weight)| {
                (name, weight.shape, weight.values.iter().flat_map(|value| value.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let file = views.and_then(|views| safetensors::serialize(views, None));
        std::fs::write(path, file.context("can't make a checkpoint")?)
            .with_context(|| format!("can't write {}", path.display()))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing, no safetensors file, or holds other than f32 tensors.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        let file = SafeTensors::deserialize(&bytes).with_context(|| format!("{} is no checkpoint", path.display()))?;
        let mut weights = Weights::default();
        for (name, view) in file.iter() {
            ensure!(view.dtype() == Dtype::F32, "{}: tensor {name} is not f32", path.display());
            let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            weights.insert(name.to_owned(), Weight { shape: view.shape().to_vec(), values });
        }
        let mut take = |name: &str| {
            let mut part = |part: &str| weights.remove(&format!("normalization.{name}.{part}"));
            Some(Normalization { mean: part("mean")?.values, scale: part("scale")?.values })
        };
        let input = take("input").with_context(|| format!("{} lacks the input's normalization", path.display()))?;
        let (side, target) = (take("side"), take("target"));
        Ok(Self { weights, input, side, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let weight = Weight { shape: vec![2, 1], values: vec![1.5, f32::MIN_POSITIVE] };
        let normalization = Normalization { mean: vec![0.25], scale: vec![4.0] };
        let checkpoint = Checkpoint {
            weights: Weights::from([("layer0.dense.weight".to_owned(), weight)]),
            input: normalization.clone(),
            side: Some(normalization),
            target: None,
        };
        let path = std::env::temp_dir().join(format!("nervelet-checkpoint-{}.safetensors", std::process::id()));
        checkpoint.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
        std::fs::write(&path, b"not a checkpoint").unwrap();
        assert!(Checkpoint::load(&path).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
