//! Losses: their value and their slope at the outputs of the head.

use super::error::{LearnError, Part, check_finite, check_length};

/// What the head should have answered.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Target<'a> {
    /// The class, as an index; the same as values that are 1 there and 0 elsewhere.
    Class(usize),
    /// One value an output: probabilities for cross-entropy, outputs for the squared error.
    Values(&'a [f32]),
}

impl Target<'_> {
    /// Checks the target against the number of outputs.
    pub(super) fn check(self, classes: usize) -> Result<(), LearnError> {
        match self {
            Self::Class(label) if label < classes => Ok(()),
            Self::Class(label) => Err(LearnError::LabelOutOfRange { label, classes }),
            Self::Values(values) => {
                check_length(Part::Target, classes, values.len())?;
                check_finite(Part::Target, values)
            }
        }
    }

    fn value(self, output: usize) -> f32 {
        match self {
            Self::Class(label) => f32::from(u8::from(label == output)),
            Self::Values(values) => values.get(output).copied().unwrap_or(0.0),
        }
    }
}

/// The loss of one sample. Over a mini-batch the mean is taken, as PyTorch's `CrossEntropyLoss`
/// and `MSELoss` do by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Loss {
    /// Cross-entropy of the softmax of the outputs: `-sum t ln softmax(z)`.
    #[default]
    CrossEntropy,
    /// Squared error, the mean over the outputs.
    MeanSquaredError,
}

impl Loss {
    /// Returns the loss of one sample and turns its outputs into the gradient of the loss with
    /// respect to them. Sums run in ascending order of the output.
    ///
    /// # Errors
    /// [`LearnError::LabelOutOfRange`], or [`LearnError::WrongLength`] and
    /// [`LearnError::NotFinite`] of target values. Outputs that are not finite are not refused:
    /// the loss is then not finite either.
    pub fn differentiate(self, outputs: &mut [f32], target: Target<'_>) -> Result<f32, LearnError> {
        target.check(outputs.len())?;
        Ok(match self {
            Self::CrossEntropy => cross_entropy(outputs, target),
            Self::MeanSquaredError => mean_squared_error(outputs, target),
        })
    }
}

/// With `shifted = z - max z`: `loss = sum t (ln(sum exp shifted) - shifted)` can't overflow, and
/// its slope is `softmax(z) sum t - t`.
fn cross_entropy(outputs: &mut [f32], target: Target<'_>) -> f32 {
    let largest = outputs.iter().fold(f32::NEG_INFINITY, |largest, z| largest.max(*z));
    let mut exponentials = 0.0;
    for z in outputs.iter_mut() {
        *z -= largest;
        exponentials += libm::expf(*z);
    }
    let normaliser = libm::logf(exponentials);
    let (mut loss, mut weight) = (0.0, 0.0);
    for (index, shifted) in outputs.iter().enumerate() {
        let wanted = target.value(index);
        loss += wanted * (normaliser - shifted);
        weight += wanted;
    }
    for (index, z) in outputs.iter_mut().enumerate() {
        *z = libm::expf(*z - normaliser) * weight - target.value(index);
    }
    loss
}

fn mean_squared_error(outputs: &mut [f32], target: Target<'_>) -> f32 {
    let scale = 1.0 / outputs.len() as f32;
    let mut sum = 0.0;
    for (index, z) in outputs.iter_mut().enumerate() {
        let difference = *z - target.value(index);
        sum += difference * difference;
        *z = 2.0 * scale * difference;
    }
    scale * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss in f64, to take numeric slopes of.
    fn exact(loss: Loss, outputs: &[f64], target: Target<'_>) -> f64 {
        let wanted = |i| f64::from(target.value(i));
        match loss {
            Loss::CrossEntropy => {
                let sum: f64 = outputs.iter().map(|z| libm::exp(*z)).sum();
                outputs.iter().enumerate().map(|(i, z)| wanted(i) * (libm::log(sum) - z)).sum()
            }
            Loss::MeanSquaredError => {
                let squares = outputs.iter().enumerate().map(|(i, z)| (z - wanted(i)).powi(2));
                squares.sum::<f64>() / outputs.len() as f64
            }
        }
    }

    #[test]
    fn value_and_slope_equal_the_exact_ones() {
        let outputs = [0.3_f32, -1.2, 2.5, 0.0];
        let soft = [0.1, 0.2, 0.6, 0.1];
        for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
            for target in [Target::Class(0), Target::Class(2), Target::Values(&soft)] {
                let mut slopes = outputs;
                let value = loss.differentiate(&mut slopes, target).unwrap();
                let exact_outputs = outputs.map(f64::from);
                let difference = f64::from(value) - exact(loss, &exact_outputs, target);
                assert!(difference.abs() < 1e-6, "{loss:?} {target:?}: {difference}");
                for (i, slope) in slopes.iter().enumerate() {
                    let (mut up, mut down) = (exact_outputs, exact_outputs);
                    up[i] += 1e-5;
                    down[i] -= 1e-5;
                    let numeric = (exact(loss, &up, target) - exact(loss, &down, target)) / 2e-5;
                    assert!((f64::from(*slope) - numeric).abs() < 1e-6, "{loss:?} {target:?}");
                }
            }
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut outputs = [1e4, -1e4, 0.0];
        let loss = Loss::CrossEntropy.differentiate(&mut outputs, Target::Class(2)).unwrap();
        assert_eq!(loss, 1e4);
        assert_eq!(outputs, [1.0, 0.0, -1.0]);
    }

    #[test]
    fn bad_targets_are_named() {
        let mut outputs = [0.0; 3];
        for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
            assert_eq!(
                loss.differentiate(&mut outputs, Target::Class(3)),
                Err(LearnError::LabelOutOfRange { label: 3, classes: 3 })
            );
            assert_eq!(
                loss.differentiate(&mut outputs, Target::Values(&[0.0; 2])),
                Err(LearnError::WrongLength { part: Part::Target, need: 3, have: 2 })
            );
            assert_eq!(
                loss.differentiate(&mut outputs, Target::Values(&[0.0, f32::NAN, 0.0])),
                Err(LearnError::NotFinite { part: Part::Target, index: 1 })
            );
        }
    }
}
