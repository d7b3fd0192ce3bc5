//! A case of the golden material: a model with inputs, and the outputs that belong to them.
//!
//! It is a model file, `.tflite` or `.onnx`, beside `meta.json`, `inputs*.npy` and `outputs*.npy`. Tensors are handled as bytes, little endian,
//! as models store them and as boards exchange them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis};
use ndarray_npy::{ReadableElement, read_npy};
use nervelet::ops::DataType;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, Compiled, Target, compile};
use nervelet_importer::{import_onnx, import_tflite};
use serde::Deserialize;

/// The bytes of each tensor of one run.
pub(crate) type Tensors = Vec<Vec<u8>>;

/// What `meta.json` says.
#[derive(Deserialize)]
pub(crate) struct Meta {
    #[serde(default)]
    pub(crate) ops: Vec<String>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    pub(crate) n_cases: usize,
    pub(crate) tolerance: Tolerance,
}

#[derive(Deserialize)]
struct Port {
    file: String,
    dtype: String,
}

/// How far an output may be from its golden value; without a number, not at all.
#[derive(Deserialize)]
pub(crate) struct Tolerance {
    pub(crate) atol: Option<f32>,
}

/// A case.
pub(crate) struct Case {
    /// Its path below the folder of the golden material.
    pub(crate) name: String,
    folder: PathBuf,
    model: PathBuf,
    pub(crate) meta: Meta,
}

/// Every case below a folder whose model file has an extension, in the order of their names.
pub(crate) fn cases(root: &Path, extension: &str) -> Vec<Case> {
    let mut models = Vec::new();
    collect(root, 3, extension, &mut models);
    models.sort();
    assert!(!models.is_empty(), "{} holds no folder with a model", root.display());
    let read = |model: &PathBuf| Case::read(root, model).with_context(|| model.display().to_string());
    models.iter().map(|model| read(model).expect("a case can be read")).collect()
}

fn collect(folder: &Path, depth: usize, extension: &str, found: &mut Vec<PathBuf>) {
    let complete = folder.join("meta.json").is_file();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_model = path.extension().is_some_and(|found| found == extension);
        if complete && is_model {
            found.push(path);
        } else if depth > 0 && path.is_dir() {
            collect(&path, depth - 1, extension, found);
        }
    }
}

impl Case {
    fn read(root: &Path, model: &Path) -> Result<Self> {
        let folder = model.parent().context("a model has no folder")?;
        let meta = std::fs::read_to_string(folder.join("meta.json")).context("reading meta.json")?;
        let mut meta: Meta = serde_json::from_str(&meta).context("decoding meta.json")?;
        meta.ops.sort_unstable();
        meta.ops.dedup();
        let place = if model.ends_with("model.tflite") { folder } else { model };
        let name = place.strip_prefix(root).unwrap_or(place).display().to_string();
        Ok(Self { name, folder: folder.into(), model: model.into(), meta })
    }

    /// Imports and compiles its model.
    pub(crate) fn compile(&self, target: Target) -> Result<Compiled> {
        let bytes = std::fs::read(&self.model).context("reading the model")?;
        let is_onnx = self.model.extension().is_some_and(|extension| extension == "onnx");
        let graph = if is_onnx { import_onnx(&bytes) } else { import_tflite(&bytes) }.context("importing")?;
        compile(&graph, &CompileOptions { target, ..CompileOptions::default() }).context("compiling")
    }

    /// The input tensors of each run.
    pub(crate) fn inputs(&self) -> Result<Vec<Tensors>> {
        let ports = self.meta.inputs.iter();
        let ports = ports.map(|port| self.runs(&port.file, &port.dtype)).collect::<Result<Vec<_>>>()?;
        Ok((0..self.meta.n_cases).map(|run| ports.iter().map(|runs| runs[run].clone()).collect()).collect())
    }

