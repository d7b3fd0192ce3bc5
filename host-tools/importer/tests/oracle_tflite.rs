//! Every TensorFlow Lite case of the golden material: import, compile, run on the host, compare.
//!
//! A case is a folder with `model.tflite`, `meta.json`, `inputs*.npy` and `outputs*.npy`, anywhere below the folder
//! that `NERVELET_ORACLE` names. Integers have to be equal, to `outputs_tflm*.npy` where the folder has them; floats
//! have to be within the tolerance that `meta.json` states.

mod support;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, Axis};
use ndarray_npy::{ReadableElement, read_npy};
use nervelet::session::Element;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use nervelet_importer::import_tflite;
use serde::Deserialize;

/// Operators that the importer says it does not take: a case with one of them has to be refused.
const NOT_TAKEN: [&str; 1] = ["WHILE"];

#[derive(Deserialize)]
struct Meta {
    ops: Vec<String>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    n_cases: usize,
    tolerance: Tolerance,
}

#[derive(Deserialize)]
struct Port {
    file: String,
    dtype: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Tolerance {
    Exact,
    Abs { atol: f32 },
}

#[test]
fn every_case_equals_its_golden_outputs() {
    let Some(root) = support::oracle() else { return };
    let mut folders = Vec::new();
    collect(&root, 3, &mut folders);
    folders.sort();
    assert!(!folders.is_empty(), "{} holds no folder with a model.tflite", root.display());
    let mut failures = 0;
    for folder in &folders {
        let name = folder.strip_prefix(&root).unwrap_or(folder).display().to_string();
        let (ops, verdict) = match check(folder) {
            Ok(verdict) => verdict,
            Err(error) => (String::new(), Err(format!("{error:#}"))),
        };
        failures += usize::from(verdict.is_err());
        let (word, reason) = match &verdict {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        println!("{word:6}  {name:45}  {ops:40.40}  {reason}");
    }
    assert_eq!(failures, 0, "{failures} of {} cases failed", folders.len());
}

/// The folders with a model below a folder.
fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if folder.join("model.tflite").is_file() && folder.join("meta.json").is_file() {
        found.push(folder.into());
    } else if depth > 0 {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            collect(&entry.path(), depth - 1, found);
        }
    }
}

/// The operators of a case and what came of it; an error where the case itself can't be read.
fn check(folder: &Path) -> Result<(String, Result<String, String>)> {
    let meta = std::fs::read_to_string(folder.join("meta.json")).context("reading meta.json")?;
    let mut meta: Meta = serde_json::from_str(&meta).context("decoding meta.json")?;
    meta.ops.sort_unstable();
    meta.ops.dedup();
    let refused = meta.ops.iter().any(|op| NOT_TAKEN.contains(&op.as_str()));
    let verdict = match (run(folder, &meta), refused) {
        (Ok(_), true) => Err("imports, though it holds an operator that is not taken".into()),
        (Ok(text), false) => Ok(text),
        (Err(error), true) => Ok(format!("refused: {error:#}")),
        (Err(error), false) => Err(format!("{error:#}")),
    };
    Ok((meta.ops.join(" "), verdict))
}

