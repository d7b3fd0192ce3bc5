//! Labelled examples with their splits, in real values and the order the device sees them (height, width, channel).

mod array_folder;
mod audio_folder;
mod csv_table;
mod description;
mod facts;
pub mod gestures;
mod manifest;
mod normalization;

pub use facts::{Facts, SplitFacts};
pub use normalization::Normalization;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::recipe::{ArrayFolderSpec, DatasetSpec, Recipe};

/// Which part of training an example serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Gradients.
    Train,
    /// Choosing the epoch.
    Val,
    /// The final figures.
    Test,
}

/// What a device that learns from a subject may do with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Learn from it.
    Adapt,
    /// Be measured on it.
    Eval,
    /// The dataset doesn't say.
    Unspecified,
}

/// What is known of an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its split.
    pub split: Split,
    /// Whom or what it is from; empty when the dataset doesn't say.
    pub subject: String,
    /// Index into [`Dataset::classes`].
    pub label: usize,
    /// Its role for learning on the device.
    pub role: Role,
}

/// Values that accompany each example.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// The file it came from, without ending.
    pub name: String,
    /// Values an example.
    pub width: usize,
    /// `rows * width` values.
    pub values: Vec<f32>,
}

/// What a regression predicts.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// One name for each value of an example.
    pub names: Vec<String>,
    /// `rows * names` values.
    pub values: Vec<f32>,
}

/// A dataset in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The recipe's name for it.
    pub name: String,
    /// Whether no sensor ever measured it.
    pub simulated: bool,
    /// A sentence on where it comes from, for reports.
    pub origin: String,
    /// Height, width and channels of an example; a sequence has height 1 and its time along the width.
    pub shape: [usize; 3],
    /// Names of the channels; empty when unknown.
    pub channels: Vec<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// All examples, `rows * height * width * channels` values.
    pub values: Vec<f32>,
    /// The second input, where the recipe names one.
    pub side: Option<Side>,
    /// How many steps of each example count, a whole number from 1 on, as a model takes it; without, all do. The steps behind
    /// repeat the last that counts.
    pub lengths: Option<Vec<f32>>,
    /// What a regression predicts.
    pub targets: Option<Targets>,
    /// What is known of each example.
    pub rows: Vec<Row>,
}

impl Dataset {
    /// Loads what the recipe names. `data` stands for the data folder, or for the dataset's own folder; when it is
    /// left out the environment's `NERVELET_DATA` is taken, else `../shared/data`.
    ///
    /// # Errors
    /// What is missing or wrong, in which file and row.
    pub fn load(recipe: &Recipe, data: Option<&Path>) -> Result<Self> {
        let side = recipe.input.side.as_ref().map(|side| side.file.as_str());
        let mut dataset = match &recipe.dataset {
            DatasetSpec::ArrayFolder(spec) => {
                let folder = folder(recipe, &spec.name, spec.path.as_deref(), data)?;
                array_folder::load(spec, &folder, side)?
            }
            DatasetSpec::AudioFolder(spec) => {
                ensure!(side.is_none(), "input.side needs a dataset of kind \"array-folder\"");
                audio_folder::load(spec, &folder(recipe, &spec.name, spec.path.as_deref(), data)?)?
            }
            DatasetSpec::Csv(spec) => {
                ensure!(side.is_none(), "input.side needs a dataset of kind \"array-folder\"");
                let folder = folder(recipe, &spec.name, spec.path.as_deref(), data)?;
                csv_table::load(spec, &folder, recipe.training.seed)?
            }
            DatasetSpec::Gestures(spec) => {
                ensure!(side.is_none(), "input.side needs a dataset of kind \"array-folder\"");
                gestures::simulate(spec)
            }
        };
        if let Some(shape) = &recipe.input.shape {
            dataset.reshape(shape).map_err(|message| recipe.source.error(&["input", "shape"], message))?;
        }
        dataset.repeat_last_steps();
        dataset.check()?;
        for name in recipe.dataset.normal() {
            if !dataset.classes.contains(name) {
                let message = format!("{name:?} is no class of the dataset; it has {:?}", dataset.classes);
                return Err(recipe.source.error(&["dataset", "normal"], message));
            }
        }
        Ok(dataset)
    }

