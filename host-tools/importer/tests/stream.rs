//! Streamed models give the bits of the window model on the same history, on the host and on a Cortex-M4.

#[path = "support/history.rs"]
mod history;
mod support;
#[path = "support/temporal.rs"]
mod temporal;

use nervelet_compiler::{CompileOptions, Compiled, Graph, StreamOptions, Target, compile};
use nervelet_importer::import_tflite;
use nervelet_qemu::{Board, qemu_version};

use history::{History, outputs_of, runs};

/// The streaming wakeword of MLPerf Tiny: 30 frames of 40 features, no padding.
fn wakeword() -> Option<Graph> {
    let path = support::oracle()?.join("B_mlperf_tiny/mlperf_sww_int8/model.tflite");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(import_tflite(&bytes).expect("the wakeword model is taken"))
}

fn options(target: Target, frames: Option<usize>) -> CompileOptions {
    CompileOptions { target, stream: Some(StreamOptions { axis: None, frames }), ..CompileOptions::default() }
}

/// Compares the stream of a window model with the model itself on random histories, run by run. Returns both.
fn assert_streams(graph: &Graph, options: &CompileOptions, seed: u64) -> [Compiled; 2] {
    let window = compile(graph, &CompileOptions { stream: None, ..options.clone() }).unwrap();
    let stream = compile(graph, options).unwrap();
    let report = stream.streaming.clone().unwrap();
    assert!(report.equals_window, "{report:?}");
    let history = History::random(seed, &window, &stream, 3 * report.window);
    let found = runs(&stream, &history.parts(report.frames));
    let mut compared = 0;
    for (run, found) in found.iter().enumerate() {
        let end = (run + 1) * report.frames;
        let Some(start) = end.checked_sub(report.window) else { continue };
        assert!(*found == outputs_of(&window, &history.window(start, end)), "{} differs in run {run}", graph.name);
        compared += 1;
    }
    assert!(compared > report.window / report.frames, "{compared} runs compared");
    [window, stream]
}

#[test]
fn the_wakeword_streams() {
    let Some(graph) = wakeword() else { return };
    for target in [Target::Any, Target::Dsp] {
        for frames in [1, 2, 3, 14, 29] {
            let [window, stream] = assert_streams(&graph, &options(target, Some(frames)), frames as u64);
            let report = stream.streaming.as_ref().unwrap();
            println!("{target:?}, {frames} frames: arena {} of {}, {report:?}", stream.arena_bytes, window.arena_bytes);
            assert!(report.whole.is_empty() && !report.equals_sequence && report.window == 30);
        }
    }
}

/// The board with a Cortex-M4; without QEMU says so and gives nothing.
fn cortex_m4() -> Option<Board> {
    if let Err(error) = qemu_version() {
        println!("skipped: {error:#}");
        return None;
    }
    Some(Board::from_name("qemu-m4").expect("the board is part of the sources"))
}

/// Runs a stream on a board and compares it with the host; gives the instructions of a run of the window model and of a
/// run of the stream.
fn on_board(board: &Board, [window, stream]: &[Compiled; 2], seed: u64, count: usize) -> [u64; 2] {
    let history = History::random(seed, window, stream, count);
    let report = stream.streaming.as_ref().unwrap();
    let parts = history.parts(report.frames);
    let cases: Vec<_> = parts.iter().map(|part| vec![part.clone()]).collect();
    let run = board.run_stream(&stream.bytes, &cases).unwrap();
    assert!(run.outputs == runs(stream, &parts), "the stream differs on {}", board.name());
    let whole = board.bench(&window.bytes, &[history.window(0, report.window)]).unwrap();
    let step = board.bench(&stream.bytes, &[parts[0].clone()]).unwrap();
    let model = nervelet::Model::from_bytes(&stream.bytes).unwrap();
    for (record, cost) in model.steps().zip(&step.steps) {
        println!("  {:28} {:?} {}", record.name, record.kind(), cost.instructions);
    }
    [whole.total.instructions, step.total.instructions]
}

#[test]
fn a_frame_of_the_wakeword_costs_an_eighth_of_its_window() {
    let (Some(graph), Some(board)) = (wakeword(), cortex_m4()) else { return };
    let pair = assert_streams(&graph, &options(Target::Dsp, None), 7);
    let [whole, step] = on_board(&board, &pair, 8, 75);
    println!("wakeword: a window {whole} instructions, a frame {step}: 1/{:.1}", whole as f64 / step as f64);
    assert!(8 * step <= whole, "a frame costs {step} instructions, a window {whole}");
}
