//! Runs cases through a model on the host or on a board; both take the same bytes and have to give the same bytes.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use nervelet::{Model, Session};
use nervelet_compiler::AlignedBytes;
use nervelet_qemu::Board;
use nervelet_trainer::dataset::Dataset;

use crate::arrays::{Cases, Values};

/// Where a model runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// This machine, with the library's reference kernels.
    Host,
    /// A board by name.
    Board(String),
}

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == "host" {
            return Ok(Place::Host);
        }
        ensure!(nervelet_qemu::NAMES.contains(&name), "no board {name}: host, {}", nervelet_qemu::NAMES.join(", "));
        Ok(Place::Board(name.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Host => f.write_str("host"),
            Place::Board(name) => f.write_str(name),
        }
    }
}

/// The bytes of each input of each case.
pub type Inputs = Vec<Vec<Vec<u8>>>;

/// Brings arrays to the bytes that the model's inputs hold; reals for an int8 input are normalised and quantized.
pub fn encode(model: &Model<'_>, arrays: &[Cases]) -> Result<Inputs> {
    let ports = model.inputs().len();
    ensure!(arrays.len() == ports, "the model has {ports} inputs, {} arrays are given", arrays.len());
    let count = arrays.first().map_or(0, |cases| cases.count);
    ensure!(arrays.iter().all(|cases| cases.count == count), "the arrays have different numbers of cases");
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(model, &mut arena)?;
    let mut inputs = vec![Vec::with_capacity(ports); count];
    for (index, cases) in arrays.iter().enumerate() {
        for (case, inputs) in inputs.iter_mut().enumerate() {
            inputs.push(encode_one(&mut session, index, cases, case).with_context(|| format!("case {case}"))?);
        }
    }
    Ok(inputs)
}

/// The rows of a dataset as the bytes of the model's inputs.
pub fn encode_rows(model: &Model<'_>, dataset: &Dataset, rows: &[usize]) -> Result<Inputs> {
    let count = rows.len();
    let port = |port: usize| {
        let values = rows.iter().filter_map(|row| dataset.inputs(*row).get(port).copied()).flatten().copied();
        Cases { count, values: Values::Float32(values.collect()) }
    };
    encode(model, &(0..model.inputs().len()).map(port).collect::<Vec<_>>())
}

fn encode_one(session: &mut Session<'_, '_>, index: usize, cases: &Cases, case: usize) -> Result<Vec<u8>> {
    fn part<T: bytemuck::NoUninit>(values: &[T], count: usize, case: usize) -> &[T] {
        let length = values.len() / count;
        &values[case * length..(case + 1) * length]
    }
    match &cases.values {
        Values::Int8(codes) => {
            let codes = part(codes, cases.count, case);
            session.input_mut::<i8>(index)?.copy_from_slice(codes);
            Ok(bytemuck::cast_slice(codes).to_vec())
        }
        Values::Int16(codes) => {
            let codes = part(codes, cases.count, case);
            session.input_mut::<i16>(index)?.copy_from_slice(codes);
            Ok(bytemuck::cast_slice(codes).to_vec())
        }
        Values::Float32(values) => {
            session.set_input(index, part(values, cases.count, case))?;
            Ok(session.input_bytes_mut(index)?.to_vec())
        }
    }
}

/// Runs cases, each from a fresh state; returns the bytes of each output of each case.
pub fn run(place: &Place, bytes: &[u8], inputs: &Inputs) -> Result<Vec<Vec<Vec<u8>>>> {
    match place {
        Place::Host => run_on_host(bytes, inputs),
        Place::Board(name) => Ok(Board::from_name(name)?.run(bytes, inputs)?.outputs),
    }
}

/// Runs the parts of one stream, from a fresh state; returns the bytes of each output of each run.
pub fn run_stream(place: &Place, bytes: &[u8], parts: &Inputs) -> Result<Vec<Vec<Vec<u8>>>> {
    match place {
        Place::Host => run_parts(bytes, parts, false),
        Place::Board(name) => Ok(Board::from_name(name)?.run_stream(bytes, parts)?.outputs),
    }
}

fn run_on_host(bytes: &[u8], inputs: &Inputs) -> Result<Vec<Vec<Vec<u8>>>> {
    run_parts(bytes, inputs, true)
}

fn run_parts(bytes: &[u8], inputs: &Inputs, anew: bool) -> Result<Vec<Vec<Vec<u8>>>> {
    let model = Model::from_bytes(bytes)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena)?;
    let outputs = model.outputs().len();
    let mut results = Vec::with_capacity(inputs.len());
    for case in inputs {
        if anew {
            session.reset();
        }
        for (index, bytes) in case.iter().enumerate() {
            session.input_bytes_mut(index)?.copy_from_slice(bytes);
        }
        session.invoke()?;
        let case = (0..outputs).map(|index| Ok(session.output_bytes(index)?.to_vec()));
        results.push(case.collect::<Result<_>>()?);
    }
    Ok(results)
}
