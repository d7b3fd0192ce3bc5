//! The training loop: shuffled mini-batches, validation each epoch, the best epoch's weights kept.

mod augmentation;
mod clipping;
mod examples;
mod objective;
mod optimizer;
mod progress;
#[cfg(test)]
mod pytorch;

pub(crate) use examples::{Examples, measure};

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::checkpoint::Checkpoint;
use crate::dataset::{Dataset, Normalization, Split, Targets};
use crate::metrics::{Scores, argmax, cross_entropy};
use crate::network::{Batch, Mode, Network};
use crate::pretrained::Pretrained;
use crate::random::{Generator, Purpose, stream};
use crate::recipe::{Loss, Monitor, Recipe};
use objective::CrossEntropy;
use progress::Progress;

/// Examples that are evaluated at once.
const EVALUATION_BATCH: usize = 256;

/// What an epoch achieved. Accuracies and F1 are absent for an autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Step size.
    pub learning_rate: f64,
    /// Mean over the epoch's batches, as the network learned.
    pub train_loss: f64,
    /// Share of the epoch's examples that was right, as the network learned.
    pub train_accuracy: Option<f64>,
    /// On the validation split afterwards, without label smoothing.
    pub val_loss: f64,
    /// On the validation split afterwards.
    pub val_accuracy: Option<f64>,
    /// On the validation split afterwards.
    pub val_macro_f1: Option<f64>,
}

/// A finished training.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) history: Vec<Epoch>,
    /// The epoch, counted from 1, whose weights the checkpoint holds.
    pub(crate) best_epoch: usize,
}

/// Trains the recipe's network; the recipe's seed decides everything that is random.
pub(crate) fn fit(
    recipe: &Recipe,
    dataset: &Dataset,
    architecture: &Architecture,
    start: Option<&Pretrained>,
    frozen: bool,
    quiet: bool,
) -> Result<Fit> {
    let spec = &recipe.training;
    let (train, val) = (learned_rows(recipe, dataset, Split::Train), learned_rows(recipe, dataset, Split::Val));
    ensure!(!train.is_empty() && !val.is_empty(), "dataset {}: no row of a normal class to learn from", dataset.name);
    let known = start.and_then(|start| start.normalization.clone());
    let (input, side) = known.unwrap_or_else(|| measure(recipe, dataset));
    let measure_targets =
        |targets: &Targets| Normalization::measure(train.iter().map(|row| dataset.target(*row)), targets.names.len());
    let target = dataset.targets.as_ref().map(measure_targets);
    let examples = Examples::new(dataset, &input, side.as_ref(), target.as_ref());
    let objective = CrossEntropy::new(recipe, dataset)?;

    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let mut network =
        Network::random(architecture, spec.initializer, &mut stream(spec.seed, Purpose::Weights), &device)?;
    if let Some(start) = start {
        let mut weights = network.weights(architecture);
        weights.extend(start.weights.clone());
        network = Network::with_weights(architecture, &weights, &device)?;
    }
    if frozen {
        network = network.freeze_below_head();
    }
    let mut course = Course {
        recipe,
        dataset,
        examples: &examples,
        objective: &objective,
        device: &device,
        order: train.clone(),
        shuffling: stream(spec.seed, Purpose::Order),
        dropout: stream(spec.seed, Purpose::Dropout),
        changes: stream(spec.seed, Purpose::Augmentation),
    };
    let aware = recipe.quantization.aware_epochs;
    let progress = Progress::new(spec.epochs + aware, train.len().div_ceil(spec.batch_size), quiet);
    let mut optimizer = optimizer::optimizer(spec);
    let mut history: Vec<Epoch> = Vec::new();
    let mut best = None;
    let mut best_value = f64::INFINITY;
    let mut patience = 0;
    // The last epoch of this phase, and whether the network is rounded in it.
    let (mut last, mut rounded) = (spec.epochs, false);
    loop {
        let epoch = history.len() + 1;
        let learning_rate = match rounded {
            false => optimizer::learning_rate(spec, epoch - 1, spec.epochs),
            true => recipe.quantization.aware_learning_rate.unwrap_or(spec.learning_rate / 20.0),
        };
        let sums;
        (network, sums) = course.epoch(network, &mut optimizer, learning_rate, rounded, |loss| {
            progress.step(epoch, loss);
        })?;
        if !sums.loss.is_finite() {
            progress.finish();
            bail!("training diverged in epoch {epoch}: the loss is {}; lower training.learning_rate", sums.loss);
        }
        let seen = if rounded { network.valid().rounded() } else { network.valid() };
        let scores = validate(&seen, recipe, dataset, &examples, &objective, &val, &plain);
        let classifier = spec.loss == Loss::CrossEntropy;
        let now = Epoch {
            epoch,
            learning_rate,
            train_loss: sums.loss,
            train_accuracy: classifier.then_some(sums.accuracy),
            val_loss: scores.loss,
            val_accuracy: classifier.then_some(scores.accuracy),
            val_macro_f1: classifier.then_some(scores.macro_f1),
        };
        // Smaller is better for all of them.
        let value = match spec.monitor {
            Monitor::ValLoss => scores.loss,
            Monitor::ValAccuracy => -scores.accuracy,
            Monitor::ValMacroF1 => -scores.macro_f1,
        };
        let min_delta = spec.early_stopping.map_or(0.0, |stopping| stopping.min_delta);
        let improved = best.is_none() || value < best_value - min_delta;
        if improved {
            best_value = value;
            best = Some((epoch, network.valid().weights(architecture)));
            patience = 0;
        } else {
            patience += 1;
        }
        progress.epoch(&now, improved);
        history.push(now);
        let stops = spec.early_stopping.is_some_and(|stopping| patience >= stopping.patience);
        if epoch < last && !stops {
            continue;
        }
        if rounded || aware == 0 {
            break;
        }
        // From the best weights on, the network sees its weights and maps rounded as they will be.
        if let Some((_, weights)) = best.take() {
            network = Network::with_weights(architecture, &weights, &device)?;
        }
        if frozen {
            network = network.freeze_below_head();
        }
        optimizer = optimizer::optimizer(spec);
        (last, rounded, patience) = (epoch + aware, true, 0);
    }
    progress.finish();
    let (best_epoch, weights) = best.context("training.epochs is 0")?;
    Ok(Fit { checkpoint: Checkpoint { weights, input, side, target }, history, best_epoch })
}

