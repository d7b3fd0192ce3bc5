//! Fine-tunes a model's last layer on a board, from a new user's samples.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nervelet_board_protocol::{FineTune, Job, Task, file};
pub use nervelet_board_protocol::{FineTuneReport, Optimizer, Settings};

use crate::board::Board;
use crate::log::LogLine;
use crate::machine::{Ended, Rig};
use crate::run::{length, tensors};

/// Labelled samples of a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Bytes of each input of each sample, as the model stores them (little endian).
    pub inputs: Vec<Vec<Vec<u8>>>,
    /// The class of each sample.
    pub labels: Vec<u8>,
}

/// What a board did with a user's samples.
#[derive(Clone, Debug)]
pub struct FineTuned {
    /// What happened.
    pub outcome: Outcome,
    /// What the firmware logged.
    pub log: Vec<LogLine>,
}

/// How a boot of the fine-tuning firmware ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The power failed where it was told to; the flash image is as that left it.
    PowerCut,
    /// The job is done.
    Done(Box<Learning>),
}

/// The result of a boot that was not cut short.
#[derive(Clone, Debug)]
pub struct Learning {
    /// The board's figures.
    pub report: FineTuneReport,
    /// Class given to each sample of the evaluation with the head in force at boot.
    pub predictions_before: Vec<u8>,
    /// Class given to each sample of the evaluation at the end.
    pub predictions_after: Vec<u8>,
    /// Parameters of the head in force at the end: weights as `[classes][features]`, then the bias.
    pub head: Vec<f32>,
}

impl Board {
    /// Boots the board with what is in `flash` (a file, created erased when it does not exist), judges the head in force by `eval`,
    /// learns `adapt` if there is anything in it, commits the new head to flash and judges again. With no samples to learn it shows
    /// what an earlier boot left behind.
    ///
    /// `cut_after` fails the power in the middle of that flash step (counted from 1; [`FineTuneReport::flash_steps`] tells how many a
    /// whole boot takes).
    ///
    /// # Errors
    /// As [`Board::run`], and when inputs and labels differ in number or `flash` can't be read or written.
    pub fn finetune(
        &self,
        model: &[u8],
        adapt: &Samples,
        eval: &Samples,
        settings: Settings,
        flash: &Path,
        cut_after: Option<u32>,
    ) -> Result<FineTuned> {
        let image = self.firmware("finetune")?;
        let mut rig = Rig::new(self, &image)?;
        let task = FineTune { adapt_samples: adapt.count()?, eval_samples: eval.count()?, settings, cut_after };
        rig.load(model, &Job { model_bytes: length(model)?, task: Task::FineTune(task) })?;
        rig.write(file::INPUTS, &tensors(eval.inputs.iter().chain(&adapt.inputs).flatten())?)?;
        rig.write(file::LABELS, &[&*eval.labels, &*adapt.labels].concat())?;
        if flash.exists() {
            let content = fs::read(flash).with_context(|| format!("can't read the flash image {}", flash.display()))?;
            rig.write(file::FLASH, &content)?;
        }

        // Whatever happens to the board, its flash keeps what was written.
        let finished = rig.boot();
        if let Ok(content) = rig.read(file::FLASH) {
            fs::write(flash, content).with_context(|| format!("can't write the flash image {}", flash.display()))?;
        }
        let finished = finished?;
        let outcome = match finished.ended {
            Ended::PowerCut => Outcome::PowerCut,
            Ended::Done => Outcome::Done(Box::new(Learning::read(&rig)?)),
        };
        Ok(FineTuned { outcome, log: finished.log })
    }
}

impl Samples {
    fn count(&self) -> Result<u32> {
        let (inputs, labels) = (self.inputs.len(), self.labels.len());
        ensure!(inputs == labels, "{inputs} samples but {labels} labels");
        u32::try_from(labels).context("too many samples")
    }
}

impl Learning {
    fn read(rig: &Rig<'_>) -> Result<Self> {
        let report: FineTuneReport = rig.report()?;
        let predictions = rig.read(file::PREDICTIONS)?;
        let samples = report.eval_samples as usize;
        let halves = predictions.split_at_checked(samples).filter(|(_, after)| after.len() == samples);
        let (before, after) =
            halves.with_context(|| format!("{} predictions for {samples} samples", predictions.len()))?;
        let head = rig.read(file::HEAD)?;
        let (parameters, rest) = head.as_chunks();
        ensure!(rest.is_empty(), "the head's {} bytes are no whole number of f32", head.len());
        Ok(Self {
            report,
            predictions_before: before.to_vec(),
            predictions_after: after.to_vec(),
            head: parameters.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        })
    }
}
