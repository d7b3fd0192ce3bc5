//! A small network with every layer kind: its int8 model follows its float model.

use nervelet::{Model, Session};
use nervelet_compiler::graph::{Activation, Normalization, Padding, TensorId, Window};
use nervelet_compiler::{AlignedBytes, BatchNormStatistics, CompileOptions, GraphBuilder, compile, compile_quantized};

struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn values(&mut self, count: usize, amplitude: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * amplitude).collect()
    }
}

/// conv 3x3 + batch norm + relu, depthwise, max pool, residual add, global pool beside a second input, dense, softmax.
fn network(random: &mut Random) -> nervelet_compiler::Graph {
    let mut builder = GraphBuilder::new("every layer");
    let normalization = Normalization { mean: vec![0.5, -0.25, 0.0], scale: vec![2.0, 1.0, 0.5] };
    let image = builder.input("image", &[1, 10, 8, 3], Some(normalization));
    let side = builder.input("side", &[1, 2], None);
    let same = |builder: &GraphBuilder, x: TensorId, stride: usize| {
        let shape = builder.shape(x);
        let mut window = Window::new([3, 3]);
        window.stride = [stride; 2];
        window.padding = Padding::same([shape[1], shape[2]], [3, 3], window.stride, [1, 1]);
        window
    };
    let weights = builder.constant("w1", &[8, 3, 3, 3], random.values(216, 0.4)).unwrap();
    let window = same(&builder, image, 1);
    let x = builder.conv_2d("conv", image, weights, None, window, 1).unwrap();
    let statistics = BatchNormStatistics {
        gamma: random.values(8, 1.0),
        beta: random.values(8, 0.5),
        mean: random.values(8, 0.3),
        variance: (0..8).map(|_| 0.5 + random.next().abs()).collect(),
        epsilon: 1e-5,
    };
    let x = builder.batch_norm("norm", x, statistics).unwrap();
    let x = builder.clamp("relu", x, Activation::Relu);
    let weights = builder.constant("w2", &[3, 3, 8], random.values(72, 0.6)).unwrap();
    let bias = builder.constant("b2", &[8], random.values(8, 0.2)).unwrap();
    let window = same(&builder, x, 1);
    let y = builder.depthwise_conv_2d("depthwise", x, weights, Some(bias), window).unwrap();
    let y = builder.tanh("tanh", y);
    let x = builder.add("residual", x, y).unwrap();
    let mut pool = Window::new([2, 2]);
    pool.stride = [2, 2];
    let x = builder.max_pool_2d("pool", x, pool).unwrap();
    let x = builder.global_average_pool("global", x).unwrap();
    let x = builder.concatenation("join", &[x, side], 1).unwrap();
    let weights = builder.constant("w3", &[5, 10], random.values(50, 2.0)).unwrap();
    let bias = builder.constant("b3", &[5], random.values(5, 0.5)).unwrap();
    let x = builder.fully_connected("dense", x, weights, Some(bias)).unwrap();
    let x = builder.softmax("softmax", x);
    let classes: Vec<String> = (0..5).map(|class| format!("class {class}")).collect();
    builder.finish(&[x], &classes)
}

fn run(bytes: &[u8], samples: &[[Vec<f32>; 2]]) -> Vec<Vec<f32>> {
    let model = Model::from_bytes(bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena).unwrap();
    let outputs = samples.iter().map(|sample| {
        for (index, values) in sample.iter().enumerate() {
            session.set_input(index, values).unwrap();
        }
        session.invoke().unwrap();
        session.output_values(0).unwrap().collect()
    });
    outputs.collect()
}

#[test]
fn int8_follows_float() {
    let mut random = Random(42);
    let graph = network(&mut random);
    let samples: Vec<[Vec<f32>; 2]> = (0..64).map(|_| [random.values(240, 1.0), random.values(2, 1.0)]).collect();
    let slices = samples.iter().map(|sample| sample.iter().map(Vec::as_slice).collect());
    let options = CompileOptions::default();
    let float = compile(&graph, &options).unwrap();
    let int8 = compile_quantized(&graph, &options, slices).unwrap();
    assert!(int8.bytes.len() < float.bytes.len());
    assert!(int8.arena_bytes < float.arena_bytes);
    let (float_outputs, int8_outputs) = (run(&float.bytes, &samples), run(&int8.bytes, &samples));
    let mut worst = 0.0_f32;
    for (float, int8) in float_outputs.iter().zip(&int8_outputs) {
        assert!((float.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        for (float, int8) in float.iter().zip(int8) {
            worst = worst.max((float - int8).abs());
        }
    }
    assert!(worst < 0.06, "probabilities differ by up to {worst}");
}

#[test]
fn the_head_is_the_dense_layer() {
    let mut random = Random(7);
    let graph = network(&mut random);
    let samples: Vec<[Vec<f32>; 2]> = (0..16).map(|_| [random.values(240, 1.0), random.values(2, 1.0)]).collect();
    let slices = samples.iter().map(|sample| sample.iter().map(Vec::as_slice).collect());
    let compiled = compile_quantized(&graph, &CompileOptions::default(), slices).unwrap();
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let head = model.head().unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena).unwrap();
    for sample in &samples {
        session.set_input(0, &sample[0]).unwrap();
        session.set_input(1, &sample[1]).unwrap();
        let features: Vec<f32> = session
            .features()
            .unwrap()
            .iter()
            .map(|code| head.features.scale * (i32::from(*code) - head.features.zero_point) as f32)
            .collect();
        let logits: Vec<f32> = head
            .weights
            .chunks(features.len())
            .zip(head.bias)
            .map(|(row, bias)| bias + row.iter().zip(&features).map(|(w, x)| w * x).sum::<f32>())
            .collect();
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        session.set_input(0, &sample[0]).unwrap();
        session.set_input(1, &sample[1]).unwrap();
        session.invoke().unwrap();
        let probabilities: Vec<f32> = session.output_values(0).unwrap().collect();
        let largest = probabilities.iter().copied().fold(0.0, f32::max);
        // Int8 rounds weights and logits: the float head's favourite is at most a few steps behind.
        assert!(largest - probabilities[best] <= 6.0 / 256.0, "{probabilities:?} but the head says {best}");
    }
}
