//! A training run over the replay buffer: shuffled mini-batches, early stopping, guards.

use core::num::NonZeroUsize;
use core::ops::ControlFlow;

use super::error::{LearnError, Part, check_setting};
use super::gradient::Gradient;
use super::head::DenseHead;
use super::loss::{Loss, Target};
use super::optimizer::Optimizer;
use super::random::Pcg32;
use super::replay::{Quantization, ReplayBuffer, Sample};

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FineTuneSettings {
    /// Loss to minimise.
    pub loss: Loss,
    /// Samples a step, 1 to 65535; the last mini-batch of an epoch may be smaller.
    pub batch: usize,
    /// Passes over the samples at most, at least 1.
    pub max_epochs: u32,
    /// Stops after this many epochs in a row, at least 1, without improvement.
    pub patience: u32,
    /// An epoch improved when its mean loss fell below the best so far by more than this, 0 or
    /// more.
    pub min_improvement: f32,
    /// L2 pull towards the parameters before the run, 0 or more: `anchor * (p - p_before)` is added
    /// to each gradient. Keeps a head near what it knew when samples are few.
    pub anchor: f32,
    /// Seed of the shuffling.
    pub seed: u64,
}

impl Default for FineTuneSettings {
    /// Cross-entropy, mini-batches of 8, at most 50 epochs, patience 5, improvement 1e-4, no anchor.
    fn default() -> Self {
        Self {
            loss: Loss::CrossEntropy,
            batch: 8,
            max_epochs: 50,
            patience: 5,
            min_improvement: 1e-4,
            anchor: 0.0,
            seed: 0,
        }
    }
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StopReason {
    /// All epochs were run.
    MaxEpochs,
    /// The loss stopped falling.
    Plateau,
    /// The caller asked for it.
    Requested,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// Epochs completed.
    pub epochs: u32,
    /// Optimizer steps taken.
    pub steps: u32,
    /// Mean loss over the replay before the first step.
    pub first_loss: f32,
    /// Mean loss over the replay after the last step; never above `first_loss`.
    pub last_loss: f32,
    /// Why the run ended.
    pub stopped_by: StopReason,
}

impl Report {
    /// The report of a run that a guard ended: the head is what it was before, with its loss.
    pub const fn unchanged(loss: f32) -> Self {
        Self { epochs: 0, steps: 0, first_loss: loss, last_loss: loss, stopped_by: StopReason::Plateau }
    }
}

/// State of a run after an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Progress {
    /// Epochs completed.
    pub epochs: u32,
    /// Optimizer steps taken.
    pub steps: u32,
    /// Mean loss of the epoch, each sample's before the update it took part in.
    pub loss: f32,
}

/// Trains heads with an optimizer in a workspace of the caller's.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FineTuner<'a, O> {
    settings: FineTuneSettings,
    batch: NonZeroUsize,
    optimizer: O,
    workspace: &'a mut [f32],
}

impl<'a, O: Optimizer> FineTuner<'a, O> {
    /// A fine-tuner. `workspace` needs [`HeadShape::workspace`](super::HeadShape::workspace)
    /// elements, more is allowed; [`run`](Self::run) checks it against the head.
    ///
    /// # Errors
    /// [`LearnError::InvalidSetting`].
    pub fn new(settings: FineTuneSettings, optimizer: O, workspace: &'a mut [f32]) -> Result<Self, LearnError> {
        let invalid = |name, value| LearnError::InvalidSetting { name, value };
        let batch = NonZeroUsize::new(settings.batch)
            .filter(|batch| batch.get() <= usize::from(u16::MAX))
            .ok_or(invalid("batch", settings.batch as f32))?;
        for (name, value) in [("max_epochs", settings.max_epochs), ("patience", settings.patience)] {
            if value == 0 {
                return Err(invalid(name, 0.0));
            }
        }
        check_setting("min_improvement", settings.min_improvement, |v| v >= 0.0)?;
        check_setting("anchor", settings.anchor, |v| v >= 0.0)?;
        Ok(Self { settings, batch, optimizer, workspace })
    }

    /// Trains `head` on the samples, whose codes mean what `quantization` says.
    ///
    /// # Errors
    /// [`LearnError::WrongLength`] of the workspace, [`LearnError::ShapeMismatch`],
    /// [`LearnError::NoSamples`], [`LearnError::InvalidSetting`] of the quantization,
    /// [`LearnError::NotFinite`] of the head's parameters; [`LearnError::Diverged`],
    /// [`LearnError::Regressed`], and the optimizer's.
    /// After any of them the head is bit for bit what it was before the run.
    pub fn run<const FEATURES: usize, const CAPACITY: usize, const CLASSES: usize>(
        &mut self,
        head: &mut DenseHead<'_>,
        samples: &ReplayBuffer<FEATURES, CAPACITY, CLASSES>,
        quantization: Quantization,
    ) -> Result<Report, LearnError> {
        self.run_with(head, samples, quantization, |_| ControlFlow::Continue(()))
    }