/// What stays the same from epoch to epoch.
struct Course<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    examples: &'a Examples,
    objective: &'a CrossEntropy,
    device: &'a Device,
    /// The rows that are learned from.
    order: Vec<usize>,
    shuffling: Generator,
    dropout: Generator,
    changes: Generator,
}

/// Means over an epoch, as the network learned.
struct Sums {
    loss: f64,
    accuracy: f64,
}

impl Course<'_> {
    /// One pass over the rows; ends early where the loss is no number any more.
    fn epoch(
        &mut self,
        mut network: Network,
        optimizer: &mut ModuleOptimizer,
        learning_rate: f64,
        rounded: bool,
        step: impl Fn(f64),
    ) -> Result<(Network, Sums)> {
        let spec = &self.recipe.training;
        self.order.shuffle(&mut self.shuffling);
        let (mut loss_sum, mut right, mut seen) = (0.0, 0usize, 0usize);
        // A last batch of a single example has no variance to normalize by.
        for rows in self.order.chunks(spec.batch_size).filter(|rows| rows.len() > 1 || self.order.len() == 1) {
            let augmentation = &self.recipe.augmentation;
            let augmentation = (!augmentation.is_off()).then_some((augmentation, &mut self.changes));
            let batch = self.examples.batch(rows, augmentation, self.device);
            // The rounded weights' gradients are taken for the weights' own: the straight-through estimator.
            let learner = if rounded { network.clone().rounded() } else { network.clone() };
            let output = learner.forward(batch, &mut Mode::Train(&mut self.dropout));
            let loss = match spec.loss {
                Loss::CrossEntropy => {
                    let labels: Vec<usize> = rows.iter().map(|&row| self.dataset.rows[row].label).collect();
                    let logits: Vec<f32> = output.clone().inner().into_data().iter::<f32>().collect();
                    let hits = logits.chunks_exact(self.dataset.classes.len()).zip(&labels);
                    right += hits.filter(|(logits, label)| argmax(logits) == **label).count();
                    self.objective.forward(output, &labels)
                }
                // An autoencoder's is the example itself, without the noise that augmentation added.
                Loss::Mse => objective::mean_squared_error(output, self.examples.wanted(rows, self.device)),
            };
            let value = f64::from(loss.clone().inner().into_scalar::<f32>());
            if !value.is_finite() {
                return Ok((network, Sums { loss: value, accuracy: 0.0 }));
            }
            loss_sum += value * rows.len() as f64;
            seen += rows.len();
            let mut gradients = GradientsParams::from_grads(loss.backward(), &learner);
            if let Some(largest) = spec.clip_norm {
                gradients = clipping::clip_norm(gradients, &network, largest);
            }
            network = optimizer.step(learning_rate, network, gradients);
            step(loss_sum / seen as f64);
        }
        let seen = seen.max(1) as f64;
        Ok((network, Sums { loss: loss_sum / seen, accuracy: right as f64 / seen }))
    }
}

