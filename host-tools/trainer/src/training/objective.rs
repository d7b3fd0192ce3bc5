//! What is minimised, with the weight of each class.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData, activation};

use crate::dataset::{Dataset, Split};
use crate::recipe::{ClassWeighting, ClassWeights, Recipe};

/// Softmax cross-entropy with class weights and label smoothing, as PyTorch's `CrossEntropyLoss`.
#[derive(Clone, Debug)]
pub(super) struct CrossEntropy {
    weights: Vec<f32>,
    smoothing: f32,
}

impl CrossEntropy {
    pub(super) fn new(recipe: &Recipe, dataset: &Dataset) -> Result<Self> {
        let classes = dataset.classes.len();
        let counts = dataset.counts(Split::Train);
        let total: usize = counts.iter().sum();
        // A class that training never sees has no say.
        let balanced = |count: usize| match count {
            0 => 1.0,
            _ => total as f32 / (classes as f32 * count as f32),
        };
        let weights = match &recipe.training.class_weights {
            ClassWeights::Named(ClassWeighting::None) => vec![1.0; classes],
            ClassWeights::Named(ClassWeighting::Balanced) => counts.iter().map(|&count| balanced(count)).collect(),
            ClassWeights::Named(ClassWeighting::SqrtBalanced) => {
                counts.iter().map(|&count| balanced(count).sqrt()).collect()
            }
            ClassWeights::Given(weights) if weights.len() == classes => weights.clone(),
            ClassWeights::Given(weights) => {
                let message = format!("gives {} weights, the dataset has {classes} classes", weights.len());
                return Err(recipe.source.error(&["training", "class_weights"], message));
            }
        };
        Ok(Self { weights, smoothing: recipe.training.label_smoothing as f32 })
    }

    /// Without weights and smoothing.
    #[cfg(test)]
    pub(super) fn plain(classes: usize) -> Self {
        Self { weights: vec![1.0; classes], smoothing: 0.0 }
    }

    /// The weight of an example of a class.
    pub(super) fn weight(&self, label: usize) -> f32 {
        self.weights[label]
    }

    /// The loss of a batch of logits `[batch, classes]`.
    pub(super) fn forward(&self, logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
        let classes = self.weights.len();
        let mut targets = Vec::with_capacity(labels.len() * classes);
        for &label in labels {
            targets.extend(self.weights.iter().enumerate().map(|(class, weight)| {
                let right = if class == label { (1.0 - self.smoothing) * weight } else { 0.0 };
                right + self.smoothing / classes as f32 * weight
            }));
        }
        let total: f32 = labels.iter().map(|&label| self.weights[label]).sum();
        let targets = Tensor::from_data(TensorData::new(targets, [labels.len(), classes]), &logits.device());
        (activation::log_softmax(logits, 1) * targets).sum().div_scalar(-total)
    }
}

/// Mean squared error over all values of a batch.
pub(super) fn mean_squared_error(output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let difference = output - target;
    (difference.clone() * difference).mean()
}
