//! Normalized examples in the order burn computes in, and batches of them.

use burn::tensor::{Device, Tensor, TensorData};

use super::augmentation::augment;
use crate::dataset::{Dataset, Normalization, Split};
use crate::network::{Batch, Lengths, Signal};
use crate::random::Generator;
use crate::recipe::{AugmentationSpec, NormalizationKind, Recipe};

/// All examples of a dataset, normalized once.
#[derive(Clone, Debug)]
pub(crate) struct Examples {
    /// Channel planes of each example: row, channel, height, width.
    inputs: Vec<f32>,
    side: Vec<f32>,
    side_width: usize,
    /// What a regression predicts, normalized.
    targets: Vec<f32>,
    target_width: usize,
    /// How many steps of each example count; without any, all.
    lengths: Vec<usize>,
    shape: [usize; 3],
}

/// The statistics of the training split, as the recipe asks.
pub(crate) fn measure(recipe: &Recipe, dataset: &Dataset) -> (Normalization, Option<Normalization>) {
    let rows = dataset.split(Split::Train);
    let [_, _, channels] = dataset.shape;
    match recipe.input.normalization {
        NormalizationKind::PerChannel => (
            Normalization::measure(rows.iter().map(|row| dataset.steps(*row)), channels),
            dataset
                .side
                .as_ref()
                .map(|side| Normalization::measure(rows.iter().map(|row| dataset.side_example(*row)), side.width)),
        ),
        NormalizationKind::None => {
            (Normalization::identity(channels), dataset.side.as_ref().map(|side| Normalization::identity(side.width)))
        }
    }
}

impl Examples {
    pub(crate) fn new(
        dataset: &Dataset,
        input: &Normalization,
        side: Option<&Normalization>,
        target: Option<&Normalization>,
    ) -> Self {
        let [height, width, channels] = dataset.shape;
        let normalized = input.apply(&dataset.values);
        let mut inputs = Vec::with_capacity(normalized.len());
        for example in normalized.chunks_exact(height * width * channels) {
            for channel in 0..channels {
                inputs.extend(example.iter().skip(channel).step_by(channels));
            }
        }
        let (side, side_width) = match (&dataset.side, side) {
            (Some(values), Some(normalization)) => (normalization.apply(&values.values), values.width),
            _ => (Vec::new(), 0),
        };
        let (targets, target_width) = match (&dataset.targets, target) {
            (Some(targets), Some(normalization)) => (normalization.apply(&targets.values), targets.names.len()),
            _ => (Vec::new(), 0),
        };
        let lengths = dataset.lengths.iter().flatten().map(|length| *length as usize).collect();
        Self { inputs, side, side_width, targets, target_width, lengths, shape: dataset.shape }
    }

    /// What is wanted of the output, `[batch, value]`: the targets, or without any the inputs themselves.
    pub(crate) fn wanted(&self, rows: &[usize], device: &Device) -> Tensor<2> {
        let width = self.target_width;
        if width == 0 {
            return Signal::Map(self.batch(rows, None, device).input).into_vector();
        }
        let values: Vec<f32> =
            rows.iter().flat_map(|&row| &self.targets[row * width..(row + 1) * width]).copied().collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), width]), device)
    }

    /// Tensors for rows, changed at random when an augmentation is given.
    pub(crate) fn batch(
        &self,
        rows: &[usize],
        augmentation: Option<(&AugmentationSpec, &mut Generator)>,
        device: &Device,
    ) -> Batch {
        let [height, width, channels] = self.shape;
        let length = height * width * channels;
        let mut values = Vec::with_capacity(rows.len() * length);
        for &row in rows {
            values.extend_from_slice(&self.inputs[row * length..(row + 1) * length]);
        }
        if let Some((spec, random)) = augmentation {
            for example in values.chunks_exact_mut(length) {
                augment(example, [height, width], spec, random);
            }
        }
        let input = Tensor::from_data(TensorData::new(values, [rows.len(), channels, height, width]), device);
        let side = (self.side_width > 0).then(|| {
            let width = self.side_width;
            let values: Vec<f32> =
                rows.iter().flat_map(|&row| self.side[row * width..(row + 1) * width].to_vec()).collect();
            Tensor::from_data(TensorData::new(values, [rows.len(), width]), device)
        });
        let lengths = (!self.lengths.is_empty()).then(|| rows.iter().map(|row| self.lengths[*row]).collect());
        Batch { input, side, lengths: lengths.map(Lengths::new) }
    }
}
