//! Weights by name, outside of burn: what a checkpoint holds and an export reads.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::random::Generator;
use crate::recipe::Initializer;

/// The values of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// All tensors of a network. Convolutions are `[out, in / groups, height, width]`, dense layers `[in, out]`.
pub type Weights = BTreeMap<String, Weight>;

/// What a tensor holds before training.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Random { fan_in: usize, fan_out: usize },
    Zeros,
    Ones,
}

/// A tensor that a network needs.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) start: Start,
}

impl Slot {
    pub(super) fn random(&self, initializer: Initializer, random: &mut Generator) -> Vec<f32> {
        let length = self.shape.iter().product();
        match self.start {
            Start::Zeros => vec![0.0; length],
            Start::Ones => vec![1.0; length],
            Start::Random { fan_in, fan_out } => match initializer {
                Initializer::Xavier => {
                    let bound = (6.0 / (fan_in + fan_out).max(1) as f32).sqrt();
                    (0..length).map(|_| random.random_range(-bound..=bound)).collect()
                }
                Initializer::He => {
                    let deviation = (2.0 / fan_in.max(1) as f32).sqrt();
                    let normal = |random: &mut Generator| -> f32 { StandardNormal.sample(random) };
                    (0..length).map(|_| deviation * normal(random)).collect()
                }
            },
        }
    }

    pub(super) fn find(&self, weights: &Weights) -> Result<Vec<f32>> {
        let weight = weights.get(&self.name).with_context(|| format!("the checkpoint has no tensor {}", self.name))?;
        ensure!(
            weight.shape == self.shape,
            "tensor {} of the checkpoint has shape {:?}, the recipe needs {:?}",
            self.name,
            weight.shape,
            self.shape
        );
        Ok(weight.values.clone())
    }
}
