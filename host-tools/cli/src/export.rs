//! `nervelet export`: a run becomes a model file, and the proof that host and device agree on it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, Compiled, StreamOptions, Target, compile, compile_quantized};
use nervelet_trainer::Run;
use nervelet_trainer::dataset::{Dataset, Split};
use nervelet_trainer::metrics::{Scores, argmax};
use serde::Serialize;

use crate::execute::{self, Inputs, Place};
use crate::export_report;
use crate::stream::{self, StreamArguments};

#[derive(clap::Args)]
pub struct Arguments {
    /// The run folder that training left.
    run: PathBuf,
    /// The model file.
    #[arg(short, long)]
    output: PathBuf,
    /// The folder with the dataset [default: where it was in training].
    #[arg(long)]
    data: Option<PathBuf>,
    /// Keeps f32 instead of quantizing to int8.
    #[arg(long)]
    float: bool,
    /// Leaves the f32 head out of the file: smaller, but devices can't fine-tune.
    #[arg(long)]
    frozen: bool,
    /// The core that weights are packed for: m4, m7, m33, m3, m0 or m55 run faster on these, and on no other board; any
    /// runs on all. With m4-wide, m7-wide or m33-wide dense layers have weights of 16 bits: faster, and twice as large.
    #[arg(long, default_value = "any", value_name = "CORE")]
    target: Target,
    #[command(flatten)]
    stream: StreamArguments,
    /// Compares host and this board bit for bit on test samples; `host` skips the comparison.
    #[arg(long, default_value = "qemu-m4", value_name = "BOARD")]
    verify: Place,
    /// Test samples to compare host and board on.
    #[arg(long, default_value_t = 256)]
    verify_samples: usize,
    /// Writes the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What the export measured.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// Bytes of the file, its constants, its arena and the arena's floor.
    pub file_bytes: usize,
    /// Weights, biases, tables.
    pub weights_bytes: usize,
    /// The arena that the plan needs.
    pub arena_bytes: usize,
    /// The most bytes alive at one step.
    pub arena_floor_bytes: usize,
    /// `int8` or `float32`.
    pub data_type: &'static str,
    /// Scores of the float network and of the model file on the test split, for a classifier.
    pub scores: Option<[Scores; 2]>,
    /// Share of test samples where both give the same class.
    pub agreement: Option<f64>,
    /// Mean squared error of both on the test split, in normalised units, for an autoencoder or a regression.
    pub errors: Option<[f64; 2]>,
    /// The board compared with, samples compared, output values that differ.
    pub verified: Option<Verified>,
}

/// A comparison of host and board.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The board.
    pub board: String,
    /// Samples compared.
    pub samples: usize,
    /// Samples with any differing bit.
    pub differing: usize,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let run = Run::open(&arguments.run)?;
    let dataset = run.dataset(arguments.data.as_deref())?;
    let graph = run.graph()?;
    let calibration = if arguments.float { Vec::new() } else { run.calibration_rows(&dataset) };
    if !arguments.float {
        println!("calibrating on {} training samples", calibration.len());
    }
    let build = |stream: Option<StreamOptions>| {
        let options = CompileOptions { trainable_head: !arguments.frozen, target: arguments.target, stream };
        match arguments.float {
            true => compile(&graph, &options),
            false => compile_quantized(&graph, &options, calibration.iter().map(|row| dataset.inputs(*row))),
        }
    };
    // Scores are those of the window: what a stream gives, too, which is compared below.
    let window = build(None)?;
    let streamed = arguments.stream.options().map(|options| build(Some(options))).transpose()?;
    let compiled = streamed.as_ref().unwrap_or(&window);
    if let Some(folder) = arguments.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    std::fs::write(&arguments.output, &*compiled.bytes)
        .with_context(|| format!("can't write {}", arguments.output.display()))?;
    let model = Model::from_bytes(&compiled.bytes)?;
    println!(
        "{}: {} bytes, weights {}, arena {} (liveness floor {})",
        arguments.output.display(),
        compiled.bytes.len(),
        model.constants().len(),
        compiled.arena_bytes,
        compiled.arena_floor_bytes
    );

    let mut rows = dataset.split(Split::Test);
    if rows.is_empty() {
        rows = dataset.split(Split::Val);
    }
    let inputs = execute::encode_rows(&Model::from_bytes(&window.bytes)?, &dataset, &rows)?;
    let mut results = measure(&run, &dataset, &window, &rows, &inputs, arguments.float)?;
    results.verified = verify(arguments, &window, &inputs)?;
    if let Some(streamed) = &streamed {
        results.file_bytes = streamed.bytes.len();
        results.weights_bytes = model.constants().len();
        (results.arena_bytes, results.arena_floor_bytes) = (streamed.arena_bytes, streamed.arena_floor_bytes);
        let chosen: Inputs = inputs.iter().take(arguments.verify_samples).cloned().collect();
        streamed.streaming.iter().for_each(stream::describe);
        stream::verify(&window, streamed, &chosen, &arguments.verify)?;
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&results)?)
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    export_report::add(&run, &dataset, &results)?;
    println!("report: {}", run.folder().join("report.html").display());
    match results.verified {
        Some(Verified { differing, samples, board }) if differing > 0 => {
            bail!("host and {board} differ on {differing} of {samples} samples")
        }
        _ => Ok(()),
    }
}

