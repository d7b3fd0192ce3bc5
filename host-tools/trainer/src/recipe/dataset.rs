//! Where a recipe's examples come from.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{AudioFolderSpec, Source};

/// The `[dataset]` table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DatasetSpec {
    /// A folder of `.npy` arrays with one row an example, described by `manifest.csv` and `meta.json`.
    ArrayFolder(ArrayFolderSpec),
    /// A folder of recordings, described by `manifest.csv` and `meta.json`.
    AudioFolder(AudioFolderSpec),
    /// A table with one example, or one sample of a recording, a row.
    Csv(CsvSpec),
    /// Simulated wrist gestures.
    Gestures(GesturesSpec),
}

/// A folder of arrays.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayFolderSpec {
    /// The folder's name under the data folder.
    pub name: String,
    /// The folder itself, instead; relative to the recipe.
    #[serde(default)]
    pub path: Option<String>,
    /// The array of examples.
    #[serde(default = "examples")]
    pub file: String,
    /// The array of lengths, where examples are sequences of different lengths, padded to the longest: one number of steps an
    /// example.
    #[serde(default)]
    pub lengths: Option<String>,
    /// Manifest column with the class number.
    #[serde(default = "label")]
    pub label: String,
    /// Manifest column that names whom or what an example is from; ignored when the manifest has none.
    #[serde(default = "subject")]
    pub subject: String,
    /// Manifest column with train, val or test.
    #[serde(default = "split")]
    pub split: String,
    /// Manifest column with adapt or eval; ignored when the manifest has none.
    #[serde(default = "role")]
    pub role: String,
    /// The classes an autoencoder learns as normal; all others count as anomalies. Empty: all classes.
    #[serde(default)]
    pub normal: Vec<String>,
}

impl ArrayFolderSpec {
    /// A folder with the usual file and columns.
    pub fn named(name: String) -> Self {
        Self {
            name,
            path: None,
            file: examples(),
            lengths: None,
            label: label(),
            subject: subject(),
            split: split(),
            role: role(),
            normal: Vec::new(),
        }
    }
}

/// A table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSpec {
    /// The folder's name under the data folder.
    pub name: String,
    /// The folder itself, instead; relative to the recipe.
    #[serde(default)]
    pub path: Option<String>,
    /// The table in that folder.
    pub file: String,
    /// Columns that the network sees, in this order.
    pub features: Vec<String>,
    /// Column with the class, as a name or a number; not read where there are targets.
    #[serde(default = "label")]
    pub label: String,
    /// Columns with the values to predict: those of a window's last row. A regression, whose loss is `mse`.
    #[serde(default)]
    pub targets: Vec<String>,
    /// The number that stands for a value that was not measured. Features take the last one before; where a target is
    /// missing there is no example.
    #[serde(default)]
    pub missing: Option<f32>,
    /// Column that names whom or what a row is from.
    #[serde(default)]
    pub subject: Option<String>,
    /// Column with train, val or test.
    #[serde(default)]
    pub split: Option<String>,
    /// Shares of the rows instead of a split column.
    #[serde(default)]
    pub fractions: Option<Fractions>,
    /// Cuts consecutive rows into sequences.
    #[serde(default)]
    pub window: Option<WindowSpec>,
    /// The classes an autoencoder learns as normal; all others count as anomalies. Empty: all classes.
    #[serde(default)]
    pub normal: Vec<String>,
}

/// Shares of a table that become the splits; what is left is the test split.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fractions {
    /// Share for training.
    pub train: f64,
    /// Share for validation.
    pub val: f64,
    /// What is kept together.
    #[serde(default)]
    pub by: SplitBy,
}

/// What stays together when a table is split.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Nothing: rows are shuffled with the training seed.
    #[default]
    Row,
    /// All rows of a subject; subjects are shuffled.
    Subject,
    /// The order of the file: first train, then val, then test.
    Time,
}

/// How consecutive rows become one example.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// Rows in an example. It takes the class most of its rows have.
    pub length: usize,
    /// Rows between the starts of two examples.
    pub stride: usize,
}

