//! Counts what an inference costs on a board.

use anyhow::Result;
use nervelet_board_protocol::{BenchReport, Job, Task, bucket, file};

use crate::board::Board;
use crate::build;
use crate::log::LogLine;
use crate::machine::Rig;
use crate::operators;
pub use crate::profile::Cost;
use crate::profile::Profile;
use crate::run::{length, tensors};

/// What an inference costs on a board.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Each step of the model, counted in an inference of its own that an observer watches; the observer adds a few instructions
    /// to each step.
    pub steps: Vec<Cost>,
    /// What the watched inference did before its first step.
    pub before_steps: Cost,
    /// One whole inference without an observer, as a product runs it.
    pub total: Cost,
    /// Verifying the model and opening a session.
    pub setup: Cost,
    /// Arena the model needs.
    pub arena_bytes: u32,
    /// Deepest stack of an inference.
    pub stack_bytes: u32,
    /// Deepest stack of verifying the model and opening a session.
    pub setup_stack_bytes: u32,
    /// Code of the library in a firmware that links only the operators of this model; see [`crate::Image::library_text_bytes`].
    pub text_bytes: u64,
    /// Code of the whole firmware.
    pub firmware_text_bytes: u64,
    /// What the firmware logged.
    pub log: Vec<LogLine>,
}

impl Board {
    /// Runs one case between profiler markers. `input` is the bytes of each input.
    ///
    /// # Errors
    /// As [`Board::run`], and when the profiler plugin does not compile or QEMU refuses it.
    pub fn bench(&self, model: &[u8], input: &[Vec<u8>]) -> Result<Bench> {
        let image = self.firmware_with("bench", Some(&operators::of(model)?))?;
        let mut rig = Rig::new(self, &image)?;
        rig.load(model, &Job { model_bytes: length(model)?, task: Task::Bench })?;
        rig.write(file::INPUTS, &tensors(input.iter())?)?;
        rig.attach_profiler(&build::plugin()?)?;
        let finished = rig.boot()?;
        let report: BenchReport = rig.report()?;
        let profile = Profile::parse(&rig.profile()?, self.has_cycle_model())?;
        Ok(Bench {
            steps: (0..report.steps as usize).map(|step| profile.bucket(bucket::FIRST_STEP + step)).collect(),
            before_steps: profile.bucket(bucket::BEFORE_STEPS),
            total: profile.bucket(bucket::INFERENCE),
            setup: profile.bucket(bucket::SETUP),
            arena_bytes: report.arena_bytes,
            stack_bytes: report.stack_bytes,
            setup_stack_bytes: report.setup_stack_bytes,
            text_bytes: image.library_text_bytes()?,
            firmware_text_bytes: image.text_bytes(),
            log: finished.log,
        })
    }
}
