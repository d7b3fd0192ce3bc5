//! Runs one inference between profiler markers.

use nervelet::ops::Operator;
use nervelet::session::Observer;
use nervelet::{Model, Session};
use nervelet_board_protocol::{BenchReport, Job, Task, bucket, file};

use crate::host::HostFile;
use crate::job::{self, Failure};
use crate::markers::mark;
use crate::stack;
use crate::tensors::read_inputs;

/// The firmware: does its job in `arena` with the operators given, as a product that names what it links, and ends the run.
pub fn main(operators: &'static [&'static Operator], arena: &mut [u8]) -> ! {
    job::serve(|job| run(&job, operators, arena))
}

fn run(job: &Job, operators: &'static [&'static Operator], arena: &mut [u8]) -> Result<BenchReport, Failure> {
    let Task::Bench = job.task else { return Err(Failure::WrongFirmware) };
    let bytes = job::model_bytes(job)?;
    let (opened, setup_stack) = stack::measure(|| {
        counted(bucket::SETUP, || {
            let model = Model::with_operators(bytes, operators)?;
            let session = Session::new(&model, arena)?;
            Ok::<_, Failure>((model, session))
        })
    });
    let (model, mut session) = opened?;

    // As a product runs it: nobody watches.
    let mut inputs = HostFile::open(file::INPUTS)?;
    read_inputs(&mut session, &mut inputs)?;
    let (invoked, stack) = stack::measure(|| counted(bucket::INFERENCE, || session.invoke()));
    invoked?;

    // Once more, step by step.
    inputs.seek(0)?;
    session.reset();
    read_inputs(&mut session, &mut inputs)?;
    counted(bucket::BEFORE_STEPS, || session.invoke_observed(&mut StepMarker))?;

    Ok(BenchReport {
        steps: model.program().steps.len() as u32,
        arena_bytes: model.arena_bytes() as u32,
        stack_bytes: stack as u32,
        setup_stack_bytes: setup_stack as u32,
    })
}

/// Runs `work` while its instructions are counted in `bucket`.
fn counted<R>(bucket: usize, work: impl FnOnce() -> R) -> R {
    mark(bucket);
    let result = work();
    mark(bucket::IDLE);
    result
}

/// Counts each step in a bucket of its own.
struct StepMarker;

impl Observer for StepMarker {
    fn before_step(&mut self, step: usize) {
        mark(bucket::FIRST_STEP.saturating_add(step));
    }
}
