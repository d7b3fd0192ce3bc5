//! Streamed models give the bits of the window model on the same history, on the host and on a Cortex-M4.

#[path = "support/history.rs"]
mod history;
mod support;
#[path = "support/temporal.rs"]
mod temporal;

use anyhow::Result;
use nervelet::Model;
use nervelet_compiler::graph::{Cell, Op};
use nervelet_compiler::{CompileOptions, Compiled, Graph, StreamOptions, Target, compile, compile_quantized};
use nervelet_importer::import_tflite;
use nervelet_qemu::{Board, qemu_version};

use history::{History, outputs_of, runs};
use temporal::Temporal;

/// The streaming wakeword of MLPerf Tiny: 30 frames of 40 features, no padding.
fn wakeword() -> Option<Graph> {
    let path = support::oracle()?.join("B_mlperf_tiny/mlperf_sww_int8/model.tflite");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(import_tflite(&bytes).expect("the wakeword model is taken"))
}

/// The same with what its dense layer reads as a second output: random frames don't move its scores.
fn wakeword_with_features() -> Option<Graph> {
    let mut graph = wakeword()?;
    let dense = graph.nodes.iter().find(|node| matches!(node.op, Op::FullyConnected { .. })).expect("a dense layer");
    graph.outputs.push(dense.inputs[0]);
    Some(graph)
}

/// A model, compiled as a window or as a stream.
trait Source: Fn(Option<StreamOptions>) -> Result<Compiled> {}
impl<F: Fn(Option<StreamOptions>) -> Result<Compiled>> Source for F {}

/// A graph as it is.
fn as_is(graph: &Graph, target: Target) -> impl Source {
    move |stream| compile(graph, &CompileOptions { target, stream, ..CompileOptions::default() })
}

/// A graph quantized over random samples.
fn quantized(graph: &Graph, target: Target) -> impl Source {
    move |stream| {
        let (mut random, _) = Temporal::new("samples", 99, 1, 1);
        let elements = graph.tensor(graph.inputs[0]).elements();
        let samples: Vec<Vec<f32>> = (0..8).map(|_| random.values(elements, 1.0)).collect();
        let options = CompileOptions { target, stream, ..CompileOptions::default() };
        compile_quantized(graph, &options, samples.iter().map(|sample| vec![&sample[..]]))
    }
}

fn frames(frames: Option<usize>) -> StreamOptions {
    StreamOptions { axis: None, frames }
}

/// Compares a stream with its window model on a random history, run by run. Returns both.
fn assert_equals_window(source: impl Source, options: StreamOptions, seed: u64) -> [Compiled; 2] {
    let [window, stream] = [None, Some(options)].map(|stream| source(stream).unwrap());
    let report = stream.streaming.clone().unwrap();
    assert!(report.equals_window, "{report:?}");
    let history = History::random(seed, &window, &stream, 3 * report.window);
    let found = runs(&stream, &history.parts(report.frames));
    let mut expected = Vec::new();
    for (run, found) in found.iter().enumerate() {
        let end = (run + 1) * report.frames;
        let Some(start) = end.checked_sub(report.window) else { continue };
        expected.push(outputs_of(&window, &history.window(start, end)));
        assert!(Some(found) == expected.last(), "{report:?}: run {run} differs");
    }
    assert!(expected.len() > report.window / report.frames, "{} runs compared", expected.len());
    assert!(expected.windows(2).any(|pair| pair[0] != pair[1]), "the outputs never change");
    [window, stream]
}

#[test]
fn the_wakeword_streams() {
    let Some(graph) = wakeword_with_features() else { return };
    for target in [Target::Any, Target::Dsp] {
        for count in [1, 2, 3, 14, 29] {
            let [window, stream] = assert_equals_window(as_is(&graph, target), frames(Some(count)), count as u64);
            let report = stream.streaming.as_ref().unwrap();
            println!("{target:?}, {count} frames: arena {} of {}, {report:?}", stream.arena_bytes, window.arena_bytes);
            assert!(report.whole.is_empty() && !report.equals_sequence && report.window == 30);
        }
    }
}

#[test]
fn networks_without_padding_stream() {
    for seed in 0..3 {
        let graph = temporal::valid(seed);
        for count in [None, Some(8), Some(20)] {
            let [_, stream] = assert_equals_window(quantized(&graph, Target::Dsp), frames(count), seed);
            let report = stream.streaming.as_ref().unwrap();
            assert_eq!(report.frames, count.unwrap_or(4));
            assert_eq!(report.whole.iter().map(|layer| &layer.name[..]).collect::<Vec<_>>(), ["mean 8"], "{report:?}");
        }
        assert_equals_window(as_is(&graph, Target::Any), frames(None), seed);
    }
}

