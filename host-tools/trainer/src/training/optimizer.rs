//! burn's optimizers with PyTorch's settings, and the step size over the epochs.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};

use crate::recipe::{OptimizerKind, Schedule, TrainingSpec};

/// The recipe's optimizer.
pub(super) fn optimizer(spec: &TrainingSpec) -> ModuleOptimizer {
    let decay = (spec.weight_decay > 0.0).then(|| WeightDecayConfig::new(spec.weight_decay as f32));
    let momentum = |nesterov: bool| MomentumConfig { momentum: spec.momentum, dampening: 0.0, nesterov };
    let (beta_1, beta_2, epsilon) = (spec.beta_1 as f32, spec.beta_2 as f32, spec.epsilon as f32);
    match spec.optimizer {
        OptimizerKind::Sgd => SgdConfig::new().with_weight_decay(decay).init(),
        OptimizerKind::Momentum => {
            SgdConfig::new().with_momentum(Some(momentum(false))).with_weight_decay(decay).init()
        }
        OptimizerKind::Nesterov => SgdConfig::new().with_momentum(Some(momentum(true))).with_weight_decay(decay).init(),
        OptimizerKind::Adam => AdamConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(decay)
            .init(),
        OptimizerKind::AdamW => AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(spec.weight_decay as f32)
            .init(),
    }
}

/// The step size in an epoch, counted from 0, of `epochs`.
pub(super) fn learning_rate(spec: &TrainingSpec, epoch: usize, epochs: usize) -> f64 {
    let start = spec.learning_rate;
    match spec.schedule {
        Schedule::Constant => start,
        Schedule::Cosine { minimum } => {
            let progress = epoch as f64 / epochs.saturating_sub(1).max(1) as f64;
            minimum + (start - minimum) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
        Schedule::Step { every, factor } => start * factor.powf((epoch / every) as f64),
        Schedule::Exponential { factor } => start * factor.powf(epoch as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_at_the_learning_rate_and_end_where_they_say() {
        let rates = |schedule: Schedule| {
            let spec = TrainingSpec { learning_rate: 0.1, schedule, ..TrainingSpec::default() };
            (0..5).map(|epoch| (learning_rate(&spec, epoch, 5) * 1e6).round() / 1e6).collect::<Vec<_>>()
        };
        assert_eq!(rates(Schedule::Constant), [0.1; 5]);
        assert_eq!(rates(Schedule::Cosine { minimum: 0.02 }), [0.1, 0.088284, 0.06, 0.031716, 0.02]);
        assert_eq!(rates(Schedule::Step { every: 2, factor: 0.5 }), [0.1, 0.1, 0.05, 0.05, 0.025]);
        assert_eq!(rates(Schedule::Exponential { factor: 0.5 }), [0.1, 0.05, 0.025, 0.0125, 0.00625]);
    }
}
