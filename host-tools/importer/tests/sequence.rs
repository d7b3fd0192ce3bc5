//! Integer sequence models: how far they are from the float models they came from, and that they are the same on devices.

#[path = "support/device.rs"]
mod device;
#[path = "support/layers.rs"]
mod layers;
#[path = "support/quality.rs"]
mod quality;
mod support;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use ndarray::{ArrayD, Axis};
use ndarray_npy::read_npy;
use nervelet::ops::DataType;
use nervelet::{Model, Session};
use nervelet_compiler::graph::{Activation, Cell, Graph, Op, Tensor};
use nervelet_compiler::{AlignedBytes, CompileOptions, Precision, Target, compile, compile_quantized, macs};
use nervelet_importer::import_onnx;

use layers::{CELLS, Layers};
use quality::{Sample, decibels, measure, normal, run};

/// The runs of a case of the golden material.
fn samples(folder: &Path, inputs: usize) -> Result<Vec<Sample>> {
    let files = (0..inputs).map(|index| match index {
        0 => folder.join("inputs.npy"),
        index => folder.join(format!("inputs_{index}.npy")),
    });
    let arrays: Vec<ArrayD<f32>> =
        files.map(|file| read_npy(&file).with_context(|| file.display().to_string())).collect::<Result<_>>()?;
    let cases = arrays.first().context("no inputs")?.len_of(Axis(0));
    let case = |array: &ArrayD<f32>, case: usize| array.index_axis(Axis(0), case).iter().copied().collect();
    Ok((0..cases).map(|number| arrays.iter().map(|array| case(array, number)).collect()).collect())
}

#[test]
fn recurrent_models_of_pytorch_keep_their_quality() {
    let Some(root) = support::oracle() else { return };
    for name in ["rnn_10_20_2", "gru_10_20_2", "gru_bidir_8_12", "gru_classifier_6_24_5", "lstm_10_20_2"] {
        for file in ["model.onnx", "model_ts.onnx"] {
            let folder = root.join("C_pytorch_f32").join(name);
            let Ok(bytes) = std::fs::read(folder.join(file)) else {
                println!("skipped: no {}/{file}", folder.display());
                continue;
            };
            let check = || -> Result<()> {
                let graph = import_onnx(&bytes)?;
                if !graph.nodes.iter().any(|node| matches!(node.op, Op::Recurrent { .. })) {
                    println!("{name}/{file}: the exporter unrolled the layer");
                    return Ok(());
                }
                let samples = samples(&folder, graph.inputs.len())?;
                let (integer, quality) = measure(&graph, Precision::Wide, &samples, &samples)?;
                let kinds: Vec<_> = integer.inputs.iter().map(|id| integer.tensor(*id).data_type).collect();
                ensure!(kinds == [DataType::Int16], "inputs are {kinds:?}");
                for (output, quality) in quality.iter().enumerate() {
                    println!("{name}/{file}, output {output}: {quality:.1?} dB");
                    ensure!(quality.arithmetic >= 65.0, "the arithmetic of output {output} has {quality:.1?} dB");
                    ensure!(quality.total >= quality.floor - 0.5, "output {output} is below its floor: {quality:.1?}");
                }
                Ok(())
            };
            check().with_context(|| format!("{name}/{file}")).unwrap();
        }
    }
}

/// Two layers, the first in both directions, over some sequences.
fn network(seed: u64, cell: Cell, [time, depth, units]: [usize; 3], count: usize) -> (Graph, Vec<Sample>) {
    let (mut layers, x) = Layers::new(seed, time, depth);
    let below = layers.bidirectional(x, cell, units);
    let outputs = layers.recurrent(below, cell, units, false);
    layers.graph.outputs = outputs;
    let samples = (0..count).map(|_| vec![normal(&mut layers.random, time * depth)]).collect();
    (layers.graph, samples)
}

#[test]
fn random_networks_keep_their_quality() {
    for cell in CELLS {
        for (seed, extents) in [(1, [40, 10, 20]), (2, [25, 7, 33]), (3, [30, 1, 48])] {
            let (graph, samples) = network(seed, cell, extents, 12);
            let (calibration, tests) = samples.split_at(6);
            let (_, quality) = measure(&graph, Precision::Wide, calibration, tests).unwrap();
            for (output, quality) in quality.iter().enumerate() {
                println!("{cell:?} {extents:?}, output {output}: {quality:.1?} dB");
                assert!(quality.arithmetic >= 65.0, "{cell:?} {extents:?}, output {output}: {quality:.1?}");
                assert!(quality.total >= quality.floor - 0.5, "{cell:?} {extents:?}, output {output}: {quality:.1?}");
            }
        }
    }
}

