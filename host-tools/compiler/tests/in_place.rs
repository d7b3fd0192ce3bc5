//! Layers in place: less memory, the same codes, and nothing written over that is needed later.

use nervelet::ops::OpKind;
use nervelet::{Model, Session};
use nervelet_compiler::graph::{Padding, Window};
use nervelet_compiler::plan::floor_of;
use nervelet_compiler::{AlignedBytes, CompileOptions, Compiled, Graph, GraphBuilder, Target, compile_quantized};

const IMAGE: [usize; 2] = [12, 5];

fn values(seed: &mut u32, count: usize, amplitude: f32) -> Vec<f32> {
    let mut value = || {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((*seed >> 8) as f32 / (1 << 23) as f32 - 1.0) * amplitude
    };
    (0..count).map(|_| value()).collect()
}

/// Pairs of a depthwise layer and one of single pixels; a sum around those to as many channels.
fn network(channels: &[usize]) -> Graph {
    let mut builder = GraphBuilder::new("pairs");
    let mut seed = 7;
    let [rows, columns] = IMAGE;
    let mut x = builder.input("x", &[1, rows, columns, channels[0]], None);
    for (number, pair) in channels.windows(2).enumerate() {
        let [inputs, outputs] = pair else { continue };
        let mut square = Window::new([3, 3]);
        square.padding = Padding::symmetric(1, 1);
        let mut weights = |shape: &[usize]| {
            let values = values(&mut seed, shape.iter().product(), 0.3);
            builder.constant(&format!("w{number} {shape:?}"), shape, values).unwrap()
        };
        let (of_depthwise, of_pixels) = (weights(&[3, 3, *inputs]), weights(&[*outputs, 1, 1, *inputs]));
        let y = builder.depthwise_conv_2d(&format!("depthwise {number}"), x, of_depthwise, None, square).unwrap();
        let y = builder.conv_2d(&format!("pointwise {number}"), y, of_pixels, None, Window::new([1, 1]), 1).unwrap();
        x = if inputs == outputs { builder.add(&format!("skip {number}"), x, y).unwrap() } else { y };
    }
    builder.finish(&[x], &[])
}

fn compiled(graph: &Graph, target: Target, samples: &[Vec<f32>]) -> Compiled {
    let options = CompileOptions { target, ..CompileOptions::default() };
    compile_quantized(graph, &options, samples.iter().map(|sample| vec![&sample[..]])).unwrap()
}

fn outputs(file: &[u8], samples: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let model = Model::from_bytes(file).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena).unwrap();
    let outputs = samples.iter().map(|sample| {
        session.set_input(0, sample).unwrap();
        session.invoke().unwrap();
        session.output_values(0).unwrap().collect()
    });
    outputs.collect()
}

/// Compiles for any core and for Cortex-M4; returns the bytes of tensors alive at once, and the layers in place.
fn compare(channels: &[usize]) -> ([usize; 2], Vec<String>) {
    let graph = network(channels);
    let mut seed = 99;
    let elements = IMAGE[0] * IMAGE[1] * channels[0];
    let samples: Vec<Vec<f32>> = (0..4).map(|_| values(&mut seed, elements, 1.0)).collect();
    let files = [Target::Any, Target::Dsp].map(|target| compiled(&graph, target, &samples));
    let found = files.each_ref().map(|file| outputs(&file.bytes, &samples));
    assert_eq!(found[0], found[1]);
    assert!(found[0].iter().flatten().any(|value| *value != 0.0));
    let models = files.each_ref().map(|file| Model::from_bytes(&file.bytes).unwrap());
    let in_place = [OpKind::PointwiseInPlacePacked, OpKind::DepthwiseInPlacePacked];
    let steps = models[1].steps().filter(|step| step.kind().is_some_and(|kind| in_place.contains(&kind)));
    (models.each_ref().map(floor_of), steps.map(|step| step.name.into()).collect())
}

#[test]
fn a_chain_takes_the_memory_of_its_largest_tensor() {
    let (floors, layers) = compare(&[4, 32, 24, 32, 8, 4]);
    let image = IMAGE[0] * IMAGE[1];
    assert_eq!(layers.len(), 10);
    assert_eq!(floors, [image * 64, image * 32]);
}

#[test]
fn what_a_sum_needs_stays() {
    let (floors, layers) = compare(&[4, 32, 8, 8]);
    // The last depthwise layer may not write over what the sum reads.
    assert_eq!(layers, ["depthwise 0", "pointwise 0", "depthwise 1", "pointwise 1", "pointwise 2"], "{floors:?}");
}