/// Simulated wrist gestures: see [`crate::dataset::gestures`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GesturesSpec {
    /// Seed of the simulation.
    pub seed: u64,
    /// People the network is trained on.
    pub train_users: usize,
    /// Other people who wear the sensor as usual.
    pub val_users: usize,
    /// Other people who wear it as nobody in training did.
    pub test_users: usize,
    /// How often each person makes each gesture.
    pub repetitions: usize,
    /// The first so many repetitions of a test user have the role adapt, the rest eval.
    pub adapt_repetitions: usize,
}

impl Default for GesturesSpec {
    fn default() -> Self {
        Self { seed: 1, train_users: 12, val_users: 3, test_users: 4, repetitions: 30, adapt_repetitions: 10 }
    }
}

impl DatasetSpec {
    /// The name that reports and folders use.
    pub fn name(&self) -> &str {
        match self {
            Self::ArrayFolder(spec) => &spec.name,
            Self::AudioFolder(spec) => &spec.name,
            Self::Csv(spec) => &spec.name,
            Self::Gestures(_) => "gestures (simulated)",
        }
    }

    /// The classes that count as normal for an autoencoder.
    pub fn normal(&self) -> &[String] {
        match self {
            Self::ArrayFolder(spec) => &spec.normal,
            Self::AudioFolder(spec) => &spec.normal,
            Self::Csv(spec) => &spec.normal,
            Self::Gestures(_) => &[],
        }
    }

    /// What a regression predicts; empty for other tasks.
    pub fn targets(&self) -> &[String] {
        match self {
            Self::Csv(spec) => &spec.targets,
            Self::ArrayFolder(_) | Self::AudioFolder(_) | Self::Gestures(_) => &[],
        }
    }

    pub(super) fn check(&self, source: &Source) -> Result<()> {
        let error = |key: &str, message: String| Err(source.error(&["dataset", key], message));
        match self {
            Self::ArrayFolder(_) => Ok(()),
            Self::AudioFolder(spec) => spec.check(source),
            Self::Csv(spec) => {
                if spec.features.is_empty() {
                    return error("features", "must name at least one column".into());
                }
                match (&spec.split, spec.fractions) {
                    (Some(_), Some(_)) => return error("fractions", "can't stand beside a split column".into()),
                    (None, None) => return error("split", "name a split column, or give fractions".into()),
                    _ => {}
                }
                if let Some(Fractions { train, val, by }) = spec.fractions {
                    if !(train > 0.0 && val >= 0.0 && train + val <= 1.0) {
                        let message = format!("train must be above 0 and train + val at most 1, are {train} and {val}");
                        return error("fractions", message);
                    }
                    if by == SplitBy::Subject && spec.subject.is_none() {
                        return error("fractions", "by = \"subject\" needs a subject column".into());
                    }
                    if by == SplitBy::Row && spec.window.is_some_and(|window| window.stride < window.length) {
                        let message = "overlapping windows would leak between splits: use by = \"time\" or \"subject\"";
                        return error("fractions", message.into());
                    }
                }
                match spec.window {
                    Some(WindowSpec { length, stride }) if length == 0 || stride == 0 => {
                        error("window", format!("length and stride must be at least 1, are {length} and {stride}"))
                    }
                    _ => Ok(()),
                }
            }
            Self::Gestures(spec) => {
                for (key, value) in [
                    ("train_users", spec.train_users),
                    ("val_users", spec.val_users),
                    ("test_users", spec.test_users),
                    ("repetitions", spec.repetitions),
                ] {
                    if value == 0 || value > 1000 {
                        return error(key, format!("must be from 1 to 1000, is {value}"));
                    }
                }
                if spec.adapt_repetitions >= spec.repetitions {
                    let message =
                        format!("must be below repetitions ({}), is {}", spec.repetitions, spec.adapt_repetitions);
                    return error("adapt_repetitions", message);
                }
                Ok(())
            }
        }
    }
}

fn examples() -> String {
    "x.npy".into()
}

pub(super) fn label() -> String {
    "label".into()
}

pub(super) fn subject() -> String {
    "subject".into()
}

pub(super) fn split() -> String {
    "split".into()
}

pub(super) fn role() -> String {
    "role".into()
}
