//! Every ONNX file of the golden material: import, compile, run on the host, compare; and damaged files, which have to be a
//! clear error or a complete run.
//!
//! A case is a folder with `meta.json`, `inputs*.npy`, `outputs*.npy` and one or more `.onnx` files, anywhere below the
//! folder that `NERVELET_ORACLE` names. Outputs have to be within the tolerance that `meta.json` states.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, Axis};
use ndarray_npy::read_npy;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile, compile_quantized};
use nervelet_importer::import_onnx;
use serde::Deserialize;

/// The longest that a damaged file may take.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Meta {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    n_cases: usize,
    tolerance: Tolerance,
}

#[derive(Deserialize)]
struct Port {
    file: String,
    shape: Vec<u32>,
}

#[derive(Deserialize)]
struct Tolerance {
    atol: f32,
}

#[derive(Deserialize)]
struct Manifest {
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    format: String,
    expect: String,
}

/// The `.onnx` files below a folder that lie beside a `meta.json`.
fn models(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let has_meta = folder.join("meta.json").is_file();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if has_meta && path.extension().is_some_and(|extension| extension == "onnx") {
            found.push(path);
        } else if depth > 0 && path.is_dir() {
            models(&path, depth - 1, found);
        }
    }
}

#[test]
fn every_case_is_within_its_tolerance() {
    let Some(root) = support::oracle() else { return };
    let mut files = Vec::new();
    models(&root, 3, &mut files);
    files.sort();
    assert!(!files.is_empty(), "{} holds no .onnx file beside a meta.json", root.display());
    let mut failures = 0;
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).display();
        match check(file) {
            Ok(text) => println!("ok      {name:50}  {text}"),
            Err(error) => {
                failures += 1;
                println!("FAILED  {name:50}  {error:#}");
            }
        }
    }
    assert_eq!(failures, 0, "{failures} of {} files failed", files.len());
}

fn check(file: &Path) -> Result<String> {
    let folder = file.parent().context("a file has no folder")?;
    let meta = std::fs::read_to_string(folder.join("meta.json")).context("reading meta.json")?;
    let meta: Meta = serde_json::from_str(&meta).context("decoding meta.json")?;
    let graph = import_onnx(&std::fs::read(file)?).context("importing")?;
    let compiled = compile(&graph, &CompileOptions::default()).context("compiling")?;
    let model = Model::from_bytes(&compiled.bytes).context("loading")?;
    let found = model.inputs().iter().chain(model.outputs()).map(|port| model.tensor(port.tensor));
    let wanted = meta.inputs.iter().chain(&meta.outputs);
    for (tensor, port) in found.zip(wanted) {
        let tensor = tensor.context("a port is no tensor")?;
        ensure!(
            tensor.shape() == port.shape,
            "{} has shape {:?}, the model {:?}",
            port.file,
            port.shape,
            tensor.shape()
        );
    }
    let mut arena = AlignedBytes::from(&vec![0xA5; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena).context("starting")?;
    let mut worst = 0.0_f32;
    for case in 0..meta.n_cases {
        session.reset();
        for (index, port) in meta.inputs.iter().enumerate() {
            session.input_mut::<f32>(index)?.copy_from_slice(&slice(&folder.join(&port.file), case)?);
        }
        session.invoke().with_context(|| format!("case {case}"))?;
        for (index, port) in meta.outputs.iter().enumerate() {
            let golden = slice(&folder.join(&port.file), case)?;
            let found = session.output::<f32>(index)?;
            ensure!(golden.len() == found.len(), "{} elements, {} has {}", found.len(), port.file, golden.len());
            let errors = golden.iter().zip(found).map(|(golden, found)| (golden - found).abs());
            // NaN has to lose every comparison.
            let error = errors.fold(0.0_f32, |worst, error| if error <= worst { worst } else { error });
            let tolerance = meta.tolerance.atol;
            ensure!(error <= tolerance, "case {case}, output {index}: differs by {error:e}, allowed {tolerance:e}");
            worst = worst.max(error / tolerance);
        }
    }
    let (share, steps) = (100.0 * worst, model.steps().count());
    Ok(format!(
        "{} cases, at most {share:.0} % of the tolerance, {steps} steps, arena {}",
        meta.n_cases, compiled.arena_bytes
    ))
}

/// Post-training quantization of a float file over its own inputs: the largest error of the first output, as a share of
/// that output's range.
fn quantized_error(file: &Path) -> Result<f32> {
    let folder = file.parent().context("a file has no folder")?;
    let meta = std::fs::read_to_string(folder.join("meta.json")).context("reading meta.json")?;
    let meta: Meta = serde_json::from_str(&meta).context("decoding meta.json")?;
    let graph = import_onnx(&std::fs::read(file)?).context("importing")?;
    let (port, golden) = (folder.join(&meta.inputs[0].file), folder.join(&meta.outputs[0].file));
    let inputs = (0..meta.n_cases).map(|case| slice(&port, case)).collect::<Result<Vec<_>>>()?;
    let samples = inputs.iter().map(|values| vec![&values[..]]);
    let compiled = compile_quantized(&graph, &CompileOptions::default(), samples).context("compiling")?;
    let model = Model::from_bytes(&compiled.bytes).context("loading")?;
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).context("starting")?;
    let (mut low, mut high, mut worst) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (case, values) in inputs.iter().enumerate() {
        session.set_input(0, values)?;
        session.invoke()?;
        for (found, golden) in session.output_values(0)?.zip(slice(&golden, case)?) {
            (low, high, worst) = (low.min(golden), high.max(golden), worst.max((found - golden).abs()));
        }
    }
    Ok(worst / (high - low))
}

