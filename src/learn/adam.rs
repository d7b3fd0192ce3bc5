//! Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019).

use super::error::{LearnError, Part, check_length, check_setting};
use super::head::DenseHead;
use super::optimizer::Optimizer;

/// Settings of [`Adam`]; the names are PyTorch's (`lr`, `betas`, `eps` spelled out).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdamSettings {
    /// Step length, above 0.
    pub learning_rate: f32,
    /// Decay of the running mean of the gradient, from 0, below 1.
    pub beta1: f32,
    /// Decay of the running mean of the squared gradient, from 0, below 1.
    pub beta2: f32,
    /// Keeps the division finite, above 0.
    pub epsilon: f32,
    /// Strength of the pull towards zero, 0 or more.
    pub weight_decay: f32,
    /// False: the pull is added to the gradient (Adam). True: it shrinks the parameters by
    /// `learning_rate * weight_decay` before the update (AdamW).
    pub decoupled_weight_decay: bool,
}

impl Default for AdamSettings {
    /// PyTorch's defaults for Adam: 0.001, betas 0.9 and 0.999, epsilon 1e-8, no decay.
    fn default() -> Self {
        Self {
            learning_rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decoupled_weight_decay: false,
        }
    }
}

impl AdamSettings {
    /// PyTorch's defaults for AdamW: as Adam's, with a decoupled decay of 0.01.
    pub fn adamw() -> Self {
        Self { weight_decay: 0.01, decoupled_weight_decay: true, ..Self::default() }
    }
}

/// Adam or AdamW, in the order of `torch.optim.Adam` and `torch.optim.AdamW`:
/// `p *= 1 - learning_rate weight_decay` (AdamW) or `g += weight_decay p` (Adam),
/// `m += (1 - beta1)(g - m)`, `v = beta2 v + (1 - beta2) g g`,
/// `p -= learning_rate / c1 * m / (sqrt v / sqrt c2 + epsilon)`.
///
/// The bias corrections `c = 1 - beta^t` are kept as the running mean of ones, `c += (1 - beta)(1 - c)`:
/// in f32 that stays exact where `1 - beta^t` would cancel, and no step counter can overflow.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Adam<'a> {
    settings: AdamSettings,
    mean: &'a mut [f32],
    variance: &'a mut [f32],
    mean_correction: f32,
    variance_correction: f32,
}

impl<'a> Adam<'a> {
    /// An optimizer at rest; `mean` and `variance` hold one value a parameter each.
    ///
    /// # Errors
    /// [`LearnError::InvalidSetting`].
    pub fn new(settings: AdamSettings, mean: &'a mut [f32], variance: &'a mut [f32]) -> Result<Self, LearnError> {
        check_setting("learning_rate", settings.learning_rate, |v| v > 0.0)?;
        check_setting("beta1", settings.beta1, |v| (0.0..1.0).contains(&v))?;
        check_setting("beta2", settings.beta2, |v| (0.0..1.0).contains(&v))?;
        check_setting("epsilon", settings.epsilon, |v| v > 0.0)?;
        check_setting("weight_decay", settings.weight_decay, |v| v >= 0.0)?;
        let mut adam = Self { settings, mean, variance, mean_correction: 0.0, variance_correction: 0.0 };
        adam.reset();
        Ok(adam)
    }
}