#[test]
fn errors_do_not_accumulate_over_two_thousand_steps() {
    const STEPS: usize = 2_000;
    for cell in [Cell::Gru { reset_after: true }, Cell::Lstm, Cell::Rnn { activation: Activation::None }] {
        let (mut layers, x) = Layers::new(11, STEPS, 8);
        let outputs = layers.recurrent(x, cell, 24, false);
        layers.graph.outputs = outputs[..1].to_vec();
        let samples = [vec![normal(&mut layers.random, STEPS * 8)]];
        let (integer, _) = measure(&layers.graph, Precision::Wide, &samples, &samples).unwrap();
        let exact = quality::exact(&layers.graph, &integer);
        let (exact, integer) = (run(&exact, &samples).unwrap(), run(&integer, &samples).unwrap());
        let parts = exact[0].chunks(STEPS / 4 * 24).zip(integer[0].chunks(STEPS / 4 * 24));
        let quality: Vec<f64> = parts.map(|(exact, integer)| decibels(exact, integer)).collect();
        println!("{cell:?}: {quality:.1?} dB over each 500 steps");
        assert!(quality.iter().all(|quality| *quality >= 65.0), "{quality:?}");
        assert!(quality[3] >= quality[0] - 3.0, "the error grows: {quality:?}");
    }
}

/// The bytes of the outputs after some runs, one behind the other.
fn outputs(session: &mut Session<'_, '_>, samples: &[Vec<f32>]) -> Vec<Vec<u8>> {
    let one = |values: &Vec<f32>| {
        session.set_input(0, values).unwrap();
        session.invoke().unwrap();
        session.output_bytes(0).unwrap().to_vec()
    };
    samples.iter().map(one).collect()
}

#[test]
fn a_stream_step_by_step_equals_the_whole_sequence() {
    let (time, depth) = (12, 5);
    for cell in CELLS {
        let build = |time: usize| {
            let (mut layers, x) = Layers::new(5, time, depth);
            let below = layers.recurrent(x, cell, 9, false)[0];
            let outputs = layers.recurrent(below, cell, 6, false);
            layers.graph.outputs = outputs[..1].to_vec();
            layers
        };
        let (mut whole, mut stream) = (build(time), build(1).graph);
        let values = normal(&mut whole.random, time * depth);
        let steps: Vec<Vec<f32>> = values.chunks(depth).map(<[f32]>::to_vec).collect();
        assert_eq!(stream.keep_states(), 2);
        let float = compile(&whole.graph, &CompileOptions::default()).unwrap();
        let float_stream = compile(&stream, &CompileOptions::default()).unwrap();
        // Both are quantized over the same stream: the one as a whole, the other step by step.
        let integer = compile_quantized(&whole.graph, &CompileOptions::default(), [vec![&values[..]]]).unwrap();
        let samples = steps.iter().map(|step| vec![&step[..]]);
        let integer_stream = compile_quantized(&stream, &CompileOptions::default(), samples).unwrap();
        for (whole, stream) in [(float, float_stream), (integer, integer_stream)] {
            let (model, step_model) =
                (Model::from_bytes(&whole.bytes).unwrap(), Model::from_bytes(&stream.bytes).unwrap());
            let mut arena = AlignedBytes::zeroed(whole.arena_bytes);
            let mut session = Session::new(&model, &mut arena).unwrap();
            assert_eq!(session.state_bytes(), 0);
            let expected = outputs(&mut session, std::slice::from_ref(&values)).concat();

            let mut arena = AlignedBytes::from(&vec![0xA5; stream.arena_bytes][..]);
            let mut session = Session::new(&step_model, &mut arena).unwrap();
            assert_eq!(outputs(&mut session, &steps).concat(), expected, "{cell:?}");
            assert_ne!(outputs(&mut session, &steps).concat(), expected, "{cell:?} forgot without a reset");
            session.reset();
            outputs(&mut session, &steps[..4]);
            let mut saved = vec![0; session.state_bytes()];
            assert_eq!(
                session.save_state(&mut saved[1..]).unwrap_err(),
                nervelet::session::Error::Length { need: saved.len(), have: saved.len() - 1 }
            );
            session.save_state(&mut saved).unwrap();
            let continued = outputs(&mut session, &steps[4..]);
            assert_eq!(continued.concat(), expected[expected.len() / time * 4..]);
            session.restore_state(&saved).unwrap();
            assert_eq!(outputs(&mut session, &steps[4..]), continued, "{cell:?}");
        }
    }
}