/// Scores the float network and the model file side by side.
fn measure(
    run: &Run,
    dataset: &Dataset,
    compiled: &Compiled,
    rows: &[usize],
    inputs: &Inputs,
    float: bool,
) -> Result<Results> {
    let model = Model::from_bytes(&compiled.bytes)?;
    let outputs = reals(&compiled.bytes, inputs)?;
    let reference = run.evaluate_float(dataset, rows)?;
    let mut results = Results {
        file_bytes: compiled.bytes.len(),
        weights_bytes: model.constants().len(),
        arena_bytes: compiled.arena_bytes,
        arena_floor_bytes: compiled.arena_floor_bytes,
        data_type: if float { "float32" } else { "int8" },
        scores: None,
        agreement: None,
        errors: None,
        verified: None,
    };
    if model.classes().next().is_some() {
        let classes = dataset.classes.len();
        let labels: Vec<usize> = rows.iter().map(|row| dataset.rows[*row].label).collect();
        let best = |outputs: &[Vec<f32>]| outputs.iter().map(|values| argmax(values)).collect::<Vec<_>>();
        let (float, quantized) = (best(&reference), best(&outputs));
        let same = float.iter().zip(&quantized).filter(|(float, quantized)| float == quantized).count();
        let scores = [&float, &quantized].map(|predictions| Scores::new(classes, &labels, predictions, 0.0));
        println!("{:>10} {:>9} {:>9}", "test", "accuracy", "macro F1");
        for (name, scores) in [("float", &scores[0]), (results.data_type, &scores[1])] {
            println!("{name:>10} {:>9.4} {:>9.4}", scores.accuracy, scores.macro_f1);
        }
        println!("same class on {same} of {} samples", rows.len());
        results.agreement = Some(same as f64 / rows.len().max(1) as f64);
        results.scores = Some(scores);
    } else {
        let checkpoint = run.checkpoint();
        let normalized = |row: &usize| match &checkpoint.target {
            Some(target) => target.apply(dataset.target(*row)),
            None => checkpoint.input.apply(dataset.example(*row)),
        };
        let targets: Vec<Vec<f32>> = rows.iter().map(normalized).collect();
        let error = |outputs: &[Vec<f32>]| {
            let squares = outputs.iter().zip(&targets).map(|(output, target)| {
                // A regression's outputs have the units of what they predict.
                let output = checkpoint.target.as_ref().map_or_else(|| output.clone(), |target| target.apply(output));
                output.iter().zip(target).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
                    / target.len().max(1) as f64
            });
            squares.sum::<f64>() / rows.len().max(1) as f64
        };
        let errors = [error(&reference), error(&outputs)];
        println!("mean squared error: float {:.5}, {} {:.5}", errors[0], results.data_type, errors[1]);
        results.errors = Some(errors);
    }
    Ok(results)
}

/// The real values of the first output of each case, on the host.
fn reals(bytes: &[u8], inputs: &Inputs) -> Result<Vec<Vec<f32>>> {
    let model = Model::from_bytes(bytes)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena)?;
    let mut outputs = Vec::with_capacity(inputs.len());
    for case in inputs {
        for (index, bytes) in case.iter().enumerate() {
            session.input_bytes_mut(index)?.copy_from_slice(bytes);
        }
        session.invoke()?;
        outputs.push(session.output_values(0)?.collect());
    }
    Ok(outputs)
}

/// Runs test samples on host and board and compares every output bit.
fn verify(arguments: &Arguments, compiled: &Compiled, inputs: &Inputs) -> Result<Option<Verified>> {
    let Place::Board(board) = &arguments.verify else { return Ok(None) };
    ensure!(arguments.verify_samples > 0, "--verify-samples is 0: give --verify host to compare nothing");
    let chosen: Inputs = inputs.iter().take(arguments.verify_samples).cloned().collect();
    let on_host = execute::run(&Place::Host, &compiled.bytes, &chosen)?;
    let on_board = execute::run(&arguments.verify, &compiled.bytes, &chosen).with_context(|| {
        format!("comparing with {board} (the model file is written; --verify host leaves this out)")
    })?;
    let differing = on_host.iter().zip(&on_board).filter(|(host, board)| host != board).count();
    println!("host = {board}, bit for bit: {} of {} test samples", chosen.len() - differing, chosen.len());
    Ok(Some(Verified { board: board.clone(), samples: chosen.len(), differing }))
}
