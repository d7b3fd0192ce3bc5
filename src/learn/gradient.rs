//! The gradient of a mini-batch's mean loss with respect to the head.

use super::error::{LearnError, Part, check_finite, check_length};
use super::head::{DenseHead, HeadShape};
use super::loss::{Loss, Target};

/// Sums the gradient sample by sample, then takes the mean.
///
/// The sum runs in the order the samples are added.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gradient<'a> {
    shape: HeadShape,
    values: &'a mut [f32],
    outputs: &'a mut [f32],
    loss: f32,
    samples: u16,
}

impl<'a> Gradient<'a> {
    /// A gradient for heads of this shape, in buffers of `shape.parameters()` and `shape.classes`
    /// elements.
    ///
    /// # Errors
    /// [`LearnError::WrongLength`].
    pub fn new(shape: HeadShape, values: &'a mut [f32], outputs: &'a mut [f32]) -> Result<Self, LearnError> {
        check_length(Part::Gradient, shape.parameters(), values.len())?;
        check_length(Part::Outputs, shape.classes, outputs.len())?;
        Ok(Self { shape, values, outputs, loss: 0.0, samples: 0 })
    }

    /// Adds one sample to the mini-batch and returns its loss. The first sample after
    /// [`finish`](Self::finish) begins a new one.
    ///
    /// # Errors
    /// [`LearnError::ShapeMismatch`] if the head is not the gradient's; of the features
    /// [`LearnError::WrongLength`] and [`LearnError::NotFinite`]; those of
    /// [`Loss::differentiate`]; [`LearnError::TooLarge`] after 65535 samples. The mini-batch is
    /// unchanged then.
    pub fn add(
        &mut self,
        head: &DenseHead<'_>,
        loss: Loss,
        features: &[f32],
        target: Target<'_>,
    ) -> Result<f32, LearnError> {
        let sample_loss = self.evaluate(head, loss, features, target)?;
        let samples = self.samples.checked_add(1).ok_or(LearnError::TooLarge {
            dimension: "samples",
            need: usize::from(u16::MAX) + 1,
            have: usize::from(u16::MAX),
        })?;
        if self.samples == 0 {
            self.values.fill(0.0);
            self.loss = 0.0;
        }
        self.samples = samples;
        self.loss += sample_loss;
        // The outputs now hold the slopes of the loss: a weight gets slope * feature, a bias the slope.
        // `zip` asks its left side first: with the gradient there, each row would lose an element.
        let mut values = self.values.iter_mut();
        for slope in self.outputs.iter() {
            for (feature, value) in features.iter().zip(values.by_ref()) {
                *value += slope * feature;
            }
        }
        for (slope, value) in self.outputs.iter().zip(values) {
            *value += slope;
        }
        Ok(sample_loss)
    }

