//! What is made of a sequence's first steps is to the bit what would be made of a sequence without the others.

use nervelet::ops::DataType;
use nervelet::{Model, Session};
use nervelet_compiler::builder::RecurrentWeights;
use nervelet_compiler::graph::{Cell, Node, Op, Quantization, Tensor, TensorId};
use nervelet_compiler::{AlignedBytes, CompileOptions, Graph, GraphBuilder, StreamOptions, compile, compile_quantized};

const CHANNELS: usize = 5;

/// A mean over time, of a type; with `limited`, over as many steps as a second input says.
fn mean(data_type: DataType, time: usize, limited: bool) -> Graph {
    let mut graph = Graph { name: "mean".into(), ..Graph::default() };
    let mut add = |shape: &[usize], data_type: DataType, scale: Option<(f32, i32)>| {
        let quantization = scale.map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point));
        graph.add_tensor(Tensor { name: "t".into(), shape: shape.into(), data_type, quantization, data: None })
    };
    let [of_x, of_y] = match data_type {
        DataType::Int8 => [Some((0.05, 7)), Some((0.021, -11))],
        DataType::Int16 => [Some((0.001, 0)), Some((0.0004, 0))],
        _ => [None, None],
    };
    let (x, y) = (add(&[1, 1, time, CHANNELS], data_type, of_x), add(&[1, CHANNELS], data_type, of_y));
    let length = limited.then(|| add(&[1], DataType::Int32, None));
    let inputs: Vec<TensorId> = [x].into_iter().chain(length).collect();
    let op = Op::Mean { axes: vec![1, 2], keep_dims: false };
    graph.nodes.push(Node { name: "mean".into(), op, inputs: inputs.clone(), outputs: vec![y] });
    graph.normalization = vec![None; inputs.len()];
    (graph.inputs, graph.outputs) = (inputs, vec![y]);
    graph
}

fn outputs(bytes: &AlignedBytes, inputs: &[&[f32]]) -> Vec<f32> {
    let model = Model::from_bytes(bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena).unwrap();
    for (index, values) in inputs.iter().enumerate() {
        session.set_input(index, values).unwrap();
    }
    session.invoke().unwrap();
    session.output_values(0).unwrap().collect()
}

/// Numbers of no pattern, between -5 and 5.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7_919 + 31) % 1_009) as f32 / 100.0 - 5.0).collect()
}

#[test]
fn a_mean_of_the_first_steps_is_that_of_a_shorter_sequence() {
    let options = CompileOptions::default();
    for data_type in [DataType::Int8, DataType::Int16, DataType::Float32] {
        for time in [1, 2, 9, 200] {
            let long = compile(&mean(data_type, time, true), &options).unwrap().bytes;
            let x = values(time * CHANNELS);
            for length in 1..=time {
                let short = compile(&mean(data_type, length, false), &options).unwrap().bytes;
                let found = outputs(&long, &[&x, &[length as f32]]);
                assert_eq!(found, outputs(&short, &[&x[..length * CHANNELS]]), "{data_type:?}, {length} of {time}");
            }
            let all = outputs(&long, &[&x, &[time as f32]]);
            assert_eq!(outputs(&long, &[&x, &[time as f32 + 1000.0]]), all);
            for none in [0.0, -3.0] {
                assert_eq!(outputs(&long, &[&x, &[none]]), [0.0; CHANNELS]);
            }
        }
    }
}

#[test]
fn the_last_step_is_that_of_the_length() {
    let time = 6;
    let mut builder = GraphBuilder::new("last");
    let x = builder.input("x", &[1, 1, time, CHANNELS], None);
    let length = builder.integers("length", &[1]);
    let last = builder.last_step_of_length("last", x, length).unwrap();
    let graph = builder.finish(&[last], &[]);
    let options = CompileOptions::default();
    let x = values(time * CHANNELS);
    let float = compile(&graph, &options).unwrap().bytes;
    let integer = compile_quantized(&graph, &options, [vec![&x[..], &[time as f32]]]).unwrap().bytes;
    for length in 0..=time {
        let expected = match length {
            0 => vec![0.0; CHANNELS],
            _ => x[(length - 1) * CHANNELS..length * CHANNELS].to_vec(),
        };
        assert_eq!(outputs(&float, &[&x, &[length as f32]]), expected);
        // Half a step of 10 / 255.
        for (found, expected) in outputs(&integer, &[&x, &[length as f32]]).iter().zip(expected) {
            assert!((found - expected).abs() < 0.02, "{found} where {expected} belongs");
        }
    }
}

/// A recurrent layer over time.
fn recurrent(time: usize, limited: bool) -> Graph {
    let mut builder = GraphBuilder::new("recurrent");
    let x = builder.input("x", &[1, time, CHANNELS], None);
    let length = limited.then(|| builder.integers("length", &[1]));
    let mut constant = |shape: &[usize]| {
        builder.constant("constant", shape, values(shape.iter().product()).iter().map(|x| x / 20.0).collect()).unwrap()
    };
    let rows = Cell::Lstm.gates() * 2;
    let weights = RecurrentWeights {
        input: constant(&[rows, CHANNELS]),
        recurrent: constant(&[rows, 2]),
        input_bias: constant(&[rows]),
        recurrent_bias: constant(&[rows]),
    };
    let [_, last] = builder.recurrent_of_length("layer", x, Cell::Lstm, false, weights, length).unwrap();
    builder.finish(&[last], &[])
}

#[test]
fn only_what_is_told_a_length_does_not_stream() {
    let time = 6;
    let options = CompileOptions { stream: Some(StreamOptions::default()), ..CompileOptions::default() };
    let x = values(time * CHANNELS);
    let length = [time as f32];
    // Quantized layers have integers among their weights and states, which are no lengths.
    compile_quantized(&recurrent(time, false), &options, [vec![&x[..]]]).unwrap();
    let error = compile_quantized(&recurrent(time, true), &options, [vec![&x[..], &length]]).unwrap_err();
    assert!(format!("{error:#}").contains("layer") && format!("{error:#}").contains("told how many"), "{error:#}");
    let error = compile(&mean(DataType::Int8, time, true), &options).unwrap_err();
    assert!(format!("{error:#}").contains("told how many"), "{error:#}");
}
