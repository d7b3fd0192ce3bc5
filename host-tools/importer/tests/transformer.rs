//! Integer Transformer encoders: how far they are from the float models they came from, and that they are the same on devices.

#[path = "support/device.rs"]
mod device;
#[path = "support/encoder.rs"]
mod encoder;
#[path = "support/quality.rs"]
mod quality;
mod support;

use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{ArrayD, Axis};
use ndarray_npy::read_npy;
use nervelet::Model;
use nervelet::learn::Pcg32;
use nervelet_compiler::graph::{Graph, Op};
use nervelet_compiler::{CompileOptions, Precision, Target, compile};
use nervelet_importer::import_onnx;

use encoder::Block;
use quality::{Quality, Sample, measure, normal};

/// Encoders of one layer, and one of two with a mean and a dense layer behind them.
const MODELS: [&str; 5] = [
    "tel_d32_h4_gelu_post",
    "tel_d32_h4_gelu_pre",
    "tel_d32_h4_relu_post",
    "tel_d32_h4_relu_pre",
    "transformer2_d32_clf",
];

/// The models that are there, each with its folder and its name.
fn models() -> Vec<(Graph, std::path::PathBuf, &'static str)> {
    let Some(root) = support::oracle() else { return Vec::new() };
    let mut models = Vec::new();
    for name in MODELS {
        let folder = root.join("C_pytorch_f32").join(name);
        match std::fs::read(folder.join("model.onnx")) {
            Ok(bytes) => models.push((import_onnx(&bytes).unwrap(), folder, name)),
            Err(error) => println!("skipped: {}: {error}", folder.display()),
        }
    }
    models
}

/// The hidden states of the last layer, beside the outputs.
fn with_hidden_states(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    let mean = graph.nodes.iter().find(|node| matches!(node.op, Op::Mean { .. }));
    if let Some(mean) = mean {
        let hidden = mean.inputs[0];
        graph.outputs.push(hidden);
    }
    graph
}

fn golden_inputs(folder: &Path) -> Result<Vec<Sample>> {
    let array: ArrayD<f32> = read_npy(folder.join("inputs.npy")).context("inputs.npy")?;
    Ok(array.axis_iter(Axis(0)).map(|case| vec![case.iter().copied().collect()]).collect())
}

/// About normal inputs of a graph.
fn normal_inputs(graph: &Graph, seed: u64, count: usize) -> Vec<Sample> {
    let elements = graph.tensor(graph.inputs[0]).elements();
    let mut random = Pcg32::new(seed);
    (0..count).map(|_| vec![normal(&mut random, elements)]).collect()
}

/// Inputs of the kind that the golden ones are: normal ones, some three times as large, some all zero.
fn uneven_inputs(graph: &Graph, seed: u64, count: usize) -> Vec<Sample> {
    let factors = [1.0, 1.0, 3.0, 0.0].into_iter().cycle();
    let scaled = |(sample, factor): (Sample, f32)| {
        sample.into_iter().map(|values| values.into_iter().map(|value| value * factor).collect()).collect()
    };
    normal_inputs(graph, seed, count).into_iter().zip(factors).map(scaled).collect()
}

/// The number of joined attentions, and the quality of the output and of the hidden states.
fn quality_of(
    graph: &Graph,
    precision: Precision,
    calibration: &[Sample],
    samples: &[Sample],
) -> (usize, Vec<Quality>) {
    let (integer, quality) = measure(graph, precision, calibration, samples).unwrap();
    (integer.nodes.iter().filter(|node| matches!(node.op, Op::Attention { .. })).count(), quality)
}

#[test]
fn encoders_of_sixteen_bits_are_as_good_as_their_weights() {
    for (graph, folder, name) in models() {
        let graph = with_hidden_states(&graph);
        let golden = golden_inputs(&folder).unwrap();
        let (normal, others) = (normal_inputs(&graph, 1, 8), normal_inputs(&graph, 2, 16));
        let layers = if name.starts_with("transformer2") { 2 } else { 1 };
        for (inputs, calibration, samples, bars) in
            [("its own", &golden, &golden, [65.0, 60.0]), ("normal", &others, &normal, [65.0, 60.0])]
        {
            let (attentions, quality) = quality_of(&graph, Precision::Wide, calibration, samples);
            println!("{name}, {inputs} inputs: {quality:.1?} dB");
            assert_eq!(attentions, layers, "{name}");
            for (quality, bar) in quality.iter().zip(bars) {
                assert!(quality.arithmetic >= bar, "{name}: {quality:.1?}");
                assert!(quality.total >= quality.floor - 0.5, "{name}: {quality:.1?}");
            }
        }
    }
}

