//! Runs a model on a board, case by case.

use anyhow::{Context, Result, ensure};
use nervelet_board_protocol::{Job, RunReport, Task, file};

use crate::board::Board;
use crate::log::LogLine;
use crate::machine::Rig;

/// What a model gave on a board.
#[derive(Clone, Debug)]
pub struct Run {
    /// Bytes of each output of each case, as the model stores them (little endian).
    pub outputs: Vec<Vec<Vec<u8>>>,
    /// Arena the model needs.
    pub arena_bytes: u32,
    /// Deepest stack of an inference.
    pub stack_bytes: u32,
    /// What the firmware logged.
    pub log: Vec<LogLine>,
}

impl Board {
    /// Runs each case from a fresh recurrent state. A case is the bytes of each input, as the model stores them (little endian).
    ///
    /// # Errors
    /// When the firmware does not compile, QEMU is missing, or the firmware refuses model or inputs: its log says why.
    pub fn run(&self, model: &[u8], cases: &[Vec<Vec<u8>>]) -> Result<Run> {
        self.run_as(model, cases, |cases| Task::Run { cases })
    }

    /// Runs the cases as the parts of one stream, which starts from a fresh state.
    ///
    /// # Errors
    /// As [`Board::run`].
    pub fn run_stream(&self, model: &[u8], parts: &[Vec<Vec<u8>>]) -> Result<Run> {
        self.run_as(model, parts, |cases| Task::Stream { cases })
    }

    fn run_as(&self, model: &[u8], cases: &[Vec<Vec<u8>>], task: impl Fn(u32) -> Task) -> Result<Run> {
        let image = self.firmware("runner")?;
        let mut rig = Rig::new(self, &image)?;
        let count = u32::try_from(cases.len()).context("too many cases")?;
        rig.load(model, &Job { model_bytes: length(model)?, task: task(count) })?;
        rig.write(file::INPUTS, &tensors(cases.iter().flatten())?)?;
        let finished = rig.boot()?;
        let report: RunReport = rig.report()?;
        let outputs = split(&rig.read(file::OUTPUTS)?)?;
        let expected = report.outputs as usize * cases.len();
        ensure!(outputs.len() == expected, "the firmware wrote {} outputs, {expected} were expected", outputs.len());
        let outputs = outputs.chunks(report.outputs.max(1) as usize).map(<[_]>::to_vec).collect();
        Ok(Run { outputs, arena_bytes: report.arena_bytes, stack_bytes: report.stack_bytes, log: finished.log })
    }
}

/// Length of a model file, as jobs carry it.
pub(crate) fn length(model: &[u8]) -> Result<u32> {
    u32::try_from(model.len()).context("the model is larger than 4 GiB")
}

/// Tensors one after the other, each with its length before it.
pub(crate) fn tensors<'t>(tensors: impl Iterator<Item = &'t Vec<u8>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for tensor in tensors {
        let length = u32::try_from(tensor.len()).context("a tensor is larger than 4 GiB")?;
        bytes.extend(length.to_le_bytes());
        bytes.extend(tensor);
    }
    Ok(bytes)
}

/// Takes apart what [`tensors`] put together.
fn split(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut tensors = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (tensor, rest) = rest.split_at_checked(length).context("the firmware's outputs end too early")?;
        tensors.push(tensor.to_vec());
        bytes = rest;
    }
    ensure!(bytes.is_empty(), "the firmware's outputs end too early");
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_survive_the_trip() {
        let three = [vec![1, 2, 3], vec![], vec![4]];
        let bytes = tensors(three.iter()).unwrap();
        assert_eq!(split(&bytes).unwrap(), three);
        for cut in [1, 5, bytes.len() - 1] {
            assert!(split(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
