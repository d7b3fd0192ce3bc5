//! Sequences of different lengths in one batch: what is behind a sequence's end counts nowhere.

use burn::tensor::{Device, Tensor, TensorData};

/// How many steps of each example count, at least 1.
#[derive(Clone, Debug)]
pub(crate) struct Lengths(Vec<usize>);

impl Lengths {
    pub(crate) fn new(counts: Vec<usize>) -> Self {
        Self(counts)
    }

    /// `[batch, time]`: 1 where a step counts, 0 elsewhere.
    pub(super) fn mask(&self, time: usize, device: &Device) -> Tensor<2> {
        self.marks(time, device, |step, count| if step < count { 1.0 } else { 0.0 })
    }

    /// `[batch, time]`, to be added to scores: 0 where a step counts, minus infinity elsewhere.
    pub(super) fn hidden(&self, time: usize, device: &Device) -> Tensor<2> {
        self.marks(time, device, |step, count| if step < count { 0.0 } else { f32::NEG_INFINITY })
    }

    /// `[batch, time]`: 1 at the last step that counts, 0 elsewhere.
    pub(super) fn last(&self, time: usize, device: &Device) -> Tensor<2> {
        self.marks(time, device, |step, count| if step + 1 == count { 1.0 } else { 0.0 })
    }

    /// `[batch, time]`: the reciprocal of the length where a step counts, 0 elsewhere.
    pub(super) fn shares(&self, time: usize, device: &Device) -> Tensor<2> {
        self.marks(time, device, |step, count| if step < count { 1.0 / count as f32 } else { 0.0 })
    }

    /// For each step, `[batch, 1]` of 1 and 0, or nothing where the step counts everywhere.
    pub(super) fn of_steps(&self, time: usize, device: &Device) -> Vec<Option<Tensor<2>>> {
        let shortest = self.0.iter().copied().min().unwrap_or(time);
        let mask = self.mask(time, device);
        (0..time).map(|step| (step >= shortest).then(|| mask.clone().narrow(1, step, 1))).collect()
    }

    fn marks(&self, time: usize, device: &Device, mark: impl Fn(usize, usize) -> f32) -> Tensor<2> {
        let values = self.0.iter().flat_map(|count| (0..time).map(|step| mark(step, *count)).collect::<Vec<_>>());
        Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), [self.0.len(), time]), device)
    }
}
