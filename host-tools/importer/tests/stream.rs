//! Streamed models give the bits of the window model on the same history, on the host and on a Cortex-M4.

#[path = "support/history.rs"]
mod history;
mod support;
#[path = "support/temporal.rs"]
mod temporal;

use anyhow::Result;
use nervelet::{Model, Session};
use nervelet_compiler::graph::{Cell, Op};
use nervelet_compiler::{
    AlignedBytes, CompileOptions, Compiled, Graph, StreamOptions, Target, compile, compile_quantized, index_map,
};
use nervelet_importer::import_tflite;
use nervelet_qemu::{Board, qemu_version};

use history::{History, outputs_of, runs};
use temporal::Temporal;

/// The streaming wakeword of MLPerf Tiny: 30 frames of 40 features, no padding.
fn wakeword() -> Option<Graph> {
    mlperf("sww")
}

/// A model of MLPerf Tiny.
fn mlperf(name: &str) -> Option<Graph> {
    let path = support::oracle()?.join(format!("B_mlperf_tiny/mlperf_{name}_int8/model.tflite"));
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(import_tflite(&bytes).expect("the model is taken"))
}

/// The same with what its dense layer reads as a second output: random frames don't move its scores.
fn wakeword_with_features() -> Option<Graph> {
    Some(with_features(wakeword()?))
}