    /// Loads an array folder without a recipe: `x.npy`, `manifest.csv`, `meta.json` and, where named, the arrays of a
    /// second input and of lengths.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn array_folder(folder: &Path, side: Option<&str>, lengths: Option<&str>) -> Result<Self> {
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into());
        let spec = ArrayFolderSpec { lengths: lengths.map(str::to_owned), ..ArrayFolderSpec::named(name) };
        let mut dataset = array_folder::load(&spec, folder, side)?;
        dataset.repeat_last_steps();
        dataset.check()?;
        Ok(dataset)
    }

    /// Where [`Self::load`] finds the dataset; nothing for one that is made up.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn folder(recipe: &Recipe, data: Option<&Path>) -> Result<Option<PathBuf>> {
        let found = match &recipe.dataset {
            DatasetSpec::ArrayFolder(spec) => folder(recipe, &spec.name, spec.path.as_deref(), data)?,
            DatasetSpec::AudioFolder(spec) => folder(recipe, &spec.name, spec.path.as_deref(), data)?,
            DatasetSpec::Csv(spec) => folder(recipe, &spec.name, spec.path.as_deref(), data)?,
            DatasetSpec::Gestures(_) => return Ok(None),
        };
        Ok(Some(std::path::absolute(&found).unwrap_or(found)))
    }

    /// Values in an example.
    pub fn example_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of an example in the order height, width, channel.
    ///
    /// # Panics
    /// Where `row` is not below the number of rows.
    pub fn example(&self, row: usize) -> &[f32] {
        let length = self.example_len();
        &self.values[row * length..(row + 1) * length]
    }

    /// The values of those steps of an example that count.
    ///
    /// # Panics
    /// Where `row` is not below the number of rows.
    pub fn steps(&self, row: usize) -> &[f32] {
        let example = self.example(row);
        match &self.lengths {
            Some(lengths) => &example[..lengths[row] as usize * self.shape[2]],
            None => example,
        }
    }

    /// What a model takes of an example: the values, the second input, the length, as far as there are any.
    ///
    /// # Panics
    /// Where `row` is not below the number of rows.
    pub fn inputs(&self, row: usize) -> Vec<&[f32]> {
        let side = self.side.as_ref().map(|_| self.side_example(row));
        let length = self.lengths.as_ref().map(|lengths| &lengths[row..=row]);
        [self.example(row)].into_iter().chain(side).chain(length).collect()
    }

    /// The second input of an example; empty without one.
    ///
    /// # Panics
    /// Where `row` is not below the number of rows.
    pub fn side_example(&self, row: usize) -> &[f32] {
        match &self.side {
            Some(side) => &side.values[row * side.width..(row + 1) * side.width],
            None => &[],
        }
    }

    /// What a regression predicts of an example; empty for other tasks.
    ///
    /// # Panics
    /// Where `row` is not below the number of rows.
    pub fn target(&self, row: usize) -> &[f32] {
        match &self.targets {
            Some(targets) => &targets.values[row * targets.names.len()..(row + 1) * targets.names.len()],
            None => &[],
        }
    }

    /// The rows that a condition holds for, in the dataset's order.
    pub fn rows_where(&self, mut condition: impl FnMut(&Row) -> bool) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| condition(&self.rows[row])).collect()
    }

    /// The rows of a split.
    pub fn split(&self, split: Split) -> Vec<usize> {
        self.rows_where(|row| row.split == split)
    }

    /// The subjects of a split, sorted; without the empty name.
    pub fn subjects(&self, split: Split) -> Vec<String> {
        let subjects: BTreeSet<_> = self.rows.iter().filter(|row| row.split == split).map(|row| &row.subject).collect();
        subjects.into_iter().filter(|subject| !subject.is_empty()).cloned().collect()
    }

    /// Examples of each class in a split.
    pub fn counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for row in self.rows.iter().filter(|row| row.split == split) {
            if let Some(count) = counts.get_mut(row.label) {
                *count += 1;
            }
        }
        counts
    }

    /// Takes the recipe's word for how the values of an example lie, where it agrees with their number.
    fn reshape(&mut self, shape: &[usize]) -> Result<(), String> {
        let wanted = match *shape {
            [time, channels] => [1, time, channels],
            [height, width, channels] => [height, width, channels],
            _ => return Err(format!("must have 2 or 3 numbers, is {shape:?}")),
        };
        if wanted.iter().product::<usize>() != self.example_len() {
            return Err(format!("is {shape:?}, but an example of {} has {:?}", self.name, self.shape));
        }
        if wanted[2] != self.shape[2] {
            self.channels.clear();
        }
        self.shape = wanted;
        Ok(())
    }

    /// Fills what is behind the end of a sequence with its last step: values that occur, for those who measure ranges.
    fn repeat_last_steps(&mut self) {
        let (length, channels) = (self.example_len(), self.shape[2]);
        let Some(lengths) = &self.lengths else { return };
        for (example, count) in self.values.chunks_exact_mut(length.max(1)).zip(lengths) {
            let end = (*count as usize).saturating_mul(channels);
            if (channels..length).contains(&end) {
                let last = example[end - channels..end].to_vec();
                example[end..].chunks_exact_mut(channels).for_each(|step| step.copy_from_slice(&last));
            }
        }
    }

    fn check(&self) -> Result<()> {
        let (name, rows) = (&self.name, self.rows.len());
        ensure!(rows > 0, "dataset {name} has no rows");
        ensure!(self.example_len() > 0, "dataset {name}: examples of shape {:?} hold nothing", self.shape);
        ensure!(
            self.values.len() == rows * self.example_len(),
            "dataset {name}: {} values don't make {rows} examples of shape {:?}",
            self.values.len(),
            self.shape
        );
        if let Some(at) = self.values.iter().position(|value| !value.is_finite()) {
            bail!("dataset {name}: row {} holds {}, not a finite number", at / self.example_len(), self.values[at]);
        }
        if let Some(side) = &self.side {
            ensure!(
                side.values.len() == rows * side.width,
                "dataset {name}: {} has {} rows, the examples {rows}",
                side.name,
                side.values.len() / side.width.max(1)
            );
            if let Some(at) = side.values.iter().position(|value| !value.is_finite()) {
                bail!("dataset {name}: {} row {} is not a finite number", side.name, at / side.width.max(1));
            }
        }
        if let Some(lengths) = &self.lengths {
            let [height, time, _] = self.shape;
            ensure!(
                height == 1,
                "dataset {name}: examples of shape {:?} are no sequences and have no lengths",
                self.shape
            );
            ensure!(lengths.len() == rows, "dataset {name}: {} lengths for {rows} examples", lengths.len());
            if let Some(row) =
                lengths.iter().position(|length| !(1.0..=time as f32).contains(length) || length.fract() != 0.0)
            {
                bail!("dataset {name}: row {row} has length {}, not a whole number from 1 to {time}", lengths[row]);
            }
        }
        for (index, row) in self.rows.iter().enumerate() {
            ensure!(
                row.label < self.classes.len() || self.targets.is_some(),
                "dataset {name}: row {index} has label {}, but there are {} classes",
                row.label,
                self.classes.len()
            );
        }
        for split in [Split::Train, Split::Val] {
            ensure!(self.rows.iter().any(|row| row.split == split), "dataset {name} has no row in the split {split:?}");
        }
        Ok(())
    }
}