#[test]
fn encoders_of_eight_bits_keep_their_residual_stream() {
    for (graph, folder, name) in models() {
        let graph = with_hidden_states(&graph);
        let golden = golden_inputs(&folder).unwrap();
        let (calibration, samples) = (normal_inputs(&graph, 2, 16), normal_inputs(&graph, 1, 8));
        let uneven = uneven_inputs(&graph, 2, 64);
        for (inputs, calibration, samples, one_layer) in [
            ("normal", &calibration, &samples, 44.0),
            ("its own, calibrated on others,", &uneven, &golden, 38.0),
            ("its own, calibrated on them,", &golden, &golden, 42.0),
        ] {
            let (_, quality) = quality_of(&graph, Precision::Narrow, calibration, samples);
            println!("{name}, {inputs} inputs: {quality:.1?} dB");
            let bars = if quality.len() == 2 { [37.0, 33.0] } else { [one_layer; 2] };
            for (quality, bar) in quality.iter().zip(bars) {
                assert!(quality.total >= bar, "{name}, {inputs} inputs: {quality:.1?}");
            }
        }
    }
}

#[test]
fn integer_encoders_are_the_same_on_a_cortex_m4() {
    let Some(board) = device::cortex_m4() else { return };
    for (graph, ..) in models() {
        let samples = normal_inputs(&graph, 3, 4);
        for precision in [Precision::Wide, Precision::Narrow] {
            let (integer, _) = measure(&graph, precision, &samples, &samples).unwrap();
            device::assert_equal(&board, &integer, &samples);
        }
    }
}

#[test]
fn encoder_blocks_take_few_instructions_on_a_cortex_m4() {
    let Some(board) = device::cortex_m4() else { return };
    for hidden in [128, 256] {
        let block = Block { time: 64, width: 64, heads: 4, hidden };
        let graph = block.graph(5);
        let samples = normal_inputs(&graph, 3, 4);
        for precision in [Precision::Wide, Precision::Narrow] {
            let (integer, _) = measure(&graph, precision, &samples, &samples).unwrap();
            device::assert_equal(&board, &integer, &samples[..3]);
            let options = CompileOptions { target: Target::Dsp, ..CompileOptions::default() };
            let compiled = compile(&integer, &options).unwrap();
            let model = Model::from_bytes(&compiled.bytes).unwrap();
            let mut random = Pcg32::new(7);
            let input =
                (0..block.time * block.width).flat_map(|_| (random.below(40_000) as i32 - 20_000).to_le_bytes());
            let input: Vec<u8> =
                input.collect::<Vec<u8>>().chunks_exact(4).flat_map(|code| [code[0], code[1]]).collect();
            let bench = board.bench(&compiled.bytes, &[input]).unwrap();
            for (step, cost) in model.steps().zip(&bench.steps) {
                let elements = step.outputs().filter_map(|id| model.tensor(id)).map(|it| it.elements()).sum::<usize>();
                println!(
                    "{:22} {:8} instructions, {:6.2} an output element, {:.3} a multiply-accumulate of the block",
                    format!("{:?}", step.kind().unwrap()),
                    cost.instructions,
                    cost.instructions as f64 / elements as f64,
                    cost.instructions as f64 / block.macs() as f64,
                );
            }
            let each = bench.total.instructions as f64 / block.macs() as f64;
            println!(
                "{precision:?}, {block:?}: {} instructions, {each:.3} a multiply-accumulate; arena {}",
                bench.total.instructions, compiled.arena_bytes
            );
            assert!(each <= 1.7, "{precision:?}: {each:.3} instructions a multiply-accumulate");
        }
    }
}
