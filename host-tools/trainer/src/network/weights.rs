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
pub(crate) enum Start {
    /// As the recipe's initializer has it.
    Random {
        fan_in: usize,
        fan_out: usize,
    },
    /// Uniform within sqrt(6 / (fan in + fan out)), whatever the recipe's initializer.
    Xavier {
        fan_in: usize,
        fan_out: usize,
    },
    /// Uniform within the bound.
    Uniform {
        bound: f32,
    },
    /// Normal.
    Normal {
        deviation: f32,
    },
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
        let mut uniform = |bound: f32| (0..length).map(|_| random.random_range(-bound..=bound)).collect();
        let xavier = |fan_in: usize, fan_out: usize| (6.0 / (fan_in + fan_out).max(1) as f32).sqrt();
        match self.start {
            Start::Zeros => vec![0.0; length],
            Start::Ones => vec![1.0; length],
            Start::Uniform { bound } => uniform(bound),
            Start::Xavier { fan_in, fan_out } => uniform(xavier(fan_in, fan_out)),
            Start::Normal { deviation } => normal(deviation, length, random),
            Start::Random { fan_in, fan_out } => match initializer {
                Initializer::Xavier => uniform(xavier(fan_in, fan_out)),
                Initializer::He => normal((2.0 / fan_in.max(1) as f32).sqrt(), length, random),
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

fn normal(deviation: f32, length: usize, random: &mut Generator) -> Vec<f32> {
    let draw = |random: &mut Generator| -> f32 { StandardNormal.sample(random) };
    (0..length).map(|_| deviation * draw(random)).collect()
}
