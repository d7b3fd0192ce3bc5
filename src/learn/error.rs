//! What can be wrong with a head, its samples or a training run.

use core::fmt;

/// A slice that a caller hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Part {
    /// Weights of the head, `classes * features` values.
    Weights,
    /// Bias of the head, `classes` values.
    Bias,
    /// Features of one sample.
    Features,
    /// Outputs of the head, `classes` values.
    Outputs,
    /// Target values of one sample, `classes` values.
    Target,
    /// Gradient, one value a parameter.
    Gradient,
    /// Optimizer state, one value a parameter.
    OptimizerState,
    /// Workspace of the fine-tuner.
    Workspace,
}

/// Why the learning side refused or stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LearnError {
    /// A head needs at least one class and one feature.
    EmptyHead {
        /// Classes given.
        classes: usize,
        /// Features given.
        features: usize,
    },
    /// A slice has the wrong number of elements.
    WrongLength {
        /// Which slice.
        part: Part,
        /// Elements needed.
        need: usize,
        /// Elements given.
        have: usize,
    },
    /// More is asked of a fixed-capacity buffer than its type holds.
    TooLarge {
        /// The dimension: `"features"`, `"classes"` or `"samples"`.
        dimension: &'static str,
        /// Asked for.
        need: usize,
        /// What the type allows.
        have: usize,
    },
    /// Samples and head differ in a dimension.
    ShapeMismatch {
        /// The dimension: `"features"` or `"classes"`.
        dimension: &'static str,
        /// What the head has.
        head: usize,
        /// What the samples or the gradient have.
        given: usize,
    },
    /// A label is not below the number of classes.
    LabelOutOfRange {
        /// The label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// Where it was found.
        part: Part,
        /// Its index in that slice.
        index: usize,
    },
    /// A setting is outside its range.
    InvalidSetting {
        /// Name of the field.
        name: &'static str,
        /// Value given.
        value: f32,
    },
    /// There is nothing to learn from.
    NoSamples,
    /// Loss or parameters became NaN or infinite; the head was put back as it was.
    Diverged {
        /// Epoch it happened in, from 0.
        epoch: u32,
        /// Optimizer steps completed before.
        step: u32,
    },
    /// After training, the loss over the replay was higher than before; the head was put back
    /// as it was.
    Regressed {
        /// Mean loss before training.
        first_loss: f32,
        /// Mean loss after training.
        last_loss: f32,
    },
}

impl fmt::Display for LearnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyHead { classes, features } => {
                write!(f, "a head of {classes} classes and {features} features is empty")
            }
            Self::WrongLength { part, need, have } => {
                write!(f, "{part:?}: {need} elements needed, {have} given")
            }
            Self::TooLarge { dimension, need, have } => {
                write!(f, "{need} {dimension} asked for, the buffer's type holds {have}")
            }
            Self::ShapeMismatch { dimension, head, given } => {
                write!(f, "the head has {head} {dimension}, the samples have {given}")
            }
            Self::LabelOutOfRange { label, classes } => {
                write!(f, "label {label} is not below {classes} classes")
            }
            Self::NotFinite { part, index } => {
                write!(f, "{part:?}: element {index} is not finite")
            }
            Self::InvalidSetting { name, value } => {
                write!(f, "setting {name} = {value} is outside its range")
            }
            Self::NoSamples => write!(f, "no samples to learn from"),
            Self::Diverged { epoch, step } => {
                write!(f, "training diverged in epoch {epoch} after {step} steps")
            }
            Self::Regressed { first_loss, last_loss } => {
                write!(f, "training raised the loss from {first_loss} to {last_loss}")
            }
        }
    }
}

impl core::error::Error for LearnError {}

/// `Ok` when a slice of `have` elements is exactly `need` long.
pub(super) fn check_length(part: Part, need: usize, have: usize) -> Result<(), LearnError> {
    if need == have { Ok(()) } else { Err(LearnError::WrongLength { part, need, have }) }
}

/// `Ok` when every value is finite.
pub(super) fn check_finite<'v>(part: Part, values: impl IntoIterator<Item = &'v f32>) -> Result<(), LearnError> {
    match values.into_iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(LearnError::NotFinite { part, index }),
    }
}

/// `Ok` when `valid` says so of a setting.
pub(super) fn check_setting(name: &'static str, value: f32, valid: impl Fn(f32) -> bool) -> Result<(), LearnError> {
    if value.is_finite() && valid(value) { Ok(()) } else { Err(LearnError::InvalidSetting { name, value }) }
}
