//! A run: the folder that a training leaves behind.
//!
//! | file | holds |
//! |---|---|
//! | `recipe.toml` | the recipe as it was read |
//! | `checkpoint.safetensors` | weights of the best epoch and the normalization |
//! | `metrics.csv` | one line an epoch; the same seed on the same machine gives the same file |
//! | `training.json` | everything measured, as [`Record`] |
//! | `plots/*.svg`, `report.html` | the same for people |

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use nervelet_compiler::Graph;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, Layer, Operation};
use crate::checkpoint::Checkpoint;
use crate::dataset::{Dataset, Facts, Role, Split};
use crate::metrics::{RegressionErrors, Scores, area_under_curve};
use crate::network::Network;
use crate::pretrained::{self, Matches};
use crate::random::{Purpose, stream};
use crate::recipe::{Recipe, Task};
use crate::report::{self, Fragment};
use crate::training::{self, Epoch, Examples};

/// How a training differs from its recipe.
#[derive(Clone, Debug, Default)]
pub struct TrainOptions {
    /// The data folder, or the dataset's own.
    pub data: Option<PathBuf>,
    /// The run folder; `runs/<recipe>` when left out.
    pub out: Option<PathBuf>,
    /// Instead of the recipe's epochs.
    pub epochs: Option<usize>,
    /// Starts from these weights: a checkpoint of a run, a safetensors file, or a `torch.save` file.
    pub weights: Option<PathBuf>,
    /// Trains the head alone, on what the layers below make of the data: feature extraction.
    pub freeze: bool,
    /// Shows nothing while it trains.
    pub quiet: bool,
}

/// What a training measured: the content of `training.json`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Record {
    /// Name of the recipe.
    pub name: String,
    /// What the data was.
    pub dataset: Facts,
    /// Where it was, when it was in files.
    pub data: Option<PathBuf>,
    /// Trained parameters.
    pub parameters: usize,
    /// Multiplications with a weight for one example.
    pub multiply_accumulates: usize,
    /// What of the network started from trained weights; absent for a random start.
    #[serde(default)]
    pub pretrained: Option<Matches>,
    /// Whether only the head was trained.
    #[serde(default)]
    pub frozen: bool,
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// The epoch whose weights were kept, counted from 1.
    pub best_epoch: usize,
    /// A classifier's scores on each split, with the kept weights.
    pub scores: Vec<SplitScores>,
    /// A classifier's scores on each subject of the validation and test split.
    pub subjects: Vec<SubjectScores>,
    /// An autoencoder's errors.
    pub anomalies: Option<Anomalies>,
    /// A regression's errors on each split, with the kept weights.
    #[serde(default)]
    pub regression: Vec<RegressionScores>,
    /// How long it took.
    pub seconds: f64,
    /// The same for people.
    pub report: Fragment,
}

/// Scores on a split.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SplitScores {
    /// Which one.
    pub split: Split,
    /// What was measured.
    pub scores: Scores,
}

/// Scores on one subject.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SubjectScores {
    /// Its split.
    pub split: Split,
    /// Whom or what the rows are from.
    pub subject: String,
    /// Whether the training split has rows of it, too.
    pub in_training: bool,
    /// Its rows.
    pub rows: usize,
    /// Share of all rows that is right.
    pub accuracy: f64,
    /// Share of the rows with the role eval that is right; absent without such rows.
    pub eval_accuracy: Option<f64>,
}

/// How well a regression predicts a value on a split.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RegressionScores {
    /// Which one.
    pub split: Split,
    /// The value's name.
    pub target: String,
    /// Square root of the mean squared error, in the value's unit.
    pub root_mean_squared_error: f64,
    /// Mean of the error's magnitude, in the value's unit.
    pub mean_absolute_error: f64,
    /// Share of the variance on the split that the prediction explains; below 0, the split's mean would be better.
    pub r_squared: f64,
    /// What was predicted for each row, and what was measured.
    pub pairs: Vec<(f64, f64)>,
}

/// How far reconstruction errors tell anomalies.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Anomalies {
    /// Mean squared error of the validation split's normal rows, in normalized units.
    pub val_error: f64,
    /// The error that 95 % of the validation split's normal rows stay below.
    pub threshold: f64,
    /// Area under the operating characteristic on the validation split; absent when it has only one kind.
    pub val_area_under_curve: Option<f64>,
    /// Area under the operating characteristic on the test split; absent when it has only one kind.
    pub area_under_curve: Option<f64>,
    /// Error of each test row, and whether it is an anomaly.
    pub test: Vec<(f64, bool)>,
}

