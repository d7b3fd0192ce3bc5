//! The recipe: one TOML file that says which data, which network and which training.
//!
//! Every table refuses keys it does not know, and every error names the file, the line and the key. A recipe that
//! parses is then checked twice: on its own here ([`Recipe::load`]), and against the shapes of its dataset in
//! [`crate::architecture`].

mod audio;
mod dataset;
mod extent;
mod layer;
mod sequence;
mod source;
mod training;

pub use audio::{AudioFeatures, AudioFolderSpec, SpectrumKind};
pub use dataset::{ArrayFolderSpec, CsvSpec, DatasetSpec, Fractions, GesturesSpec, SplitBy, WindowSpec};
pub use extent::{Extent, Padding};
pub use layer::{LayerSpec, PositionValues};
pub use sequence::{EncoderActivation, EncoderSpec, RecurrentOutput, RecurrentSpec, RnnActivation};
pub use source::Source;
pub use training::{
    AugmentationSpec, ClassWeighting, ClassWeights, EarlyStopping, Initializer, Loss, Monitor, OptimizerKind,
    QuantizationSpec, Schedule, TrainingSpec,
};

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A whole recipe.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the run is called in its report; the file's name when left out.
    #[serde(default)]
    pub name: String,
    /// A sentence for the report.
    #[serde(default)]
    pub description: String,
    /// Where the examples come from.
    pub dataset: DatasetSpec,
    /// What the network sees of an example.
    #[serde(default)]
    pub input: InputSpec,
    /// The network, from the input to the logits.
    pub layers: Vec<LayerSpec>,
    /// How it is trained.
    #[serde(default)]
    pub training: TrainingSpec,
    /// Random changes to each training example.
    #[serde(default)]
    pub augmentation: AugmentationSpec,
    /// What the export needs to know.
    #[serde(default)]
    pub quantization: QuantizationSpec,
    /// The file this recipe was read from.
    #[serde(skip)]
    pub source: Source,
}

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Scores for classes.
    Classification,
    /// The input again: an autoencoder.
    Reconstruction,
    /// Values that the dataset names.
    Regression,
}

/// What the network sees of an example.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputSpec {
    /// `[time, channels]` or `[height, width, channels]`; checked against the dataset. Left out: whatever the dataset has.
    pub shape: Option<Vec<usize>>,
    /// How values are scaled before the first layer.
    pub normalization: NormalizationKind,
    /// A second, small input that [`LayerSpec::Concatenate`] joins to the features.
    pub side: Option<SideSpec>,
}

/// How values are scaled before the first layer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum NormalizationKind {
    /// Zero mean and unit variance of each channel, measured on the training split.
    #[default]
    PerChannel,
    /// Values reach the network as they are.
    None,
}

/// A second input of a few values an example, such as the intervals around a heart beat.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SideSpec {
    /// Its array in the dataset's folder, `[rows, values]`.
    pub file: String,
    /// Dense layers and activations it passes before it is concatenated.
    #[serde(default)]
    pub layers: Vec<LayerSpec>,
}

impl Recipe {
    /// What the network is for, by its loss and its dataset.
    pub fn task(&self) -> Task {
        match self.training.loss {
            Loss::CrossEntropy => Task::Classification,
            Loss::Mse if self.dataset.targets().is_empty() => Task::Reconstruction,
            Loss::Mse => Task::Regression,
        }
    }

    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// What is wrong, in which file, at which line and key.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_source(Source::read(path)?)
    }

    /// Parses and checks a recipe from its text; `path` is only named in errors, and is what relative paths start from.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        Self::from_source(Source::new(path, text))
    }

    fn from_source(source: Source) -> Result<Self> {
        let mut recipe: Self = source.deserialize()?;
        if recipe.name.is_empty() {
            recipe.name = source.stem();
        }
        recipe.source = source;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<()> {
        let source = &self.source;
        self.dataset.check(source)?;
        if let Some(shape) = &self.input.shape
            && (!matches!(shape.len(), 2 | 3) || shape.contains(&0))
        {
            return Err(source.error(
                &["input", "shape"],
                format!("must be [time, channels] or [height, width, channels], all above zero; is {shape:?}"),
            ));
        }
        if self.layers.is_empty() {
            return Err(source.error(&["layers"], "a network needs at least one [[layers]] table".into()));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check().map_err(|message| source.layer_error(index, layer.kind(), &message))?;
        }
        if let Some(side) = &self.input.side {
            for layer in &side.layers {
                if !matches!(layer, LayerSpec::Dense { .. }) && !layer.is_activation() {
                    let message = format!("only dense layers and activations can stand here, not {}", layer.kind());
                    return Err(source.error(&["input", "side", "layers"], message));
                }
                layer.check().map_err(|message| source.error(&["input", "side", "layers"], message))?;
            }
        }
        if self.training.loss != Loss::Mse && !self.dataset.targets().is_empty() {
            return Err(source.error(&["training", "loss"], "must be \"mse\" for a dataset with targets".into()));
        }
        self.training.check(source)?;
        self.augmentation.check(source)?;
        self.quantization.check(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[dataset]
kind = "gestures"

[[layers]]
kind = "flatten"
[[layers]]
kind = "dense"

[training]
epochs = 2
"#;

    fn error_of(text: &str) -> String {
        format!("{:#}", Recipe::parse(Path::new("demo.toml"), text).unwrap_err())
    }

    #[test]
    fn a_small_recipe_parses_and_is_named_after_its_file() {
        let recipe = Recipe::parse(Path::new("some/demo.toml"), GOOD).unwrap();
        assert_eq!(recipe.name, "demo");
        assert_eq!(recipe.training.epochs, 2);
        assert_eq!(recipe.layers.len(), 2);
    }

    #[test]
    fn an_unknown_key_is_named_with_file_and_line() {
        let error = error_of(&GOOD.replace("epochs = 2", "epoch = 2"));
        assert!(error.contains("demo.toml:11") && error.contains("epoch"), "{error}");
    }

    #[test]
    fn an_unknown_key_of_a_layer_is_named_with_its_line() {
        let error = error_of(&GOOD.replace("kind = \"dense\"", "kind = \"dense\"\nunit = 3"));
        assert!(error.contains("demo.toml:7") && error.contains("unit"), "{error}");
    }

    #[test]
    fn an_unknown_layer_lists_the_known_ones() {
        let error = error_of(&GOOD.replace("\"flatten\"", "\"flaten\""));
        assert!(error.contains("flaten") && error.contains("global_average_pool"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_refused_at_their_line() {
        for (key, value) in [("epochs", "0"), ("batch_size", "0"), ("learning_rate", "-0.1"), ("weight_decay", "-1.0")]
        {
            let error = error_of(&GOOD.replace("epochs = 2", &format!("{key} = {value}")));
            assert!(error.contains("demo.toml:11") && error.contains(&format!("training.{key}")), "{error}");
        }
        let error = error_of(&GOOD.replace("kind = \"dense\"", "kind = \"dropout\"\nrate = 1.5"));
        assert!(error.contains("layer 1 (dropout)") && error.contains("rate"), "{error}");
    }

    #[test]
    fn a_network_without_layers_is_refused() {
        let error = error_of("layers = []\n[dataset]\nkind = \"gestures\"\n");
        assert!(error.contains("at least one"), "{error}");
    }
}