/// The data folder: the environment's `NERVELET_DATA`, else `../shared/data`.
pub fn data_folder() -> PathBuf {
    std::env::var_os("NERVELET_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from)
}

fn folder(recipe: &Recipe, name: &str, path: Option<&str>, data: Option<&Path>) -> Result<PathBuf> {
    if let Some(data) = data {
        let inside = data.join(name);
        let found = if inside.is_dir() { inside } else { data.to_path_buf() };
        ensure!(found.is_dir(), "there is no data folder {}", found.display());
        return Ok(found);
    }
    if let Some(path) = path {
        let found = recipe.source.folder().join(path);
        return match found.is_dir() {
            true => Ok(found),
            false => Err(recipe.source.error(&["dataset", "path"], format!("there is no folder {}", found.display()))),
        };
    }
    let found = data_folder().join(name);
    ensure!(
        found.is_dir(),
        "dataset {name} is not at {}: give its folder with --data DIR, or set NERVELET_DATA to the folder that holds it",
        found.display()
    );
    Ok(found)
}

/// The split that a table's cell names.
fn parse_split(cell: &str) -> Result<Split> {
    match cell {
        "train" | "training" | "train_normal" => Ok(Split::Train),
        "val" | "valid" | "validation" | "dev" => Ok(Split::Val),
        "test" => Ok(Split::Test),
        _ => bail!("{cell:?} is no split; write train, val or test"),
    }
}

/// Where a column stands in a table's header.
fn column(header: &csv::StringRecord, name: &str, file: &Path) -> Result<usize> {
    header.iter().position(|column| column == name).with_context(|| {
        let columns: Vec<_> = header.iter().collect();
        format!("{} has no column {name:?}; it has {}", file.display(), columns.join(", "))
    })
}