/// The rows of a split that training may learn from: for an autoencoder only those of the normal classes.
fn learned_rows(recipe: &Recipe, dataset: &Dataset, split: Split) -> Vec<usize> {
    let normal = recipe.dataset.normal();
    let all = recipe.training.loss == Loss::CrossEntropy || normal.is_empty();
    dataset.rows_where(|row| row.split == split && (all || normal.contains(&dataset.classes[row.label])))
}

/// The outputs for rows: logits, or the reconstruction of the normalized values.
pub(crate) fn outputs(network: &Network, examples: &Examples, rows: &[usize], device: &Device) -> Vec<Vec<f32>> {
    evaluate(examples, rows, device, |batch| network.forward(batch, &mut Mode::Evaluate))
}

/// What the head takes, for rows.
pub(crate) fn features(network: &Network, examples: &Examples, rows: &[usize], device: &Device) -> Vec<Vec<f32>> {
    evaluate(examples, rows, device, |batch| network.features(batch))
}

fn evaluate(
    examples: &Examples,
    rows: &[usize],
    device: &Device,
    network: impl Fn(Batch) -> Tensor<2>,
) -> Vec<Vec<f32>> {
    let mut all = Vec::with_capacity(rows.len());
    for rows in rows.chunks(EVALUATION_BATCH) {
        let output = network(examples.batch(rows, None, device));
        let [_, width] = output.dims();
        let values: Vec<f32> = output.into_data().iter::<f32>().collect();
        all.extend(values.chunks_exact(width).map(<[f32]>::to_vec));
    }
    all
}

/// Mean squared error of each row against the targets, or against the input itself, in normalized units.
pub(crate) fn squared_errors(network: &Network, examples: &Examples, rows: &[usize], device: &Device) -> Vec<f64> {
    let mut errors = Vec::with_capacity(rows.len());
    for rows in rows.chunks(EVALUATION_BATCH) {
        let target: Vec<f32> = examples.wanted(rows, device).into_data().iter::<f32>().collect();
        let width = target.len() / rows.len();
        for (output, target) in outputs(network, examples, rows, device).iter().zip(target.chunks_exact(width)) {
            let sum: f64 = output.iter().zip(target).map(|(output, target)| f64::from(output - target).powi(2)).sum();
            errors.push(sum / width as f64);
        }
    }
    errors
}

/// Scores a classifier's logits against the dataset's labels; `weight` is that of each class in the loss.
pub(crate) fn score(dataset: &Dataset, rows: &[usize], logits: &[Vec<f32>], weight: impl Fn(usize) -> f32) -> Scores {
    let labels: Vec<usize> = rows.iter().map(|&row| dataset.rows[row].label).collect();
    let predictions: Vec<usize> = logits.iter().map(|logits| argmax(logits)).collect();
    let (mut loss, mut total) = (0.0, 0.0);
    for (logits, &label) in logits.iter().zip(&labels) {
        loss += f64::from(weight(label)) * cross_entropy(logits, label);
        total += f64::from(weight(label));
    }
    Scores::new(dataset.classes.len(), &labels, &predictions, loss / if total > 0.0 { total } else { 1.0 })
}

fn validate(
    network: &Network,
    recipe: &Recipe,
    dataset: &Dataset,
    examples: &Examples,
    objective: &CrossEntropy,
    rows: &[usize],
    device: &Device,
) -> Scores {
    match recipe.training.loss {
        Loss::CrossEntropy => {
            score(dataset, rows, &outputs(network, examples, rows, device), |label| objective.weight(label))
        }
        Loss::Mse => {
            let errors = squared_errors(network, examples, rows, device);
            Scores::new(0, &[], &[], errors.iter().sum::<f64>() / errors.len().max(1) as f64)
        }
    }
}
