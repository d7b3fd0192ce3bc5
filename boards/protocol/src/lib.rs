//! What a host asks of a board and what the board answers.
//!
//! The host leaves a [`Job`] in the file [`file::JOB`], starts the board, and finds a report of the matching kind in
//! [`file::REPORT`] when the board exits with [`exit::SUCCESS`]. Both are one postcard value. Tensors travel as raw bytes in files of
//! their own, so that their number and size are bounded by nothing but the host's disk.

#![no_std]

use serde::{Deserialize, Serialize};

/// Files that host and board exchange, all in the board's working directory on the host.
pub mod file {
    /// The [`Job`](super::Job), postcard.
    pub const JOB: &str = "job.postcard";
    /// The report, postcard: [`RunReport`](super::RunReport), [`BenchReport`](super::BenchReport) or
    /// [`FineTuneReport`](super::FineTuneReport), as the job asks.
    pub const REPORT: &str = "report.postcard";
    /// Input tensors: case after case, in each case input after input. A tensor is its length in bytes (u32) and its elements as the
    /// model stores them, all little endian.
    pub const INPUTS: &str = "inputs.bin";
    /// Output tensors, in the same order and encoding.
    pub const OUTPUTS: &str = "outputs.bin";
    /// Class given to each sample that is judged by, one byte each: first with the head in force at boot, then at the end.
    pub const PREDICTIONS: &str = "predictions.bin";
    /// Head in force at the end: weights as `[classes][features]`, then the bias, f32 little endian.
    pub const HEAD: &str = "head.bin";
    /// Labels, one byte a sample.
    pub const LABELS: &str = "labels.bin";
    /// Content of the emulated NOR flash; it outlives the board's power.
    pub const FLASH: &str = "flash.bin";
}

/// Exit codes of a board.
pub mod exit {
    /// The job is done and the report is written.
    pub const SUCCESS: i32 = 0;
    /// The job could not be done; the log says why.
    pub const FAILURE: i32 = 1;
    /// The firmware panicked; the log says where.
    pub const PANIC: i32 = 101;
    /// The processor took a HardFault; the log says at which address.
    pub const HARD_FAULT: i32 = 102;
    /// An exception or interrupt without a handler arrived.
    pub const UNEXPECTED_EXCEPTION: i32 = 103;
    /// The emulated flash lost its power where the job asked for it.
    pub const POWER_CUT: i32 = 104;
}

/// Buckets in which the profiler counts instructions. The firmware calls the marker function of a bucket to switch to it.
pub mod bucket {
    /// Everything nobody asked about.
    pub const IDLE: usize = 0;
    /// Verifying the model and opening a session.
    pub const SETUP: usize = 1;
    /// One whole inference as a product runs it, without an observer.
    pub const INFERENCE: usize = 2;
    /// An observed inference, before its first step.
    pub const BEFORE_STEPS: usize = 3;
    /// First step of the observed inference; step `i` counts in bucket `FIRST_STEP + i`.
    pub const FIRST_STEP: usize = 4;
    /// Number of marker functions in a firmware; later steps share the last one.
    pub const COUNT: usize = 512;
}

/// What the fine-tuning firmware has room for; a replay on the host takes the same, so that it learns the same bits.
pub mod limits {
    /// Features of a head.
    pub const FEATURES: usize = 512;
    /// Classes of a head.
    pub const CLASSES: usize = 64;
    /// Parameters of a head.
    pub const PARAMETERS: usize = 16 * 1024;
    /// Samples kept to learn from.
    pub const SAMPLES: usize = 256;
}

/// What the board shall do.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Job {
    /// Length of the model file, which the host has placed in the board's model partition.
    pub model_bytes: u32,
    /// What to do with the model.
    pub task: Task,
}

/// The kinds of job.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub enum Task {
    /// Run each case of [`file::INPUTS`] from a fresh recurrent state and write [`file::OUTPUTS`].
    Run {
        /// Number of cases.
        cases: u32,
    },
    /// As [`Task::Run`], with a fresh state for the first case alone: the cases are the parts of a stream.
    Stream {
        /// Number of cases.
        cases: u32,
    },
    /// Run the one case of [`file::INPUTS`] between profiler markers.
    Bench,
    /// Learn a new user's samples; see [`FineTune`].
    FineTune(FineTune),
}

/// A new user's samples and how to learn from them. [`file::INPUTS`] and [`file::LABELS`] hold the samples to judge by, then the
/// ones to learn from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct FineTune {
    /// Number of labelled samples to learn from; 0 only judges the head that is in force.
    pub adapt_samples: u32,
    /// Number of labelled samples that are never learned from, only judged by.
    pub eval_samples: u32,
    /// How to learn.
    pub settings: Settings,
    /// Cuts the power in the middle of this flash step, counted from 1; see [`FineTuneReport::flash_steps`].
    pub cut_after: Option<u32>,
}

/// How to learn.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Settings {
    /// Passes over the samples at most.
    pub max_epochs: u32,
    /// Stops after this many epochs in a row without improvement.
    pub patience: u32,
    /// Samples in one gradient step.
    pub batch: u32,
    /// How gradients move the head.
    pub optimizer: Optimizer,
    /// L2 pull towards the head before the run.
    pub anchor: f32,
    /// Seed of the order in which samples are visited.
    pub seed: u64,
}

/// How gradients move the head.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate.
        learning_rate: f32,
        /// Momentum, 0 for none.
        momentum: f32,
    },
    /// Adam with its usual moments.
    Adam {
        /// Learning rate.
        learning_rate: f32,
    },
}

/// Answer to [`Task::Run`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct RunReport {
    /// Outputs of the model.
    pub outputs: u32,
    /// Arena the model needs.
    pub arena_bytes: u32,
    /// Deepest stack of an inference.
    pub stack_bytes: u32,
}

/// Answer to [`Task::Bench`]; the instructions come from the profiler.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct BenchReport {
    /// Steps of the model.
    pub steps: u32,
    /// Arena the model needs.
    pub arena_bytes: u32,
    /// Deepest stack of an inference.
    pub stack_bytes: u32,
    /// Deepest stack of verifying the model and opening a session.
    pub setup_stack_bytes: u32,
}

/// Answer to [`Task::FineTune`]; the predictions are in [`file::PREDICTIONS`] and the head in [`file::HEAD`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct FineTuneReport {
    /// Generation of the learned head that was found in flash at boot, if there was one.
    pub head_at_boot: Option<u32>,
    /// Samples to judge by.
    pub eval_samples: u32,
    /// How many of them were right with the head in force at boot.
    pub correct_before: u32,
    /// How many of them were right at the end.
    pub correct_after: u32,
    /// What learning did; `None` when there was nothing to learn.
    pub learned: Option<Learned>,
    /// Flash steps (bytes programmed, slices of a page erased) that this boot took: where a power cut can fall.
    pub flash_steps: u32,
    /// Arena the model needs.
    pub arena_bytes: u32,
    /// RAM of the learner: head, optimizer state, workspace, kept samples.
    pub learner_bytes: u32,
    /// Deepest stack of the whole job.
    pub stack_bytes: u32,
}

/// A head learned and committed to flash.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Learned {
    /// Samples learned from.
    pub samples: u32,
    /// Epochs completed.
    pub epochs: u32,
    /// Optimizer steps taken.
    pub steps: u32,
    /// Mean loss over the samples before the first step.
    pub first_loss: f32,
    /// Mean loss over the samples after the last step.
    pub last_loss: f32,
    /// Generation of the head in flash.
    pub generation: u32,
}
