//! What a run remembers of its dataset, so that its network can be rebuilt and reported without the data.

use serde::{Deserialize, Serialize};

use super::{Dataset, Split};

/// A dataset without its values.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Facts {
    /// The recipe's name for it.
    pub name: String,
    /// Whether no sensor ever measured it.
    pub simulated: bool,
    /// A sentence on where it comes from.
    pub origin: String,
    /// Height, width and channels of an example.
    pub shape: [usize; 3],
    /// Names of the channels; empty when unknown.
    pub channels: Vec<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Name and width of the side input.
    pub side: Option<(String, usize)>,
    /// Whether examples have different lengths.
    #[serde(default)]
    pub lengths: bool,
    /// Names of what a regression predicts.
    #[serde(default)]
    pub targets: Vec<String>,
    /// The splits that have rows.
    pub splits: Vec<SplitFacts>,
}

/// What a split consists of.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SplitFacts {
    /// Which one.
    pub split: Split,
    /// Its examples.
    pub rows: usize,
    /// Whom they are from; 0 when unknown.
    pub subjects: usize,
    /// Examples of each class.
    pub counts: Vec<usize>,
}

impl Facts {
    /// The number of values in an example.
    pub fn example_len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Dataset {
    /// What a run remembers.
    pub fn facts(&self) -> Facts {
        let splits = [Split::Train, Split::Val, Split::Test].into_iter().map(|split| SplitFacts {
            split,
            rows: self.split(split).len(),
            subjects: self.subjects(split).len(),
            counts: self.counts(split),
        });
        Facts {
            name: self.name.clone(),
            simulated: self.simulated,
            origin: self.origin.clone(),
            shape: self.shape,
            channels: self.channels.clone(),
            classes: self.classes.clone(),
            side: self.side.as_ref().map(|side| (side.name.clone(), side.width)),
            lengths: self.lengths.is_some(),
            targets: self.targets.as_ref().map_or_else(Vec::new, |targets| targets.names.clone()),
            splits: splits.filter(|split| split.rows > 0).collect(),
        }
    }
}
