//! The keyword spotting model of MLPerf Tiny on recordings of people: the benchmark's own inputs, and sound.
//!
//! Data sets are folders with `manifest.csv` (a line a row, with a `label`) beside `x.npy` or the recordings.

mod support;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ndarray::Array2;
use ndarray_npy::read_npy;
use nervelet::frontend::{Mfcc, MfccSettings, clip_peak};
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, Compiled, Target, compile};
use nervelet_importer::import_tflite;
use nervelet_qemu::{Board, qemu_version};
use serde::Deserialize;

const CLIP_SAMPLES: usize = 16_000;
/// Rows of a data set below which chance counts.
const FEW: usize = 500;

/// A line of `manifest.csv`.
#[derive(Deserialize)]
struct Row {
    label: usize,
    /// The recording, in data sets of sound.
    wav: Option<String>,
}

#[test]
fn the_benchmark_s_inputs_are_classified_as_well_as_by_its_reference() -> Result<()> {
    let Some((model, folder)) = model_and_data("kws_mlperf_kws01") else { return Ok(()) };
    let inputs = codes(&folder)?;
    let rows = manifest(&folder)?;
    ensure!(rows.len() == inputs.len(), "{} lines for {} inputs", rows.len(), inputs.len());
    let outputs = run(&compiled(&model, Target::Any)?, inputs.len(), |session, case| {
        session.input_mut(0)?.copy_from_slice(&inputs[case]);
        Ok(())
    })?;
    // The benchmark asks for 0.90 of its 1,000 inputs.
    report("the benchmark's inputs", &rows, &outputs, 0.90)
}

#[test]
fn recordings_are_classified_from_the_library_s_own_features() -> Result<()> {
    let Some((model, folder)) = model_and_data("kws_speech_commands_mini") else { return Ok(()) };
    let rows = manifest(&folder)?;
    let features = all_features(&folder, &rows)?;
    let outputs =
        run(&compiled(&model, Target::Any)?, rows.len(), |session, case| Ok(session.set_input(0, &features[case])?))?;
    // Other speakers than most of the benchmark's, a task as hard: the same bar.
    report("recordings", &rows, &outputs, 0.90)
}

/// Some recordings are in both data sets: as sound in one, as the features that TensorFlow made of it in the other.
#[test]
fn features_of_the_benchmark_s_own_recordings_are_its_inputs_code_for_code() -> Result<()> {
    let Some((model, folder)) = model_and_data("kws_speech_commands_mini") else { return Ok(()) };
    let Some((_, benchmark)) = model_and_data("kws_mlperf_kws01") else { return Ok(()) };
    let compiled = compiled(&model, Target::Any)?;
    let model = Model::from_bytes(&compiled.bytes)?;
    let input = model.inputs().first().and_then(|port| model.tensor(port.tensor)).context("the model has no input")?;
    // The benchmark cuts the fraction off, where a session rounds.
    let code = |feature: &f32| (feature / input.scale + input.zero_point as f32) as i8;

    let (inputs, rows) = (codes(&benchmark)?, manifest(&folder)?);
    let mut shared = 0;
    for (row, features) in rows.iter().zip(all_features(&folder, &rows)?) {
        let found: Vec<i8> = features.iter().map(code).collect();
        let distance = |input: &Vec<i8>| input.iter().zip(&found).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        let nearest = inputs.iter().map(distance).min().context("x.npy is empty")?;
        // Another word or speaker is further away than one code an element.
        if nearest < found.len() as u32 {
            ensure!(nearest == 0, "{:?} differs by {nearest} codes in all", row.wav);
            shared += 1;
        }
    }
    println!("{shared} recordings are inputs of the benchmark: all codes equal");
    ensure!(shared > 0 || inputs.len() < FEW, "none of {} recordings is an input of the benchmark", rows.len());
    Ok(())
}

#[test]
fn packed_for_a_cortex_m4_the_benchmark_s_inputs_give_there_the_bits_of_the_host() -> Result<()> {
    let Some((model, folder)) = model_and_data("kws_mlperf_kws01") else { return Ok(()) };
    if let Err(error) = qemu_version() {
        println!("skipped: {error:#}");
        return Ok(());
    }
    let mut inputs = codes(&folder)?;
    let stride = (inputs.len() / 40).max(1);
    inputs = inputs.into_iter().step_by(stride).take(40).collect();
    let on_host = |target| {
        run(&compiled(&model, target)?, inputs.len(), |session, case| {
            session.input_mut(0)?.copy_from_slice(&inputs[case]);
            Ok(())
        })
    };
    let expected = on_host(Target::Any)?;
    ensure!(on_host(Target::Dsp)? == expected, "packed weights give other bits on the host");

    let bytes = |codes: &Vec<i8>| codes.iter().map(|code| *code as u8).collect::<Vec<_>>();
    let cases: Vec<_> = inputs.iter().map(|codes| vec![bytes(codes)]).collect();
    let board = Board::from_name("qemu-m4")?;
    let found = board.run(&compiled(&model, Target::Dsp)?.bytes, &cases)?;
    let expected: Vec<_> = expected.iter().map(|codes| vec![bytes(codes)]).collect();
    ensure!(found.outputs == expected, "the device and the host differ");
    println!("{} inputs: the same bits; arena {}, stack {}", cases.len(), found.arena_bytes, found.stack_bytes);
    Ok(())
}