/// A training that has finished.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    recipe: Recipe,
    record: Record,
    architecture: Architecture,
    checkpoint: Checkpoint,
}

/// Trains a recipe's network and leaves a run folder behind.
///
/// # Errors
/// What is wrong with the recipe or its data; a training that diverges; a folder that can't be written.
pub fn train(recipe: &Path, options: &TrainOptions) -> Result<Run> {
    let mut recipe = Recipe::load(recipe)?;
    if let Some(epochs) = options.epochs {
        recipe.training.epochs = epochs.max(1);
    }
    let dataset = Dataset::load(&recipe, options.data.as_deref())?;
    let facts = dataset.facts();
    let architecture = Architecture::plan(&recipe, &facts)?;
    let folder = options.out.clone().unwrap_or_else(|| Path::new("runs").join(recipe.source.stem()));
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make the run folder {}", folder.display()))?;

    let start = options.weights.as_deref().map(|path| pretrained::load(path, &architecture)).transpose()?;
    if options.freeze {
        let start = start.as_ref().context("freezing needs weights to keep: name their file with --weights")?;
        let missing = start.missing_below_head(&architecture);
        ensure!(missing.is_empty(), "can't freeze {}: the weights have nothing for it", missing.join(", "));
    }
    let started = Instant::now();
    let fit = training::fit(&recipe, &dataset, &architecture, start.as_ref(), options.freeze, options.quiet)?;
    let seconds = started.elapsed().as_secs_f64();

    let record = Record {
        name: recipe.name.clone(),
        data: Dataset::folder(&recipe, options.data.as_deref())?,
        parameters: architecture.parameters(),
        multiply_accumulates: architecture.multiply_accumulates(),
        dataset: facts,
        pretrained: start.map(|start| start.matches),
        frozen: options.freeze,
        history: fit.history,
        best_epoch: fit.best_epoch,
        scores: Vec::new(),
        subjects: Vec::new(),
        anomalies: None,
        regression: Vec::new(),
        seconds,
        report: Fragment::default(),
    };
    let mut run = Run { folder, recipe, record, architecture, checkpoint: fit.checkpoint };
    run.measure(&dataset)?;
    run.record.report = report::training_fragment(&run);
    run.save()?;
    report::render(&run.folder)?;
    Ok(run)
}

