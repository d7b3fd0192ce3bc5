//! How a recipe's network is trained.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Source;

/// The `[training]` table. Optimizer settings mean what they mean in PyTorch.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSpec {
    /// Passes over the training split, at most.
    pub epochs: usize,
    /// Examples a step.
    pub batch_size: usize,
    /// What is minimised.
    pub loss: Loss,
    /// Share of the target taken from the right class and spread over all (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// How a gradient becomes a step.
    pub optimizer: OptimizerKind,
    /// Step size at the start.
    pub learning_rate: f64,
    /// How the step size changes over the epochs.
    pub schedule: Schedule,
    /// Of `momentum` and `nesterov`.
    pub momentum: f64,
    /// Of `adam` and `adamw`: decay of the gradient's mean.
    pub beta_1: f64,
    /// Of `adam` and `adamw`: decay of the gradient's square.
    pub beta_2: f64,
    /// Of `adam` and `adamw`: added to the denominator.
    pub epsilon: f64,
    /// L2 penalty; decoupled from the gradient for `adamw`.
    pub weight_decay: f64,
    /// The largest norm of all gradients together; larger ones are scaled down to it. As they are when left out.
    pub clip_norm: Option<f64>,
    /// Weight of each class in the loss.
    pub class_weights: ClassWeights,
    /// How weights start.
    pub initializer: Initializer,
    /// Which number picks the best epoch, whose weights are kept.
    pub monitor: Monitor,
    /// Stops when the monitored number no longer improves.
    pub early_stopping: Option<EarlyStopping>,
    /// Seed of everything random in training.
    pub seed: u64,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax cross-entropy against the class.
    CrossEntropy,
    /// Mean squared error against the dataset's targets: a regression. Without targets, against the input itself: an
    /// autoencoder.
    Mse,
}

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Gradient descent.
    Sgd,
    /// With momentum, dampening 0.
    Momentum,
    /// With Nesterov's momentum.
    Nesterov,
    /// Kingma and Ba 2015.
    Adam,
    /// Loshchilov and Hutter 2019.
    AdamW,
}

/// How the step size changes, once an epoch.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Half a cosine from the start down to `minimum` at the last epoch.
    Cosine {
        /// Last step size.
        #[serde(default)]
        minimum: f64,
    },
    /// Multiplied by `factor` every `every` epochs.
    Step {
        /// Epochs between steps.
        every: usize,
        /// What it is multiplied by.
        factor: f64,
    },
    /// Multiplied by `factor` every epoch.
    Exponential {
        /// What it is multiplied by.
        factor: f64,
    },
}

/// Weight of each class in the loss.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(untagged)]
pub enum ClassWeights {
    /// `"none"` or `"balanced"`: examples / (classes * examples of the class).
    Named(ClassWeighting),
    /// One number a class.
    Given(Vec<f32>),
}

/// The named ways to weigh classes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeighting {
    /// All 1.
    None,
    /// Inversely to how often a class occurs in training.
    Balanced,
    /// The square root of `balanced`: rare classes count more, but not as much.
    SqrtBalanced,
}

/// How weights start; biases start at zero.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Initializer {
    /// Uniform within sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010).
    Xavier,
    /// Normal with standard deviation sqrt(2 / fan in) (He et al. 2015).
    He,
}

/// Which number picks the best epoch.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Smallest validation loss.
    ValLoss,
    /// Largest validation accuracy.
    ValAccuracy,
    /// Largest validation macro-F1.
    ValMacroF1,
}

/// When to stop early.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without improvement before training stops.
    pub patience: usize,
    /// What counts as an improvement.
    #[serde(default)]
    pub min_delta: f64,
}

/// The `[augmentation]` table: random changes to each training example, in normalized units.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentationSpec {
    /// Standard deviation of Gaussian noise on each value.
    pub jitter: f32,
    /// Standard deviation of the factor, around 1, that a whole example is scaled by.
    pub scale: f32,
    /// Largest shift along time (the width) in samples, either way; the ends repeat.
    pub time_shift: usize,
    /// Standard deviation of a value added to a whole channel.
    pub offset: f32,
}