    /// Like [`run`](Self::run), and calls `after_epoch` after every epoch: to show progress, or to
    /// end the run by `ControlFlow::Break`.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_with<const FEATURES: usize, const CAPACITY: usize, const CLASSES: usize>(
        &mut self,
        head: &mut DenseHead<'_>,
        samples: &ReplayBuffer<FEATURES, CAPACITY, CLASSES>,
        quantization: Quantization,
        after_epoch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Report, LearnError> {
        let shape = head.shape();
        for (dimension, head, given) in
            [("classes", shape.classes, samples.classes()), ("features", shape.features, samples.features())]
        {
            if head != given {
                return Err(LearnError::ShapeMismatch { dimension, head, given });
            }
        }
        if samples.is_empty() {
            return Err(LearnError::NoSamples);
        }
        quantization.check()?;
        head.check_finite()?;
        let too_small =
            LearnError::WrongLength { part: Part::Workspace, need: shape.workspace(), have: self.workspace.len() };
        let mut rest = &mut *self.workspace;
        let mut take = |length| {
            let (taken, left) = core::mem::take(&mut rest).split_at_mut_checked(length).ok_or(too_small)?;
            rest = left;
            Ok(taken)
        };
        let gradient = Gradient::new(shape, take(shape.parameters())?, take(shape.classes)?)?;
        let backup = take(shape.parameters())?;
        let features = take(shape.features)?;
        for (saved, parameter) in backup.iter_mut().zip(head.parameters()) {
            *saved = *parameter;
        }

        let run = Run {
            settings: &self.settings,
            batch: self.batch,
            optimizer: &mut self.optimizer,
            gradient,
            before: backup,
            features,
            quantization,
            samples,
        };
        let result = run.train(head, after_epoch);
        if result.is_err() {
            for (parameter, saved) in head.parameters_mut().zip(backup.iter()) {
                *parameter = *saved;
            }
        }
        result
    }
}

/// One run: everything `train` reads and writes but the head.
struct Run<'r, O, const FEATURES: usize, const CAPACITY: usize, const CLASSES: usize> {
    settings: &'r FineTuneSettings,
    batch: NonZeroUsize,
    optimizer: &'r mut O,
    gradient: Gradient<'r>,
    before: &'r [f32],
    features: &'r mut [f32],
    quantization: Quantization,
    samples: &'r ReplayBuffer<FEATURES, CAPACITY, CLASSES>,
}

impl<O: Optimizer, const FEATURES: usize, const CAPACITY: usize, const CLASSES: usize>
    Run<'_, O, FEATURES, CAPACITY, CLASSES>
{
    fn train(
        mut self,
        head: &mut DenseHead<'_>,
        mut after_epoch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Report, LearnError> {
        let first_loss = self.mean_loss(head)?;
        check_progress(first_loss, 0, 0)?;
        self.optimizer.reset();
        let mut order = heapless::Vec::<u16, CAPACITY>::new();
        for index in (0..u16::MAX).take(self.samples.len()) {
            // Never more than CAPACITY, hence never refused.
            let _ = order.push(index);
        }
        let mut random = Pcg32::new(self.settings.seed);

        let mut progress = Progress { epochs: 0, steps: 0, loss: first_loss };
        let (mut best, mut epochs_without) = (f32::INFINITY, 0);
        let stopped_by = loop {
            random.shuffle(&mut order);
            self.epoch(head, &order, &mut progress)?;
            let asked_to_stop = after_epoch(progress).is_break();
            if progress.loss < best - self.settings.min_improvement {
                (best, epochs_without) = (progress.loss, 0);
            } else {
                epochs_without += 1;
            }
            if asked_to_stop {
                break StopReason::Requested;
            } else if epochs_without >= self.settings.patience {
                break StopReason::Plateau;
            } else if progress.epochs >= self.settings.max_epochs {
                break StopReason::MaxEpochs;
            }
        };

        let Progress { epochs, steps, .. } = progress;
        head.check_finite().map_err(|_| LearnError::Diverged { epoch: epochs, step: steps })?;
        let last_loss = self.mean_loss(head)?;
        check_progress(last_loss, epochs, steps)?;
        if last_loss > first_loss {
            return Err(LearnError::Regressed { first_loss, last_loss });
        }
        Ok(Report { epochs, steps, first_loss, last_loss, stopped_by })
    }

    /// One pass over the samples; updates `progress`.
    fn epoch(&mut self, head: &mut DenseHead<'_>, order: &[u16], progress: &mut Progress) -> Result<(), LearnError> {
        let mut sum = 0.0;
        for batch in order.chunks(self.batch.get()) {
            for sample in batch.iter().filter_map(|index| self.samples.get(usize::from(*index))) {
                let target = self.unpack(sample);
                self.gradient.add(head, self.settings.loss, self.features, target)?;
            }
            let loss = self.gradient.finish()?;
            check_progress(loss, progress.epochs, progress.steps)?;
            sum += loss * batch.len() as f32;
            if self.settings.anchor > 0.0 {
                let pulls = head.parameters().zip(self.before);
                for (gradient, (parameter, before)) in self.gradient.values_mut().iter_mut().zip(pulls) {
                    *gradient += self.settings.anchor * (parameter - before);
                }
            }
            self.optimizer.step(head, self.gradient.values())?;
            progress.steps = progress.steps.saturating_add(1);
        }
        progress.epochs = progress.epochs.saturating_add(1);
        progress.loss = sum / order.len() as f32;
        Ok(())
    }

    /// Mean loss over all samples, summed by place.
    fn mean_loss(&mut self, head: &DenseHead<'_>) -> Result<f32, LearnError> {
        let mut sum = 0.0;
        for sample in self.samples.iter() {
            let target = self.unpack(sample);
            sum += self.gradient.evaluate(head, self.settings.loss, self.features, target)?;
        }
        Ok(sum / self.samples.len() as f32)
    }

    /// Dequantizes a sample into the workspace.
    fn unpack(&mut self, sample: Sample<'_>) -> Target<'static> {
        for (feature, code) in self.features.iter_mut().zip(sample.features) {
            *feature = self.quantization.dequantize(*code);
        }
        Target::Class(sample.label)
    }
}

/// `Ok` when the loss is a number.
fn check_progress(loss: f32, epoch: u32, step: u32) -> Result<(), LearnError> {
    if loss.is_finite() { Ok(()) } else { Err(LearnError::Diverged { epoch, step }) }
}

#[cfg(test)]
mod tests;