fn run(folder: &Path, meta: &Meta) -> Result<String> {
    let bytes = std::fs::read(folder.join("model.tflite")).context("reading model.tflite")?;
    let graph = import_tflite(&bytes).context("importing")?;
    let compiled = compile(&graph, &CompileOptions::default()).context("compiling")?;
    let model = Model::from_bytes(&compiled.bytes).context("loading")?;
    let mut arena = AlignedBytes::from(&vec![0xA5; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena).context("starting")?;
    let mut worst = 0.0_f32;
    for case in 0..meta.n_cases {
        session.reset();
        for (index, port) in meta.inputs.iter().enumerate() {
            let path = folder.join(&port.file);
            match port.dtype.as_str() {
                "int8" => fill::<i8>(&mut session, index, &path, case),
                "int16" => fill::<i16>(&mut session, index, &path, case),
                "float32" => fill::<f32>(&mut session, index, &path, case),
                "int32" => fill::<i32>(&mut session, index, &path, case),
                other => bail!("input {index} is {other}"),
            }
            .with_context(|| format!("case {case}, input {index}"))?;
        }
        session.invoke().with_context(|| format!("case {case}"))?;
        for (index, port) in meta.outputs.iter().enumerate() {
            let golden = port.file.replace("outputs", "outputs_tflm");
            let golden = if folder.join(&golden).is_file() { golden } else { port.file.clone() };
            let path = folder.join(golden);
            let place = || format!("case {case}, output {index}");
            match (port.dtype.as_str(), &meta.tolerance) {
                ("int8", _) => equal::<i8>(&session, index, &path, case).with_context(place)?,
                ("int16", _) => equal::<i16>(&session, index, &path, case).with_context(place)?,
                ("int32", _) => equal::<i32>(&session, index, &path, case).with_context(place)?,
                ("float32", Tolerance::Exact) => equal::<f32>(&session, index, &path, case).with_context(place)?,
                ("float32", Tolerance::Abs { atol }) => {
                    let error = close(&session, index, &path, case, *atol).with_context(place)?;
                    worst = worst.max(error / atol);
                }
                (other, _) => bail!("output {index} is {other}"),
            }
        }
    }
    let quality = match meta.tolerance {
        Tolerance::Exact => "equal".into(),
        Tolerance::Abs { .. } => format!("at most {:.0} % of the tolerance", 100.0 * worst),
    };
    Ok(format!("{} cases {quality}, arena {}", meta.n_cases, compiled.arena_bytes))
}

/// One case of an array, row-major.
fn slice<T: ReadableElement + Copy>(path: &Path, case: usize) -> Result<Vec<T>> {
    let array: ArrayD<T> = read_npy(path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(array.ndim() > 0 && case < array.len_of(Axis(0)), "{} has no case {case}", path.display());
    Ok(array.index_axis(Axis(0), case).iter().copied().collect())
}

fn fill<T: Element + ReadableElement>(session: &mut Session, index: usize, path: &Path, case: usize) -> Result<()> {
    let values = slice::<T>(path, case)?;
    let input = session.input_mut::<T>(index)?;
    ensure!(input.len() == values.len(), "the model takes {} elements, the case has {}", input.len(), values.len());
    input.copy_from_slice(&values);
    Ok(())
}

fn equal<T: Element + ReadableElement + PartialEq + std::fmt::Debug>(
    session: &Session,
    index: usize,
    path: &Path,
    case: usize,
) -> Result<()> {
    let (golden, found) = (slice::<T>(path, case)?, session.output::<T>(index)?);
    ensure!(golden.len() == found.len(), "{} elements, the golden output has {}", found.len(), golden.len());
    let different = golden.iter().zip(found).enumerate().filter(|(_, (golden, found))| golden != found);
    let count = different.clone().count();
    if let Some((at, (golden, found))) = different.clone().next() {
        bail!(
            "{count} of {} differ, the first at {at}: {found:?} where {golden:?} belongs",
            found_len(session, index)?
        );
    }
    Ok(())
}

fn found_len(session: &Session, index: usize) -> Result<usize> {
    let port = session.model().outputs().nth(index).context("no such output")?;
    Ok(session.model().tensor(port.tensor).context("no such tensor")?.elements())
}

fn close(session: &Session, index: usize, path: &Path, case: usize, atol: f32) -> Result<f32> {
    let (golden, found) = (slice::<f32>(path, case)?, session.output::<f32>(index)?);
    ensure!(golden.len() == found.len(), "{} elements, the golden output has {}", found.len(), golden.len());
    let errors = golden.iter().zip(found).map(|(golden, found)| (golden - found).abs());
    // NaN has to lose every comparison.
    let worst = errors.fold(0.0_f32, |worst, error| if error <= worst { worst } else { error });
    ensure!(worst <= atol, "differs by {worst:e}, the tolerance is {atol:e}");
    Ok(worst)
}