    /// Runs a compiled model on the host, each time from a fresh state.
    pub(crate) fn run_on_host(&self, compiled: &Compiled, inputs: &[Tensors]) -> Result<Vec<Tensors>> {
        let model = Model::from_bytes(&compiled.bytes).context("loading")?;
        ensure!(model.inputs().len() == self.meta.inputs.len(), "the model has {} inputs", model.inputs().len());
        ensure!(model.outputs().len() == self.meta.outputs.len(), "the model has {} outputs", model.outputs().len());
        let tensors = model.inputs().iter().chain(model.outputs()).map(|port| model.tensor(port.tensor));
        for (tensor, port) in tensors.zip(self.meta.inputs.iter().chain(&self.meta.outputs)) {
            let found = tensor.context("no such tensor")?.data_type;
            ensure!(found == data_type(&port.dtype)?, "{} is {}, the model's is {found:?}", port.file, port.dtype);
        }
        let mut arena = AlignedBytes::from(&vec![0xA5; compiled.arena_bytes][..]);
        let mut session = Session::new(&model, &mut arena).context("starting")?;
        let mut outputs = Vec::new();
        for (number, run) in inputs.iter().enumerate() {
            session.reset();
            for (index, bytes) in run.iter().enumerate() {
                let input = session.input_bytes_mut(index)?;
                let (need, have) = (input.len(), bytes.len());
                ensure!(need == have, "run {number}, input {index}: the model takes {need} bytes, the case has {have}");
                input.copy_from_slice(bytes);
            }
            session.invoke().with_context(|| format!("run {number}"))?;
            let ports = 0..self.meta.outputs.len();
            let read = ports.map(|index| session.output_bytes(index).map(<[u8]>::to_vec));
            outputs.push(read.collect::<Result<_, _>>()?);
        }
        Ok(outputs)
    }

    /// Compares the outputs of each run with the golden ones and gives the largest part of the tolerance that was used.
    pub(crate) fn compare(&self, outputs: &[Tensors]) -> Result<f32> {
        ensure!(outputs.len() == self.meta.n_cases, "{} runs, the case has {}", outputs.len(), self.meta.n_cases);
        let mut worst = 0.0_f32;
        for (index, port) in self.meta.outputs.iter().enumerate() {
            let micro = port.file.replace("outputs", "outputs_tflm");
            let file = if self.folder.join(&micro).is_file() { &micro } else { &port.file };
            let size = data_type(&port.dtype)?.bytes();
            for (number, (golden, run)) in self.runs(file, &port.dtype)?.iter().zip(outputs).enumerate() {
                let found = run.get(index).with_context(|| format!("no output {index}"))?;
                let used = match self.meta.tolerance.atol {
                    None => equal(golden, found, size).map(|()| 0.0),
                    Some(atol) => close(golden, found, atol),
                };
                worst = worst.max(used.with_context(|| format!("run {number}, output {index}"))?);
            }
        }
        Ok(worst)
    }

    /// A file's tensor for each run.
    fn runs(&self, file: &str, dtype: &str) -> Result<Tensors> {
        let path = self.folder.join(file);
        let runs = match data_type(dtype)? {
            DataType::Int8 => slices(&path, |code: i8| code.to_le_bytes()),
            DataType::Int16 => slices(&path, |code: i16| code.to_le_bytes()),
            DataType::Int32 => slices(&path, |code: i32| code.to_le_bytes()),
            DataType::Float32 => slices(&path, |value: f32| value.to_le_bytes()),
            other => bail!("{file} is {other:?}"),
        }?;
        ensure!(runs.len() == self.meta.n_cases, "{file} has {} runs, not {}", runs.len(), self.meta.n_cases);
        Ok(runs)
    }
}

fn data_type(name: &str) -> Result<DataType> {
    Ok(match name {
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "float32" => DataType::Float32,
        other => bail!("a port is {other}"),
    })
}

/// An array cut along its first axis; each part row-major.
fn slices<T: ReadableElement + Copy, const SIZE: usize>(path: &Path, bytes: fn(T) -> [u8; SIZE]) -> Result<Tensors> {
    let array: ArrayD<T> = read_npy(path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(array.ndim() > 0, "{} holds a single value", path.display());
    Ok(array.axis_iter(Axis(0)).map(|part| part.iter().flat_map(|value| bytes(*value)).collect()).collect())
}

fn equal(golden: &[u8], found: &[u8], size: usize) -> Result<()> {
    ensure!(golden.len() == found.len(), "{} bytes, the golden output has {}", found.len(), golden.len());
    let elements = golden.chunks_exact(size).zip(found.chunks_exact(size)).enumerate();
    let different: Vec<_> = elements.filter(|(_, (golden, found))| golden != found).collect();
    if let Some((at, (golden, found))) = different.first() {
        let (count, all) = (different.len(), golden.len() / size);
        bail!("{count} of {all} differ, the first at {at}: bytes {found:02x?} where {golden:02x?} belong");
    }
    Ok(())
}

fn close(golden: &[u8], found: &[u8], atol: f32) -> Result<f32> {
    ensure!(golden.len() == found.len(), "{} bytes, the golden output has {}", found.len(), golden.len());
    let errors = reals(golden).zip(reals(found)).map(|(golden, found)| (golden - found).abs());
    // NaN has to lose every comparison.
    let worst = errors.fold(0.0_f32, |worst, error| if error <= worst { worst } else { error });
    ensure!(worst <= atol, "differs by {worst:e}, the tolerance is {atol:e}");
    Ok(worst / atol)
}

fn reals(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}