fn with_features(mut graph: Graph) -> Graph {
    let dense = graph.nodes.iter().find(|node| matches!(node.op, Op::FullyConnected { .. })).expect("a dense layer");
    graph.outputs.push(dense.inputs[0]);
    graph
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

#[test]
fn padding_on_both_sides_costs_the_ends_of_the_window() {
    let Some(graph) = mlperf("kws").map(with_features) else { return };
    for target in [Target::Any, Target::Dsp] {
        for count in [None, Some(4)] {
            let [_, stream] = assert_equals_window(as_is(&graph, target), frames(count), 3);
            let report = stream.streaming.unwrap();
            assert_eq!(report.frames, count.unwrap_or(2));
            assert_eq!(report.whole.len(), 1, "only the pool takes the whole window: {report:?}");
        }
    }
}

#[test]
fn padding_in_front_is_computed_anew_for_a_mean_over_time() {
    for (seed, padding) in [(1, [2, 0]), (2, [1, 1]), (3, [0, 2])] {
        let (mut net, x) = Temporal::new("padded, then all of time", seed, 40, 4);
        let x = net.conv(x, 8, Temporal::window(3, 1, 1, padding));
        let x = net.max_pool(x, Temporal::window(2, 2, 1, [0, 0]));
        let x = net.depthwise(x, Temporal::window(3, 1, 1, padding));
        let x = net.conv(x, 8, Temporal::window(3, 2, 1, padding));
        let x = net.mean(x);
        let x = net.dense(x, 3);
        let graph = net.finish(&[x]);
        for count in [None, Some(8)] {
            assert_equals_window(quantized(&graph, Target::Dsp), frames(count), seed);
            assert_equals_window(as_is(&graph, Target::Any), frames(count), seed);
        }
    }
}

#[test]
fn time_may_lie_behind_the_channels() {
    // As PyTorch has it: channels first, then transposed for the layers.
    let (mut net, x) = Temporal::new("channels first", 4, 1, 1);
    net.graph.tensor_mut(x).shape = vec![1, 6, 40];
    let map = index_map::transpose(&[1, 6, 40], &[0, 2, 1]).unwrap();
    let x = net.node(Op::Rearrange(map), vec![x], &[&[1, 1, 40, 6]])[0];
    let x = net.conv(x, 8, Temporal::window(5, 2, 1, [0, 0]));
    let x = net.mean(x);
    let x = net.dense(x, 3);
    let graph = net.finish(&[x]);
    let options = StreamOptions { axis: Some(2), frames: None };
    let [_, stream] = assert_equals_window(quantized(&graph, Target::Any), options, 5);
    assert_eq!(history::input(&stream).shape(), [1, 6, 2]);
}

#[test]
fn streams_share_a_session_and_start_anew() {
    let Some(wakeword) = wakeword_with_features() else { return };
    let recurrent = temporal::causal(3, 24, Cell::Lstm);
    for source in [&as_is(&wakeword, Target::Any) as &dyn Source, &quantized(&recurrent, Target::Any)] {
        let [window, stream] = [None, Some(frames(None))].map(|stream| source(stream).unwrap());
        let report = stream.streaming.as_ref().unwrap();
        let parts = [1, 2].map(|seed| History::random(seed, &window, &stream, 60).parts(report.frames));
        let expected = parts.each_ref().map(|parts| runs(&stream, parts));
        assert!(expected[0] != expected[1], "two histories give the same");
        let model = Model::from_bytes(&stream.bytes).unwrap();
        let mut arena = AlignedBytes::from(&vec![0x5A; stream.arena_bytes][..]);
        let mut session = Session::new(&model, &mut arena).unwrap();
        assert_eq!(session.state_bytes(), report.state_bytes);
        let mut states = [(); 2].map(|()| vec![0; report.state_bytes]);
        for state in &mut states {
            session.save_state(state).unwrap();
        }
        for number in 0..parts[0].len() {
            for stream in 0..2 {
                session.restore_state(&states[stream]).unwrap();
                assert_eq!(history::run(&mut session, &parts[stream][number]), expected[stream][number]);
                session.save_state(&mut states[stream]).unwrap();
            }
        }
        session.reset();
        let again: Vec<_> = parts[0].iter().map(|part| history::run(&mut session, part)).collect();
        assert!(again == expected[0], "a reset left something behind");
    }
}

/// Why a graph can't be streamed.
fn refusal(graph: &Graph, options: StreamOptions) -> String {
    let error = as_is(graph, Target::Any)(Some(options)).unwrap_err();
    format!("{error:#}")
}

#[test]
fn what_cannot_stream_says_which_layer_and_why() {
    let (mut net, x) = Temporal::new("wide", 1, 20, 4);
    let x = net.conv(x, 4, Temporal::window(21, 1, 1, [10, 10]));
    let x = net.mean(x);
    let error = refusal(&net.finish(&[x]), frames(None));
    assert!(error.contains("from `conv_2d 0` on: its padding reaches 10 columns behind the window"), "{error}");

    let (mut net, x) = Temporal::new("padded by another layer, then all of time", 1, 20, 4);
    let x = net.pad(x, 2);
    let x = net.softmax(x);
    let x = net.conv(x, 4, Temporal::window(3, 1, 1, [0, 0]));
    let x = net.mean(x);
    let error = refusal(&net.finish(&[x]), frames(None));
    assert!(error.contains("`pad 0` pads 2 columns in front of the window"), "{error}");
    assert!(error.contains("`softmax 1` computes on padding in time"), "{error}");

    let (mut net, x) = Temporal::new("both directions", 1, 20, 4);
    let [forwards, backwards] = [false, true].map(|reverse| {
        let cell = Cell::Gru { reset_after: true };
        net.recurrent(x, cell, 4, reverse)[0]
    });
    let x = net.node(Op::Concatenation { axis: 2 }, vec![forwards, backwards], &[&[1, 20, 8]])[0];
    let error = refusal(&net.finish(&[x]), frames(None));
    assert!(error.contains("`gru 0` remembers every frame since the reset"), "{error}");
    assert!(error.contains("`gru 1` takes the whole window: it runs backwards from the newest frame"), "{error}");

    let (mut net, x) = Temporal::new("one row", 1, 20, 4);
    let x = net.node(Op::Reshape, vec![x], &[&[1, 80]])[0];
    let x = net.dense(x, 4);
    let error = refusal(&net.finish(&[x]), frames(None));
    assert!(error.contains("no layer can be computed for new frames alone"), "{error}");

    let graph = temporal::valid(1);
    let error = refusal(&graph, frames(Some(6)));
    assert!(error.contains("`conv_2d 7` moves 2 columns at a time") && error.contains("give 12"), "{error}");
    let error = refusal(&graph, frames(Some(64)));
    assert!(error.contains("64 new frames are not less than the window of 64"), "{error}");
    let error = refusal(&graph, StreamOptions { axis: Some(7), frames: None });
    assert!(error.contains("has no axis 7"), "{error}");
}

#[test]
fn a_layer_that_remembers_takes_the_window_where_no_sequence_starts() {
    let (mut net, x) = Temporal::new("valid, then recurrent", 6, 24, 4);
    let x = net.conv(x, 8, Temporal::window(3, 1, 1, [0, 0]));
    let x = net.recurrent(x, Cell::Gru { reset_after: true }, 8, false)[1];
    let x = net.dense(x, 3);
    let graph = net.finish(&[x]);
    let [_, stream] = assert_equals_window(quantized(&graph, Target::Any), frames(None), 9);
    let whole = &stream.streaming.as_ref().unwrap().whole;
    assert!(
        whole.iter().any(|layer| layer.name == "gru 1" && layer.reason.contains("`conv_2d 0` looks 2 columns back"))
    );
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
fn keyword_spotting_with_padding_is_the_same_on_a_board() {
    let (Some(graph), Some(board)) = (mlperf("kws"), cortex_m4()) else { return };
    let pair = |graph: &Graph| [None, Some(frames(None))].map(|stream| as_is(graph, Target::Dsp)(stream).unwrap());
    assert_equal_on_board(&board, &pair(&with_features(graph.clone())), 5);
    let [whole, part] = costs(&board, &pair(&graph), 6);
    assert!(20 * part <= 11 * whole, "two frames cost {part} instructions, a window {whole}");
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