#[test]
fn a_recurrent_encoder_has_a_head_that_devices_train() {
    let (mut layers, x) = Layers::new(21, 10, 6);
    let last = layers.recurrent(x, Cell::Gru { reset_after: true }, 16, false)[1];
    let logits = layers.dense(last, 3);
    layers.graph.outputs = vec![logits];
    layers.graph.classes = ["a", "b", "c"].map(String::from).to_vec();
    let samples: Vec<_> = (0..8).map(|_| normal(&mut layers.random, 60)).collect();
    let slices = samples.iter().map(|sample| vec![&sample[..]]);
    let compiled = compile_quantized(&layers.graph, &CompileOptions::default(), slices).unwrap();
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let head = model.head().unwrap();
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).unwrap();
    for sample in &samples {
        session.set_input(0, sample).unwrap();
        let (scale, zero_point) = (head.features.scale, head.features.zero_point);
        let features = session.features().unwrap().iter().map(|code| scale * (i32::from(*code) - zero_point) as f32);
        let features: Vec<f32> = features.collect();
        let rows = head.weights.chunks_exact(features.len()).zip(head.bias);
        let logits: Vec<f32> =
            rows.map(|(row, bias)| bias + row.iter().zip(&features).map(|(w, x)| w * x).sum::<f32>()).collect();
        session.set_input(0, sample).unwrap();
        session.invoke().unwrap();
        let found: Vec<f32> = session.output_values(0).unwrap().collect();
        assert!(decibels(&logits, &found) > 30.0, "{logits:?}, {found:?}");
    }
}

#[test]
fn integer_layers_are_the_same_on_a_cortex_m4() {
    let Some(board) = device::cortex_m4() else { return };
    for (seed, cell) in CELLS.into_iter().enumerate() {
        let extents = [[9, 10, 20], [4, 13, 7], [3, 1, 1], [5, 40, 64], [6, 3, 30]][seed];
        let (graph, samples) = network(seed as u64, cell, extents, 6);
        let (integer, _) = measure(&graph, Precision::Wide, &samples, &samples).unwrap();
        device::assert_equal(&board, &integer, &samples);
    }
}

#[test]
fn recurrent_layers_take_few_instructions_on_a_cortex_m4() {
    let Some(board) = device::cortex_m4() else { return };
    for cell in [Cell::Gru { reset_after: true }, Cell::Lstm] {
        let (mut layers, x) = Layers::new(3, 4, 40);
        let outputs = layers.recurrent(x, cell, 64, false);
        layers.graph.outputs = outputs[..1].to_vec();
        let samples = [vec![normal(&mut layers.random, 4 * 40)]];
        let (integer, _) = measure(&layers.graph, Precision::Wide, &samples, &samples).unwrap();
        let compiled = compile(&integer, &CompileOptions::default()).unwrap();
        let model = Model::from_bytes(&compiled.bytes).unwrap();
        let step = model.steps().next().unwrap();
        let bench = board.bench(&compiled.bytes, &[vec![7; 4 * 40 * 2]]).unwrap();
        let (instructions, macs) = (bench.steps[0].instructions, macs::of(&model, &step));
        let each = instructions as f64 / macs as f64;
        println!(
            "{cell:?}: {instructions} instructions, {each:.3} for each of {macs} multiply-accumulates, setup {}, code {}",
            bench.setup.instructions, bench.text_bytes
        );
        assert!(each <= 1.6, "{cell:?}: {each:.3} instructions for each multiply-accumulate");
    }
}

/// A network of 20,896 parameters: a GRU from 32 to 64 units with a dense layer of 32 outputs on every step, as a stream.
#[test]
fn a_streaming_gru_is_small_on_a_cortex_m4() {
    const STEPS: u64 = 100;
    let Some(board) = device::cortex_m4() else { return };
    let (mut layers, x) = Layers::new(17, 1, 32);
    let states = layers.recurrent(x, Cell::Gru { reset_after: true }, 64, false)[0];
    let logits = layers.dense(states, 32);
    layers.graph.outputs = vec![logits];
    let constants = layers.graph.tensors.iter().filter(|tensor| tensor.data.is_some());
    assert_eq!(constants.map(Tensor::elements).sum::<usize>(), 20_896);
    assert_eq!(layers.graph.keep_states(), 1);
    let frames: Vec<_> = (0..STEPS).map(|_| normal(&mut layers.random, 32)).collect();
    let samples = frames.iter().map(|frame| vec![&frame[..]]);
    let options = CompileOptions { trainable_head: false, target: Target::Dsp, ..CompileOptions::default() };
    let compiled = compile_quantized(&layers.graph, &options, samples).unwrap();
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let macs: u64 = model.steps().map(|step| macs::of(&model, &step)).sum();
    assert_eq!(macs, 20_480);
    let bench = board.bench(&compiled.bytes, &[vec![7; 32 * 2]]).unwrap();
    let (flash, arena) = (compiled.bytes.len() as u64 + bench.text_bytes, compiled.arena_bytes);
    let each = bench.total.instructions as f64 / macs as f64;
    println!(
        "model {}, code {}: flash {flash}, arena {arena}, stack {}; {} instructions for {STEPS} steps, {each:.3} a multiply-accumulate",
        compiled.bytes.len(),
        bench.text_bytes,
        bench.stack_bytes,
        STEPS * bench.total.instructions,
    );
    assert!(flash <= 35_000, "{flash} bytes of flash");
    assert!(arena <= 4_000, "{arena} bytes of arena");
    assert!(each <= 1.6, "{each:.3} instructions a multiply-accumulate");
}
