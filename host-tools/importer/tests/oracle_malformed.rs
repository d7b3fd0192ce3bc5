//! Damaged TensorFlow Lite files: each is a clear error or, where the manifest allows it, a complete run.

mod support;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};
use nervelet_importer::import_tflite;
use serde::Deserialize;

/// The longest that a file may take.
const LIMIT: Duration = Duration::from_secs(2);

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
    for entry in manifest.files.iter().filter(|entry| entry.format == "tflite") {
        let bytes = std::fs::read(root.join(&entry.file)).expect("the manifest names files that exist");
        let start = Instant::now();
        let outcome = run(&bytes);
        let time = start.elapsed();
        let failed = time > LIMIT || (outcome.is_ok() && entry.expect == "reject");
        failures += usize::from(failed);
        let word = if failed { "FAILED" } else { "ok" };
        let text = outcome.map_or_else(|error| format!("{error:#}"), |()| "runs".into());
        println!("{word:6}  {:42} {:18} {:5} ms  {text}", entry.file, entry.expect, time.as_millis());
    }
    assert_eq!(failures, 0, "{failures} files");
}

fn run(bytes: &[u8]) -> Result<()> {
    let graph = import_tflite(bytes).context("importing")?;
    let compiled = compile(&graph, &CompileOptions::default()).context("compiling")?;
    let model = Model::from_bytes(&compiled.bytes).context("loading")?;
    let mut arena = AlignedBytes::from(&vec![0; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena).context("starting")?;
    session.invoke().context("running")
}