#[test]
fn float_models_quantize_or_say_why_not() {
    let Some(root) = support::oracle() else { return };
    let mut files = Vec::new();
    models(&root.join("C_pytorch_f32"), 2, &mut files);
    files.sort();
    let mut quantized = 0;
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).display();
        match quantized_error(file) {
            Ok(error) => {
                quantized += 1;
                println!("{name:50}  off by at most {:.1} % of the range", 100.0 * error);
                assert!(error < 0.1, "{name} is off by {error}");
            }
            Err(error) => {
                let error = format!("{error:#}");
                println!("{name:50}  {error}");
                assert!(error.contains("has no int8 kernel") || error.contains("has no kernel for Int8"), "{error}");
            }
        }
    }
    assert!(quantized > 0 || files.is_empty(), "no model was quantized");
}

/// One case of an array, row-major.
fn slice(path: &Path, case: usize) -> Result<Vec<f32>> {
    let array: ArrayD<f32> = read_npy(path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(array.ndim() > 0 && case < array.len_of(Axis(0)), "{} has no case {case}", path.display());
    Ok(array.index_axis(Axis(0), case).iter().copied().collect())
}

#[test]
fn every_damaged_file_is_refused_or_runs() {
    let Some(root) = support::oracle() else { return };
    let root = root.join("F_malformed");
    let Ok(manifest) = std::fs::read_to_string(root.join("manifest.json")) else {
        println!("skipped: no {}", root.join("manifest.json").display());
        return;
    };
    let manifest: Manifest = serde_json::from_str(&manifest).expect("manifest.json decodes");
    let mut failures = 0;
    for entry in manifest.files.iter().filter(|entry| entry.format == "onnx") {
        let bytes = std::fs::read(root.join(&entry.file)).expect("the manifest names files that exist");
        let start = Instant::now();
        let outcome = run(&bytes);
        let time = start.elapsed();
        let failed = time > LIMIT || (outcome.is_ok() && entry.expect == "reject");
        failures += usize::from(failed);
        let word = if failed { "FAILED" } else { "ok" };
        let text = outcome.map_or_else(|error| format!("{error:#}"), |()| "runs".into());
        println!("{word:6}  {:42} {:10} {:5} ms  {text}", entry.file, entry.expect, time.as_millis());
    }
    assert_eq!(failures, 0, "{failures} files");
}

fn run(bytes: &[u8]) -> Result<()> {
    let graph = import_onnx(bytes).context("importing")?;
    let compiled = compile(&graph, &CompileOptions::default()).context("compiling")?;
    let model = Model::from_bytes(&compiled.bytes).context("loading")?;
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).context("starting")?;
    session.invoke().context("running")
}

#[test]
fn random_damage_never_panics() {
    let Some(root) = support::oracle() else { return };
    let mut files = Vec::new();
    models(&root, 3, &mut files);
    files.sort();
    // Small files, whose damage hits structure more often than weights.
    let mut files: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a file can be read")).collect();
    files.retain(|bytes| bytes.len() < 60_000);
    let mut state = 0x9E37_79B9_u32;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below.max(1)
    };
    let (mut refused, mut ran) = (0, 0);
    for round in 0..400 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..1 + next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes[at] ^= 1 << next(8),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.splice(at..at, [next(256) as u8])),
            }
        }
        let start = Instant::now();
        match run(&bytes) {
            Ok(()) => ran += 1,
            Err(_) => refused += 1,
        }
        assert!(start.elapsed() < LIMIT, "round {round} took {:?}", start.elapsed());
    }
    println!("{refused} refused, {ran} ran");
}