    /// The loss of one sample, which is not added to the mini-batch.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn evaluate(
        &mut self,
        head: &DenseHead<'_>,
        loss: Loss,
        features: &[f32],
        target: Target<'_>,
    ) -> Result<f32, LearnError> {
        let shape = head.shape();
        for (dimension, head, given) in
            [("classes", shape.classes, self.shape.classes), ("features", shape.features, self.shape.features)]
        {
            if head != given {
                return Err(LearnError::ShapeMismatch { dimension, head, given });
            }
        }
        head.logits(features, self.outputs)?;
        check_finite(Part::Features, features)?;
        loss.differentiate(self.outputs, target)
    }

    /// Divides by the number of samples and returns the mean loss;
    /// [`values`](Self::values) is the gradient from now on.
    ///
    /// # Errors
    /// [`LearnError::NoSamples`] if none was added.
    pub fn finish(&mut self) -> Result<f32, LearnError> {
        if self.samples == 0 {
            return Err(LearnError::NoSamples);
        }
        let scale = 1.0 / f32::from(self.samples);
        for value in self.values.iter_mut() {
            *value *= scale;
        }
        self.samples = 0;
        Ok(self.loss * scale)
    }

    /// The gradient, in the order of [`DenseHead::parameters`].
    pub fn values(&self) -> &[f32] {
        self.values
    }

    /// The gradient, to add what is not a function of the samples (a penalty on the parameters).
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: HeadShape = HeadShape { classes: 2, features: 3 };

    #[test]
    fn mean_gradient_has_weights_then_bias() {
        let (mut weights, mut bias) = ([0.0; 6], [0.0; 2]);
        let head = DenseHead::new(3, &mut weights, &mut bias).unwrap();
        let (mut values, mut outputs) = ([f32::NAN; 8], [f32::NAN; 2]);
        let mut gradient = Gradient::new(SHAPE, &mut values, &mut outputs).unwrap();
        // All logits are 0, so the slopes of the squared error are 2 (0 - t) / 2 = -t.
        for _ in 0..2 {
            gradient.add(&head, Loss::MeanSquaredError, &[1.0, 2.0, 4.0], Target::Class(0)).unwrap();
            gradient.add(&head, Loss::MeanSquaredError, &[8.0, 16.0, 32.0], Target::Values(&[0.0, 3.0])).unwrap();
            assert_eq!(gradient.finish(), Ok(2.5)); // (1 + 9) / 2 / 2
            assert_eq!(gradient.values(), [-0.5, -1.0, -2.0, -12.0, -24.0, -48.0, -0.5, -1.5]);
        }
        assert_eq!(gradient.finish(), Err(LearnError::NoSamples));
    }

    #[test]
    fn a_refused_sample_leaves_the_mini_batch_alone() {
        let (mut weights, mut bias) = ([0.0; 6], [0.0; 2]);
        let head = DenseHead::new(3, &mut weights, &mut bias).unwrap();
        let (mut values, mut outputs) = ([0.0; 8], [0.0; 2]);
        let mut gradient = Gradient::new(SHAPE, &mut values, &mut outputs).unwrap();
        gradient.add(&head, Loss::MeanSquaredError, &[1.0, 2.0, 4.0], Target::Class(1)).unwrap();
        for (features, target, error) in [
            (&[1.0, f32::NAN, 0.0][..], Target::Class(0), LearnError::NotFinite { part: Part::Features, index: 1 }),
            (&[f32::INFINITY; 3], Target::Class(0), LearnError::NotFinite { part: Part::Features, index: 0 }),
            (&[0.0; 2], Target::Class(0), LearnError::WrongLength { part: Part::Features, need: 3, have: 2 }),
            (&[0.0; 3], Target::Class(2), LearnError::LabelOutOfRange { label: 2, classes: 2 }),
        ] {
            assert_eq!(gradient.add(&head, Loss::MeanSquaredError, features, target), Err(error));
        }
        assert_eq!(gradient.finish(), Ok(0.5));
        assert_eq!(gradient.values(), [0.0, 0.0, 0.0, -1.0, -2.0, -4.0, 0.0, -1.0]);
    }

    #[test]
    fn buffers_and_heads_of_other_shapes_are_refused() {
        assert_eq!(
            Gradient::new(SHAPE, &mut [0.0; 7], &mut [0.0; 2]).err(),
            Some(LearnError::WrongLength { part: Part::Gradient, need: 8, have: 7 })
        );
        let (mut values, mut outputs) = ([0.0; 8], [0.0; 2]);
        let mut gradient = Gradient::new(SHAPE, &mut values, &mut outputs).unwrap();
        let (mut weights, mut bias) = ([0.0; 3], [0.0; 1]);
        let head = DenseHead::new(3, &mut weights, &mut bias).unwrap();
        assert_eq!(
            gradient.add(&head, Loss::CrossEntropy, &[0.0; 3], Target::Class(0)),
            Err(LearnError::ShapeMismatch { dimension: "classes", head: 1, given: 2 })
        );
    }
}
