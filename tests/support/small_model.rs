//! A small network with most layer kinds, as int8 and as f32 model files.

use nervelet_compiler::graph::{Activation, Normalization, Padding, Window};
use nervelet_compiler::{CompileOptions, Compiled, Graph, GraphBuilder, compile, compile_quantized};

use crate::random::Random;

/// A classifier of `[1, 6, 5, 2]` images into three classes.
pub fn graph(random: &mut Random) -> Graph {
    let mut builder = GraphBuilder::new("small");
    let normalization = Normalization { mean: vec![0.1, -0.2], scale: vec![1.5, 0.5] };
    let x = builder.input("image", &[1, 6, 5, 2], Some(normalization));
    let mut window = Window::new([3, 3]);
    window.padding = Padding::symmetric(1, 1);
    let weights = builder.constant("w1", &[4, 3, 3, 2], random.values(72, 0.5)).unwrap();
    let bias = builder.constant("b1", &[4], random.values(4, 0.2)).unwrap();
    let x = builder.conv_2d("conv", x, weights, Some(bias), window, 1).unwrap();
    let x = builder.clamp("relu", x, Activation::Relu);
    let weights = builder.constant("w2", &[3, 3, 4], random.values(36, 0.5)).unwrap();
    let y = builder.depthwise_conv_2d("depthwise", x, weights, None, window).unwrap();
    let y = builder.logistic("gate", y);
    let x = builder.add("residual", x, y).unwrap();
    let mut pool = Window::new([2, 2]);
    pool.stride = [2, 2];
    let x = builder.max_pool_2d("pool", x, pool).unwrap();
    let joined = builder.concatenation("join", &[x, x], 3).unwrap();
    let x = builder.global_average_pool("mean", joined).unwrap();
    let weights = builder.constant("w3", &[3, 8], random.values(24, 1.5)).unwrap();
    let x = builder.fully_connected("dense", x, weights, None).unwrap();
    let x = builder.softmax("softmax", x);
    builder.finish(&[x], &["left".into(), "right".into(), "none".into()])
}

/// The int8 model.
pub fn int8_model(random: &mut Random) -> Compiled {
    let graph = graph(random);
    let samples: Vec<Vec<f32>> = (0..16).map(|_| random.values(60, 1.0)).collect();
    compile_quantized(&graph, &CompileOptions::default(), samples.iter().map(|sample| vec![&sample[..]])).unwrap()
}

/// The f32 model.
pub fn float_model(random: &mut Random) -> Compiled {
    compile(&graph(random), &CompileOptions::default()).unwrap()
}