impl Optimizer for Adam<'_> {
    fn reset(&mut self) {
        self.mean.fill(0.0);
        self.variance.fill(0.0);
        self.mean_correction = 0.0;
        self.variance_correction = 0.0;
    }

    fn step(&mut self, head: &mut DenseHead<'_>, gradient: &[f32]) -> Result<(), LearnError> {
        let AdamSettings { learning_rate, beta1, beta2, epsilon, weight_decay, decoupled_weight_decay } = self.settings;
        let parameters = head.shape().parameters();
        check_length(Part::Gradient, parameters, gradient.len())?;
        check_length(Part::OptimizerState, parameters, self.mean.len())?;
        check_length(Part::OptimizerState, parameters, self.variance.len())?;

        self.mean_correction += (1.0 - beta1) * (1.0 - self.mean_correction);
        self.variance_correction += (1.0 - beta2) * (1.0 - self.variance_correction);
        let step = learning_rate / self.mean_correction;
        let deviation_correction = libm::sqrtf(self.variance_correction);
        let (penalty, shrink) =
            if decoupled_weight_decay { (0.0, 1.0 - learning_rate * weight_decay) } else { (weight_decay, 1.0) };

        let state = self.mean.iter_mut().zip(self.variance.iter_mut());
        for ((parameter, gradient), (mean, variance)) in head.parameters_mut().zip(gradient).zip(state) {
            *parameter *= shrink;
            let gradient = gradient + penalty * *parameter;
            *mean += (1.0 - beta1) * (gradient - *mean);
            *variance = beta2 * *variance + (1.0 - beta2) * gradient * gradient;
            let deviation = libm::sqrtf(*variance) / deviation_correction + epsilon;
            *parameter -= step * (*mean / deviation);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_gradient_moves_one_learning_rate_a_step() {
        let (mut weights, mut bias) = ([2.0], [4.0]);
        let mut head = DenseHead::new(1, &mut weights, &mut bias).unwrap();
        let (mut mean, mut variance) = ([f32::NAN; 2], [f32::NAN; 2]);
        let settings = AdamSettings { learning_rate: 0.125, ..AdamSettings::default() };
        let mut adam = Adam::new(settings, &mut mean, &mut variance).unwrap();
        for step in 1..=8 {
            adam.step(&mut head, &[3.0, -0.01]).unwrap();
            let moved = 0.125 * step as f32;
            assert!((head.weights()[0] - (2.0 - moved)).abs() < 1e-5);
            assert!((head.bias()[0] - (4.0 + moved)).abs() < 1e-5);
        }
    }

    #[test]
    fn decay_pulls_to_zero_in_both_ways() {
        let after_one_step = |settings: AdamSettings| {
            let (mut weights, mut bias) = ([2.0], [0.0]);
            let mut head = DenseHead::new(1, &mut weights, &mut bias).unwrap();
            let (mut mean, mut variance) = ([0.0; 2], [0.0; 2]);
            Adam::new(settings, &mut mean, &mut variance).unwrap().step(&mut head, &[0.0; 2]).unwrap();
            weights[0]
        };
        let adamw = AdamSettings { learning_rate: 0.5, weight_decay: 0.25, ..AdamSettings::adamw() };
        assert_eq!(after_one_step(adamw), 1.75);
        // Coupled, the pull is a gradient like any other: normalised to one learning rate.
        let adam = AdamSettings { decoupled_weight_decay: false, ..adamw };
        assert!((after_one_step(adam) - 1.5).abs() < 1e-6);
    }

    #[test]
    fn bad_settings_and_lengths_are_named() {
        let good = AdamSettings::default();
        for (settings, name) in [
            (AdamSettings { learning_rate: -1.0, ..good }, "learning_rate"),
            (AdamSettings { beta1: 1.0, ..good }, "beta1"),
            (AdamSettings { beta2: f32::NAN, ..good }, "beta2"),
            (AdamSettings { epsilon: 0.0, ..good }, "epsilon"),
            (AdamSettings { weight_decay: -0.1, ..good }, "weight_decay"),
        ] {
            match Adam::new(settings, &mut [], &mut []) {
                Err(LearnError::InvalidSetting { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{other:?}"),
            }
        }
        let (mut weights, mut bias) = ([2.0], [4.0]);
        let mut head = DenseHead::new(1, &mut weights, &mut bias).unwrap();
        let (mut mean, mut variance) = ([0.0; 2], [0.0; 1]);
        let mut adam = Adam::new(good, &mut mean, &mut variance).unwrap();
        assert_eq!(
            adam.step(&mut head, &[1.0; 2]),
            Err(LearnError::WrongLength { part: Part::OptimizerState, need: 2, have: 1 })
        );
    }
}