/// Compares a stream with the model of the whole sequence, whose first output has a row for each step.
fn assert_equals_sequence(source: impl Source, options: StreamOptions, seed: u64) -> [Compiled; 2] {
    let [whole, stream] = [None, Some(options)].map(|stream| source(stream).unwrap());
    let report = stream.streaming.clone().unwrap();
    assert!(report.equals_sequence && report.whole.is_empty(), "{report:?}");
    let history = History::random(seed, &whole, &stream, report.window);
    let found = runs(&stream, &history.parts(report.frames));
    let expected = outputs_of(&whole, &history.window(0, report.window));
    let all: Vec<u8> = found.iter().flat_map(|outputs| outputs[0].iter().copied()).collect();
    assert!(all == expected[0], "{report:?}: the sequence differs");
    let row = all.len() / report.window;
    assert!(all.chunks(row).any(|other| other != &all[..row]), "the outputs never change");
    assert!(found.last().unwrap()[1..] == expected[1..], "{report:?}: the last step differs");
    [whole, stream]
}

#[test]
fn causal_networks_with_recurrent_layers_stream() {
    for (seed, cell) in [(1, Cell::Gru { reset_after: true }), (2, Cell::Lstm)] {
        let graph = temporal::causal(seed, 48, cell);
        for count in [None, Some(6)] {
            let [_, stream] = assert_equals_sequence(quantized(&graph, Target::Dsp), frames(count), seed);
            let report = stream.streaming.unwrap();
            assert!(!report.equals_window && report.frames == count.unwrap_or(2), "{report:?}");
            assert_equals_sequence(as_is(&graph, Target::Any), frames(count), seed);
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

/// Runs a stream on a board and compares it with the host.
fn assert_equal_on_board(board: &Board, [window, stream]: &[Compiled; 2], seed: u64) {
    let report = stream.streaming.as_ref().unwrap();
    let parts = History::random(seed, window, stream, 2 * report.window).parts(report.frames);
    let cases: Vec<_> = parts.iter().map(|part| vec![part.clone()]).collect();
    let run = board.run_stream(&stream.bytes, &cases).unwrap();
    let expected = runs(stream, &parts);
    assert!(run.outputs == expected, "the stream differs on {}", board.name());
    assert!(expected.windows(2).any(|pair| pair[0] != pair[1]), "the outputs never change");
}

/// Instructions of a run of the window model and of a run of the stream.
fn costs(board: &Board, [window, stream]: &[Compiled; 2], seed: u64) -> [u64; 2] {
    let report = stream.streaming.as_ref().unwrap();
    let history = History::random(seed, window, stream, report.window);
    let whole = board.bench(&window.bytes, &[history.window(0, report.window)]).unwrap();
    let part = board.bench(&stream.bytes, &[history.window(0, report.frames)]).unwrap();
    let model = Model::from_bytes(&stream.bytes).unwrap();
    for (step, cost) in model.steps().zip(&part.steps) {
        println!("  {:32} {:24} {}", step.name, format!("{:?}", step.kind().unwrap()), cost.instructions);
    }
    let [whole, part] = [whole, part].map(|bench| bench.total.instructions);
    println!("a window {whole} instructions, {} frames {part}: 1/{:.1}", report.frames, whole as f64 / part as f64);
    println!("arena of the window {} bytes, of the stream {}", window.arena_bytes, stream.arena_bytes);
    [whole, part]
}

#[test]
fn a_frame_of_the_wakeword_costs_an_eighth_of_its_window() {
    let (Some(graph), Some(board)) = (wakeword(), cortex_m4()) else { return };
    let pair = |graph: &Graph| [None, Some(frames(None))].map(|stream| as_is(graph, Target::Dsp)(stream).unwrap());
    assert_equal_on_board(&board, &pair(&wakeword_with_features().unwrap()), 5);
    let [whole, part] = costs(&board, &pair(&graph), 6);
    assert!(8 * part <= whole, "a frame costs {part} instructions, a window {whole}");
}

#[test]
fn temporal_networks_are_the_same_on_a_board() {
    let Some(board) = cortex_m4() else { return };
    for graph in [temporal::valid(1), temporal::causal(1, 48, Cell::Gru { reset_after: true })] {
        let pair = [None, Some(frames(None))].map(|stream| quantized(&graph, Target::Dsp)(stream).unwrap());
        assert_equal_on_board(&board, &pair, 7);
        let [whole, part] = costs(&board, &pair, 8);
        let frames = pair[1].streaming.as_ref().unwrap().frames as u64;
        assert!(8 * part <= whole * frames, "{frames} frames cost {part} instructions, a window {whole}");
    }
}