impl Run {
    /// Opens a run folder.
    ///
    /// # Errors
    /// When a file is missing or does not fit the others.
    pub fn open(folder: &Path) -> Result<Self> {
        let recipe = Recipe::load(&folder.join("recipe.toml"))
            .with_context(|| format!("{} is no run folder", folder.display()))?;
        let path = folder.join("training.json");
        let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let record: Record =
            serde_json::from_str(&text).with_context(|| format!("{} is no record of a training", path.display()))?;
        let architecture = Architecture::plan(&recipe, &record.dataset)?;
        let checkpoint = Checkpoint::load(&folder.join("checkpoint.safetensors"))?;
        Ok(Self { folder: folder.to_path_buf(), recipe, record, architecture, checkpoint })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The recipe it was trained from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What was measured.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The network on paper.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Weights and normalization.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The float network's scores on a split.
    pub fn float_scores(&self, split: Split) -> Option<&Scores> {
        self.record.scores.iter().find(|scores| scores.split == split).map(|scores| &scores.scores)
    }

    /// The dataset it was trained on; `data` as for [`Dataset::load`], where it was in training when left out.
    ///
    /// # Errors
    /// When it can't be loaded, or is not what the run was trained on.
    pub fn dataset(&self, data: Option<&Path>) -> Result<Dataset> {
        let dataset = Dataset::load(&self.recipe, data.or(self.record.data.as_deref()))?;
        let (now, then) = (dataset.facts(), &self.record.dataset);
        anyhow::ensure!(
            now.shape == then.shape && now.classes == then.classes && now.side == then.side,
            "dataset {} has shape {:?} and classes {:?}, but the run was trained with {:?} and {:?}",
            now.name,
            now.shape,
            now.classes,
            then.shape,
            then.classes
        );
        Ok(dataset)
    }

    /// The trained network for the compiler.
    ///
    /// # Errors
    /// When the checkpoint does not fit the recipe.
    pub fn graph(&self) -> Result<Graph> {
        let classes: &[String] = match self.recipe.task() {
            Task::Classification => &self.record.dataset.classes,
            Task::Reconstruction | Task::Regression => &[],
        };
        crate::graph::to_graph(&self.record.name, &self.architecture, &self.checkpoint, classes)
    }

    /// The float network's outputs for rows of a dataset: logits, the reconstruction of the normalized values, or what a
    /// regression predicts, in its units.
    ///
    /// # Errors
    /// When the checkpoint does not fit the recipe, or a row is not in the dataset.
    pub fn evaluate_float(&self, dataset: &Dataset, rows: &[usize]) -> Result<Vec<Vec<f32>>> {
        let (network, device) = self.network(dataset, rows)?;
        let outputs = training::outputs(&network, &self.examples(dataset), rows, &device);
        Ok(match &self.checkpoint.target {
            Some(target) => outputs.iter().map(|values| target.undo(values)).collect(),
            None => outputs,
        })
    }

    /// What the head, the last dense layer, takes for rows of a dataset.
    ///
    /// # Errors
    /// As [`Self::evaluate_float`].
    pub fn features_float(&self, dataset: &Dataset, rows: &[usize]) -> Result<Vec<Vec<f32>>> {
        let (network, device) = self.network(dataset, rows)?;
        Ok(training::features(&network, &self.examples(dataset), rows, &device))
    }

    /// The head's weights as a device keeps them, `[outputs][features]`, and its bias (zeros without one).
    ///
    /// # Errors
    /// When the checkpoint does not fit the recipe.
    pub fn head(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let dense = |layer: &&Layer| matches!(layer.operation, Operation::Dense { .. });
        let layer = self.architecture.layers.iter().rev().find(dense).context("the network has no dense layer")?;
        let checkpoint = crate::graph::in_real_units(&self.architecture, &self.checkpoint)?;
        let weight = checkpoint
            .weights
            .get(&format!("{}.weight", layer.name))
            .with_context(|| format!("the checkpoint has no weights of {}", layer.name))?;
        let outputs = layer.output.channels();
        let weights = (0..outputs).flat_map(|output| weight.values.iter().skip(output).step_by(outputs)).copied();
        let bias = checkpoint.weights.get(&format!("{}.bias", layer.name));
        Ok((weights.collect(), bias.map_or_else(|| vec![0.0; outputs], |bias| bias.values.clone())))
    }

    fn network(&self, dataset: &Dataset, rows: &[usize]) -> Result<(Network, Device)> {
        if let Some(row) = rows.iter().find(|&&row| row >= dataset.rows.len()) {
            anyhow::bail!("row {row} is not in dataset {}, which has {}", dataset.name, dataset.rows.len());
        }
        let device = Device::flex();
        Ok((Network::with_weights(&self.architecture, &self.checkpoint.weights, &device)?, device))
    }

    /// Training rows to calibrate a quantization with, drawn with the recipe's seed.
    pub fn calibration_rows(&self, dataset: &Dataset) -> Vec<usize> {
        let mut rows = dataset.split(Split::Train);
        rows.shuffle(&mut stream(self.recipe.training.seed, Purpose::Calibration));
        rows.truncate(self.recipe.quantization.calibration_samples);
        rows
    }

    fn examples(&self, dataset: &Dataset) -> Examples {
        Examples::new(dataset, &self.checkpoint.input, self.checkpoint.side.as_ref(), self.checkpoint.target.as_ref())
    }

    fn measure(&mut self, dataset: &Dataset) -> Result<()> {
        match self.recipe.task() {
            Task::Classification => self.measure_classifier(dataset),
            Task::Reconstruction => self.measure_autoencoder(dataset),
            Task::Regression => self.measure_regression(dataset),
        }
    }

    fn measure_classifier(&mut self, dataset: &Dataset) -> Result<()> {
        for split in [Split::Train, Split::Val, Split::Test] {
            let rows = dataset.split(split);
            if rows.is_empty() {
                continue;
            }
            let logits = self.evaluate_float(dataset, &rows)?;
            self.record.scores.push(SplitScores { split, scores: training::score(dataset, &rows, &logits, |_| 1.0) });
            if split == Split::Train {
                continue;
            }
            let right = |&place: &usize| crate::metrics::argmax(&logits[place]) == dataset.rows[rows[place]].label;
            let trained = dataset.subjects(Split::Train);
            for subject in dataset.subjects(split) {
                let places: Vec<usize> =
                    (0..rows.len()).filter(|&place| dataset.rows[rows[place]].subject == subject).collect();
                let eval: Vec<usize> =
                    places.iter().copied().filter(|&place| dataset.rows[rows[place]].role == Role::Eval).collect();
                let share = |places: &[usize]| {
                    places.iter().filter(|place| right(place)).count() as f64 / places.len().max(1) as f64
                };
                self.record.subjects.push(SubjectScores {
                    split,
                    in_training: trained.contains(&subject),
                    rows: places.len(),
                    accuracy: share(&places),
                    eval_accuracy: (!eval.is_empty()).then(|| share(&eval)),
                    subject,
                });
            }
        }
        Ok(())
    }

    fn measure_regression(&mut self, dataset: &Dataset) -> Result<()> {
        for split in [Split::Train, Split::Val, Split::Test] {
            let rows = dataset.split(split);
            if rows.is_empty() {
                continue;
            }
            let outputs = self.evaluate_float(dataset, &rows)?;
            for (index, target) in self.record.dataset.targets.iter().enumerate() {
                let pairs = outputs.iter().zip(&rows).filter_map(|(output, row)| {
                    Some((f64::from(*output.get(index)?), f64::from(*dataset.target(*row).get(index)?)))
                });
                let (predicted, wanted): (Vec<f64>, Vec<f64>) = pairs.unzip();
                let errors = RegressionErrors::new(&predicted, &wanted);
                let pairs = predicted.into_iter().zip(wanted).collect();
                self.record.regression.push(RegressionScores {
                    split,
                    target: target.clone(),
                    root_mean_squared_error: errors.root_mean_squared,
                    mean_absolute_error: errors.mean_absolute,
                    r_squared: errors.r_squared,
                    pairs,
                });
            }
        }
        Ok(())
    }

    fn measure_autoencoder(&mut self, dataset: &Dataset) -> Result<()> {
        let normal = self.recipe.dataset.normal();
        let is_normal = |row: usize| normal.is_empty() || normal.contains(&dataset.classes[dataset.rows[row].label]);
        let (network, device) = self.network(dataset, &[])?;
        let examples = self.examples(dataset);
        let errors_of = |split: Split| -> Vec<(f64, bool)> {
            let rows = dataset.split(split);
            let errors = training::squared_errors(&network, &examples, &rows, &device);
            errors.into_iter().zip(rows.iter().map(|&row| !is_normal(row))).collect()
        };
        let area = |errors: &[(f64, bool)]| {
            let (errors, anomalous): (Vec<f64>, Vec<bool>) = errors.iter().copied().unzip();
            area_under_curve(&errors, &anomalous)
        };
        let (val, test) = (errors_of(Split::Val), errors_of(Split::Test));
        let mut normal_errors: Vec<f64> =
            val.iter().filter(|(_, anomalous)| !anomalous).map(|(error, _)| *error).collect();
        normal_errors.sort_by(f64::total_cmp);
        let last = normal_errors.last().copied().unwrap_or_default();
        self.record.anomalies = Some(Anomalies {
            val_error: normal_errors.iter().sum::<f64>() / normal_errors.len().max(1) as f64,
            threshold: normal_errors.get(normal_errors.len() * 95 / 100).copied().unwrap_or(last),
            val_area_under_curve: area(&val),
            area_under_curve: area(&test),
            test,
        });
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
        };
        write("recipe.toml", self.recipe.source.text())?;
        self.checkpoint.save(&self.folder.join("checkpoint.safetensors"))?;
        write("metrics.csv", &metrics_table(&self.record.history)?)?;
        write("training.json", &serde_json::to_string_pretty(&self.record)?)
    }
}

/// One line an epoch; what does not apply stays empty.
fn metrics_table(history: &[Epoch]) -> Result<String> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for epoch in history {
        table.serialize(epoch)?;
    }
    Ok(String::from_utf8(table.into_inner().context("can't make metrics.csv")?)?)
}