/// The `[quantization]` table, read by the export.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizationSpec {
    /// Training examples whose activations are observed.
    pub calibration_samples: usize,
    /// Epochs after training in which the network learns with weights and maps rounded to 8 bits (Jacob et al. 2018);
    /// what sequence layers compute in 16 bits is not rounded.
    pub aware_epochs: usize,
    /// Step size in these epochs; a twentieth of the training's when left out.
    pub aware_learning_rate: Option<f64>,
}

impl Default for TrainingSpec {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 64,
            loss: Loss::CrossEntropy,
            label_smoothing: 0.0,
            optimizer: OptimizerKind::Adam,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            momentum: 0.9,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip_norm: None,
            class_weights: ClassWeights::Named(ClassWeighting::None),
            initializer: Initializer::He,
            monitor: Monitor::ValLoss,
            early_stopping: None,
            seed: 1,
        }
    }
}

impl Default for QuantizationSpec {
    fn default() -> Self {
        Self { calibration_samples: 256, aware_epochs: 0, aware_learning_rate: None }
    }
}

impl TrainingSpec {
    pub(super) fn check(&self, source: &Source) -> Result<()> {
        let error = |key: &str, message: String| Err(source.error(&["training", key], message));
        // A batch of one has no variance to normalize by.
        for (key, value, least, most) in
            [("epochs", self.epochs, 1, 100_000), ("batch_size", self.batch_size, 2, 1 << 20)]
        {
            if !(least..=most).contains(&value) {
                return error(key, format!("must be from {least} to {most}, is {value}"));
            }
        }
        for (key, value) in [("learning_rate", self.learning_rate), ("epsilon", self.epsilon)] {
            if !(value.is_finite() && value > 0.0) {
                return error(key, format!("must be above zero, is {value}"));
            }
        }
        for (key, value) in [
            ("momentum", self.momentum),
            ("beta_1", self.beta_1),
            ("beta_2", self.beta_2),
            ("label_smoothing", self.label_smoothing),
        ] {
            if !(0.0..1.0).contains(&value) {
                return error(key, format!("must be at least 0 and below 1, is {value}"));
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return error("weight_decay", format!("must be at least zero, is {}", self.weight_decay));
        }
        if let Some(norm) = self.clip_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
            return error("clip_norm", format!("must be above zero, is {norm}"));
        }
        if self.loss == Loss::Mse && self.monitor != Monitor::ValLoss {
            return error("monitor", "with loss = \"mse\" only val_loss can be monitored".into());
        }
        if let ClassWeights::Given(weights) = &self.class_weights
            && weights.iter().any(|weight| !weight.is_finite() || *weight <= 0.0)
        {
            return error("class_weights", format!("must all be above zero, are {weights:?}"));
        }
        if self.early_stopping.is_some_and(|stopping| stopping.patience == 0) {
            return error("early_stopping", "patience must be at least 1".into());
        }
        match self.schedule {
            Schedule::Step { every: 0, .. } => error("schedule", "every must be at least 1".into()),
            Schedule::Step { factor, .. } | Schedule::Exponential { factor } if !(factor > 0.0 && factor <= 1.0) => {
                error("schedule", format!("factor must be above 0 and at most 1, is {factor}"))
            }
            Schedule::Cosine { minimum } if !(0.0..=self.learning_rate).contains(&minimum) => {
                error("schedule", format!("minimum must be from 0 to the learning rate, is {minimum}"))
            }
            _ => Ok(()),
        }
    }
}

impl AugmentationSpec {
    /// Whether nothing is changed.
    pub fn is_off(&self) -> bool {
        self.jitter == 0.0 && self.scale == 0.0 && self.time_shift == 0 && self.offset == 0.0
    }

    pub(super) fn check(&self, source: &Source) -> Result<()> {
        for (key, value) in [("jitter", self.jitter), ("scale", self.scale), ("offset", self.offset)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(source.error(&["augmentation", key], format!("must be at least zero, is {value}")));
            }
        }
        Ok(())
    }
}

impl QuantizationSpec {
    pub(super) fn check(&self, source: &Source) -> Result<()> {
        let error = |key: &str, message: String| Err(source.error(&["quantization", key], message));
        match (self.calibration_samples, self.aware_learning_rate) {
            (0, _) => error("calibration_samples", "must be at least 1".into()),
            (_, Some(rate)) if !(rate.is_finite() && rate > 0.0) => {
                error("aware_learning_rate", format!("must be above zero, is {rate}"))
            }
            _ => Ok(()),
        }
    }
}