/// The model's file and the folder of a data set; where one is absent, says so and gives nothing.
fn model_and_data(name: &str) -> Option<(PathBuf, PathBuf)> {
    let model = support::oracle()?.join("B_mlperf_tiny/mlperf_kws_int8/model.tflite");
    let data = std::env::var_os("NERVELET_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"))
        .join(name);
    for path in [&model, &data] {
        if !path.exists() {
            println!("skipped: no {}", path.display());
            return None;
        }
    }
    Some((model, data))
}

fn compiled(model: &Path, target: Target) -> Result<Compiled> {
    let bytes = std::fs::read(model).with_context(|| format!("reading {}", model.display()))?;
    let graph = import_tflite(&bytes).context("importing")?;
    compile(&graph, &CompileOptions { target, ..CompileOptions::default() }).context("compiling")
}

fn manifest(folder: &Path) -> Result<Vec<Row>> {
    let path = folder.join("manifest.csv");
    let mut reader = csv::Reader::from_path(&path).with_context(|| format!("reading {}", path.display()))?;
    let rows = reader.deserialize().collect::<Result<Vec<_>, _>>();
    rows.with_context(|| format!("decoding {}", path.display()))
}

/// The rows of `x.npy`.
fn codes(folder: &Path) -> Result<Vec<Vec<i8>>> {
    let path = folder.join("x.npy");
    let array: Array2<i8> = read_npy(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(array.rows().into_iter().map(|row| row.to_vec()).collect())
}

/// The samples of a recording of 16 kHz and 16 bits.
fn recording(path: &Path) -> Result<Vec<i16>> {
    let mut reader = hound::WavReader::open(path).with_context(|| format!("reading {}", path.display()))?;
    let spec = reader.spec();
    let right = spec.channels == 1 && spec.sample_rate == 16_000 && spec.bits_per_sample == 16;
    ensure!(right, "{} is not 16 kHz mono of 16 bits: {spec:?}", path.display());
    let samples = reader.samples().collect::<Result<Vec<i16>, _>>();
    samples.with_context(|| format!("decoding {}", path.display()))
}

/// The features of each recording.
fn all_features(folder: &Path, rows: &[Row]) -> Result<Vec<Vec<f32>>> {
    let mut workspace = [0.0; MfccSettings::MLPERF_TINY_KWS.workspace()];
    let mut mfcc = Mfcc::new(&MfccSettings::MLPERF_TINY_KWS, &mut workspace)?;
    let features = rows.iter().map(|row| {
        let wav = row.wav.as_ref().context("a line names no recording")?;
        Ok(features(&mut mfcc, &recording(&folder.join(wav))?))
    });
    features.collect()
}

/// The features of a clip, as the benchmark prepares one.
fn features(mfcc: &mut Mfcc<'_>, clip: &[i16]) -> Vec<f32> {
    mfcc.reset();
    let peak = clip_peak(clip);
    let samples = clip.iter().map(|sample| f32::from(*sample) / peak).chain(std::iter::repeat(0.0));
    let mut features = Vec::new();
    for sample in samples.take(CLIP_SAMPLES) {
        features.extend(mfcc.push(sample).into_iter().flatten());
    }
    features
}

/// Runs a model on the host, case by case, and gives the codes of its first output.
fn run(
    compiled: &Compiled,
    cases: usize,
    mut fill: impl FnMut(&mut Session<'_, '_>, usize) -> Result<()>,
) -> Result<Vec<Vec<i8>>> {
    let model = Model::from_bytes(&compiled.bytes)?;
    let mut arena = AlignedBytes::from(&vec![0xA5; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena)?;
    let mut outputs = Vec::new();
    for case in 0..cases {
        fill(&mut session, case).with_context(|| format!("case {case}"))?;
        session.invoke().with_context(|| format!("case {case}"))?;
        outputs.push(session.output_bytes(0)?.iter().map(|byte| *byte as i8).collect());
    }
    Ok(outputs)
}

/// Prints the share of right answers and refuses one below the bar. Data sets below [`FEW`] rows are allowed two
/// standard errors below it.
fn report(what: &str, rows: &[Row], outputs: &[Vec<i8>], bar: f64) -> Result<()> {
    let answer = |scores: &Vec<i8>| {
        let best = scores.iter().max()?;
        scores.iter().position(|score| score == best)
    };
    let right = rows.iter().zip(outputs).filter(|(row, scores)| answer(scores) == Some(row.label)).count();
    let count = rows.len() as f64;
    let accuracy = right as f64 / count;
    let slack = if rows.len() < FEW { 2.0 * (bar * (1.0 - bar) / count).sqrt() } else { 0.0 };
    println!("{what}: {right} of {} right, {accuracy:.4}", rows.len());
    ensure!(accuracy >= bar - slack, "{what}: {accuracy:.4} right, at least {:.4} are asked for", bar - slack);
    Ok(())
}
