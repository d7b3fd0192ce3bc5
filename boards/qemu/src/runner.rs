//! Runs a model on every case that the host sends.

use nervelet::{Model, Session};
use nervelet_board_protocol::{Job, RunReport, Task, file};

use crate::host::HostFile;
use crate::job::{self, Failure};
use crate::stack;
use crate::tensors::{read_inputs, write_outputs};

/// The firmware: does its job in `arena` and ends the run.
pub fn main(arena: &mut [u8]) -> ! {
    job::serve(|job| run(&job, arena))
}

fn run(job: &Job, arena: &mut [u8]) -> Result<RunReport, Failure> {
    let (cases, is_stream) = match job.task {
        Task::Run { cases } => (cases, false),
        Task::Stream { cases } => (cases, true),
        _ => return Err(Failure::WrongFirmware),
    };
    let model = Model::from_bytes(job::model_bytes(job)?)?;
    job::describe(&model);
    let mut session = Session::new(&model, arena)?;
    let mut inputs = HostFile::open(file::INPUTS)?;
    let mut outputs = HostFile::create(file::OUTPUTS)?;
    let mut deepest = 0;
    for case in 0..cases {
        if !is_stream {
            session.reset();
        }
        read_inputs(&mut session, &mut inputs)?;
        // Every case takes the same stack, so painting it once is enough.
        if case == 0 {
            let (result, bytes) = stack::measure(|| session.invoke());
            deepest = bytes;
            result?;
        } else {
            session.invoke()?;
        }
        write_outputs(&session, &mut outputs)?;
    }
    defmt::info!("{=u32} cases done, stack {=usize} bytes", cases, deepest);
    Ok(RunReport {
        outputs: model.outputs().len() as u32,
        arena_bytes: model.arena_bytes() as u32,
        stack_bytes: deepest as u32,
    })
}
