//! What the host asked for, and the answer.

use nervelet::{Model, model, session};
use nervelet_board_protocol::{Job, exit, file};
use serde::Serialize;

use crate::host::{HostError, HostFile};
use crate::partition;

/// Longest encoded job or report.
const MESSAGE_BYTES: usize = 128;

/// Why a job could not be done, whatever it was.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub enum Failure {
    /// A file of the host failed.
    Host(HostError),
    /// The job does not decode, or the report does not fit its buffer: host tool and firmware are of different versions.
    Message,
    /// The job is for another firmware.
    WrongFirmware,
    /// The model is longer than its partition.
    ModelTooLarge {
        /// Its length.
        need: usize,
        /// Size of the partition.
        have: usize,
    },
    /// The model file is not valid.
    Model(model::Error),
    /// The session refused.
    Session(session::Error),
    /// A tensor of the host has another size than the model's.
    TensorBytes {
        /// Bytes of the model's tensor.
        need: usize,
        /// Bytes that the host sent.
        have: usize,
    },
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<model::Error> for Failure {
    fn from(error: model::Error) -> Self {
        Self::Model(error)
    }
}

impl From<session::Error> for Failure {
    fn from(error: session::Error) -> Self {
        Self::Session(error)
    }
}

/// Does one job, from reading it to writing its report, and ends the run.
///
/// A firmware that can fail in more ways than these has a failure of its own, which [`Failure`] turns into.
pub fn serve<R: Serialize, F: From<Failure> + defmt::Format>(work: impl FnOnce(Job) -> Result<R, F>) -> ! {
    match read().map_err(F::from).and_then(work).and_then(|report| Ok(answer(&report)?)) {
        Ok(()) => semihosting::process::exit(exit::SUCCESS),
        Err(failure) => {
            defmt::error!("{}", failure);
            semihosting::process::exit(exit::FAILURE)
        }
    }
}

/// The bytes of the job's model, in the model partition.
pub fn model_bytes(job: &Job) -> Result<&'static [u8], Failure> {
    let need = job.model_bytes as usize;
    partition::model(need).ok_or(Failure::ModelTooLarge { need, have: partition::model_capacity() })
}

/// Logs what a model is.
pub fn describe(model: &Model<'_>) {
    defmt::info!(
        "model {=str}: {=usize} steps, arena {=usize} bytes, constants {=usize} bytes",
        model.name(),
        model.program().steps.len(),
        model.arena_bytes(),
        model.constants().len()
    );
}

fn read() -> Result<Job, Failure> {
    let mut buffer = [0; MESSAGE_BYTES];
    let encoded = HostFile::open(file::JOB)?.read_into(&mut buffer)?;
    postcard::from_bytes(encoded).map_err(|_| Failure::Message)
}

fn answer(report: &impl Serialize) -> Result<(), Failure> {
    let mut buffer = [0; MESSAGE_BYTES];
    let encoded = postcard::to_slice(report, &mut buffer).map_err(|_| Failure::Message)?;
    Ok(HostFile::create(file::REPORT)?.write_all(encoded)?)
}
