//! Stochastic gradient descent with momentum.

use super::error::{LearnError, Part, check_length, check_setting};
use super::head::DenseHead;
use super::optimizer::Optimizer;

/// Settings of [`Sgd`]; the names are PyTorch's (`lr` spelled out).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SgdSettings {
    /// Step length, above 0.
    pub learning_rate: f32,
    /// Share of the velocity kept from step to step, 0 (no velocity) to 1.
    pub momentum: f32,
    /// Looks ahead along the velocity (Nesterov); needs a momentum.
    pub nesterov: bool,
    /// L2 penalty, 0 or more: `weight_decay * parameter` is added to each gradient.
    pub weight_decay: f32,
}

impl Default for SgdSettings {
    /// Learning rate 0.01, momentum 0.9.
    fn default() -> Self {
        Self { learning_rate: 0.01, momentum: 0.9, nesterov: false, weight_decay: 0.0 }
    }
}

/// Stochastic gradient descent, in the order of PyTorch's `torch.optim.SGD` (dampening 0):
/// `g += weight_decay p`, `v = momentum v + g`, `g = g + momentum v` (Nesterov) or `g = v`,
/// `p -= learning_rate g`.
///
/// PyTorch's first step sets `v = g`; a velocity of zero gives the same.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sgd<'a> {
    settings: SgdSettings,
    velocity: &'a mut [f32],
}

impl<'a> Sgd<'a> {
    /// An optimizer at rest. `velocity` holds one value a parameter; it may be empty when the
    /// momentum is 0.
    ///
    /// # Errors
    /// [`LearnError::InvalidSetting`].
    pub fn new(settings: SgdSettings, velocity: &'a mut [f32]) -> Result<Self, LearnError> {
        check_setting("learning_rate", settings.learning_rate, |v| v > 0.0)?;
        check_setting("momentum", settings.momentum, |v| (0.0..=1.0).contains(&v))?;
        check_setting("weight_decay", settings.weight_decay, |v| v >= 0.0)?;
        if settings.nesterov {
            check_setting("momentum", settings.momentum, |v| v > 0.0)?;
        }
        velocity.fill(0.0);
        Ok(Self { settings, velocity })
    }
}

impl Optimizer for Sgd<'_> {
    fn reset(&mut self) {
        self.velocity.fill(0.0);
    }

    fn step(&mut self, head: &mut DenseHead<'_>, gradient: &[f32]) -> Result<(), LearnError> {
        let SgdSettings { learning_rate, momentum, nesterov, weight_decay } = self.settings;
        let parameters = head.shape().parameters();
        check_length(Part::Gradient, parameters, gradient.len())?;
        if momentum == 0.0 {
            for (parameter, gradient) in head.parameters_mut().zip(gradient) {
                *parameter -= learning_rate * (gradient + weight_decay * *parameter);
            }
            return Ok(());
        }
        check_length(Part::OptimizerState, parameters, self.velocity.len())?;
        for ((parameter, gradient), velocity) in head.parameters_mut().zip(gradient).zip(self.velocity.iter_mut()) {
            let gradient = gradient + weight_decay * *parameter;
            *velocity = momentum * *velocity + gradient;
            let direction = if nesterov { gradient + momentum * *velocity } else { *velocity };
            *parameter -= learning_rate * direction;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps with gradient 1 on one weight and one bias, by hand.
    fn two_steps(settings: SgdSettings) -> [f32; 2] {
        let (mut weights, mut bias, mut velocity) = ([2.0], [4.0], [f32::NAN; 2]);
        let mut head = DenseHead::new(1, &mut weights, &mut bias).unwrap();
        let mut sgd = Sgd::new(settings, &mut velocity).unwrap();
        for _ in 0..2 {
            sgd.step(&mut head, &[1.0, 1.0]).unwrap();
        }
        [weights[0], bias[0]]
    }

    #[test]
    fn updates_follow_the_stated_order() {
        let plain = SgdSettings { learning_rate: 0.5, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        assert_eq!(two_steps(plain), [1.0, 3.0]);
        let momentum = SgdSettings { momentum: 0.5, ..plain };
        assert_eq!(two_steps(momentum), [0.75, 2.75]); // velocities 1, 1.5
        let nesterov = SgdSettings { nesterov: true, ..momentum };
        assert_eq!(two_steps(nesterov), [0.375, 2.375]); // directions 1.5, 1.75
        let decay = SgdSettings { weight_decay: 0.5, ..plain };
        assert_eq!(two_steps(decay), [0.25, 1.375]); // 2 -> 1 -> 0.25 and 4 -> 2.5 -> 1.375
    }

    #[test]
    fn bad_settings_and_lengths_are_named() {
        let good = SgdSettings::default();
        for (settings, name) in [
            (SgdSettings { learning_rate: 0.0, ..good }, "learning_rate"),
            (SgdSettings { learning_rate: f32::NAN, ..good }, "learning_rate"),
            (SgdSettings { momentum: 1.5, ..good }, "momentum"),
            (SgdSettings { momentum: 0.0, nesterov: true, ..good }, "momentum"),
            (SgdSettings { weight_decay: -1.0, ..good }, "weight_decay"),
        ] {
            match Sgd::new(settings, &mut []) {
                Err(LearnError::InvalidSetting { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{other:?}"),
            }
        }
        let (mut weights, mut bias) = ([2.0], [4.0]);
        let mut head = DenseHead::new(1, &mut weights, &mut bias).unwrap();
        let mut sgd = Sgd::new(good, &mut []).unwrap();
        assert_eq!(
            sgd.step(&mut head, &[1.0]),
            Err(LearnError::WrongLength { part: Part::Gradient, need: 2, have: 1 })
        );
        assert_eq!(
            sgd.step(&mut head, &[1.0; 2]),
            Err(LearnError::WrongLength { part: Part::OptimizerState, need: 2, have: 0 })
        );
        assert_eq!((weights, bias), ([2.0], [4.0]));
    }
}
