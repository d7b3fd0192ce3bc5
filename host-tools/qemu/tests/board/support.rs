//! A small model and the samples of a user, made by a seeded generator, and what the host makes of them.

use anyhow::Result;
use nervelet::learn::Pcg32;
use nervelet::{Model, Session};
use nervelet_compiler::graph::{Activation, Normalization, Padding, Window};
use nervelet_compiler::{AlignedBytes, CompileOptions, Compiled, GraphBuilder, compile_quantized};
use nervelet_qemu::{Board, Samples, qemu_version};

pub(crate) const CLASSES: usize = 4;
const SIDE: usize = 12;
const CHANNELS: usize = 8;
pub(crate) const FEATURES: usize = 24;

/// The board, or `None` when QEMU is missing; then the test says that it was skipped.
pub(crate) fn board(name: &str) -> Option<Board> {
    match qemu_version() {
        Ok(_) => Some(Board::from_name(name).unwrap()),
        Err(error) => {
            println!("skipped: {error:#}");
            None
        }
    }
}

/// A convolutional network of random weights over a 12 x 12 image.
pub(crate) fn model() -> Result<Compiled> {
    let mut random = Pcg32::new(1);
    let mut net = GraphBuilder::new("shapes");
    let normalization = Normalization { mean: vec![0.1], scale: vec![1.5] };
    let x = net.input("image", &[1, SIDE, SIDE, 1], Some(normalization));

    let weights = net.constant("conv.weights", &[CHANNELS, 3, 3, 1], reals(&mut random, CHANNELS * 9, 0.5))?;
    let bias = net.constant("conv.bias", &[CHANNELS], reals(&mut random, CHANNELS, 0.1))?;
    let x = net.conv_2d("conv", x, weights, Some(bias), window(SIDE, 3, 2), 1)?;
    let x = net.clamp("conv.relu", x, Activation::Relu);

    let weights = net.constant("depthwise.weights", &[3, 3, CHANNELS], reals(&mut random, CHANNELS * 9, 0.5))?;
    let x = net.depthwise_conv_2d("depthwise", x, weights, None, window(SIDE / 2, 3, 1))?;
    let x = net.clamp("depthwise.relu", x, Activation::Relu);

    let weights =
        net.constant("pointwise.weights", &[FEATURES, 1, 1, CHANNELS], reals(&mut random, FEATURES * CHANNELS, 0.6))?;
    let x = net.conv_2d("pointwise", x, weights, None, window(SIDE / 2, 1, 1), 1)?;
    let x = net.clamp("pointwise.relu", x, Activation::Relu);

    let x = net.global_average_pool("pool", x)?;
    let x = net.reshape("features", x, &[1, FEATURES])?;
    let weights = net.constant("head.weights", &[CLASSES, FEATURES], reals(&mut random, CLASSES * FEATURES, 0.3))?;
    let bias = net.constant("head.bias", &[CLASSES], reals(&mut random, CLASSES, 0.1))?;
    let x = net.fully_connected("head", x, weights, Some(bias))?;
    let x = net.softmax("softmax", x);
    let classes: Vec<_> = ["bars", "columns", "checks", "plain"].map(String::from).into();
    let graph = net.finish(&[x], &classes);

    let images: Vec<_> = (0..32).map(|i| image(&mut random, i % CLASSES)).collect();
    compile_quantized(&graph, &CompileOptions::default(), images.iter().map(|image| vec![&image[..]]))
}

/// A window that gives one output for each `stride` inputs, as TensorFlow's "same".
fn window(side: usize, kernel: usize, stride: usize) -> Window {
    let (kernel, stride, dilation) = ([kernel; 2], [stride; 2], [1, 1]);
    Window { kernel, stride, dilation, padding: Padding::same([side; 2], kernel, stride, dilation) }
}

/// An image of a class: stripes, a chessboard or a plain, in noise.
pub(crate) fn image(random: &mut Pcg32, class: usize) -> Vec<f32> {
    let noise = reals(random, SIDE * SIDE, 0.4);
    let pixel = |at: usize| match class {
        0 => (at / SIDE / 2).is_multiple_of(2),
        1 => (at % SIDE / 2).is_multiple_of(2),
        2 => (at / SIDE + at % SIDE).is_multiple_of(2),
        _ => true,
    };
    noise.iter().enumerate().map(|(at, noise)| noise + f32::from(u8::from(pixel(at)))).collect()
}

/// Labelled samples as the board gets them: quantized by the host.
pub(crate) fn samples(model: &[u8], seed: u64, count: usize) -> Result<Samples> {
    let bytes = AlignedBytes::from(model);
    let model = Model::from_bytes(&bytes)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena)?;
    let mut random = Pcg32::new(seed);
    let mut samples = Samples::default();
    for i in 0..count {
        session.set_input(0, &image(&mut random, i % CLASSES))?;
        let codes = session.input_mut::<i8>(0)?;
        samples.inputs.push(vec![codes.iter().map(|code| code.cast_unsigned()).collect()]);
        samples.labels.push((i % CLASSES) as u8);
    }
    Ok(samples)
}

/// Outputs of the host for each sample.
pub(crate) fn host_outputs(model: &[u8], samples: &Samples) -> Result<Vec<Vec<Vec<u8>>>> {
    let bytes = AlignedBytes::from(model);
    let model = Model::from_bytes(&bytes)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena)?;
    let outputs = samples.inputs.iter().map(|inputs| {
        set(&mut session, &inputs[0])?;
        session.invoke()?;
        let codes = session.output::<i8>(0)?;
        Ok(vec![codes.iter().map(|code| code.cast_unsigned()).collect()])
    });
    outputs.collect()
}

/// Sets the first input.
pub(crate) fn set(session: &mut Session<'_, '_>, input: &[u8]) -> Result<()> {
    for (code, byte) in session.input_mut::<i8>(0)?.iter_mut().zip(input) {
        *code = byte.cast_signed();
    }
    Ok(())
}

/// Numbers between -`spread` and `spread`.
fn reals(random: &mut Pcg32, count: usize, spread: f32) -> Vec<f32> {
    (0..count).map(|_| spread * (random.below(20_001) as f32 / 10_000.0 - 1.0)).collect()
}
