//! A firmware whose models are integers throughout links no floating point: cores without it would compute it in software.

use nervelet::learn::Pcg32;
use nervelet_compiler::builder::{Mask, RecurrentWeights};
use nervelet_compiler::graph::{Cell, TensorId};
use nervelet_compiler::{CompileOptions, GraphBuilder, Precision, Target, compile, compile_quantized_with};

use crate::support::{board, model};

const TIME: usize = 4;
const WIDTH: usize = 8;

/// Layers of sequence models: tokens, a GRU, an encoder's masked attention and feed-forward network behind it, and a pool over
/// as many steps as an input says.
fn sequence(quantized: Option<Precision>) -> Vec<u8> {
    let mut random = Pcg32::new(3);
    let mut values = |count: usize, spread: f32| -> Vec<f32> {
        (0..count).map(|_| spread * (random.below(2001) as f32 / 1000.0 - 1.0)).collect()
    };
    let mut net = GraphBuilder::new("sequence");
    let x = net.input("x", &[1, TIME, WIDTH], None);
    let (tokens, length) = (net.integers("tokens", &[TIME]), Some(net.integers("length", &[1])));
    let mut constant = |net: &mut GraphBuilder, shape: &[usize], spread: f32| -> TensorId {
        net.constant("constant", shape, values(shape.iter().product(), spread)).unwrap()
    };
    let table = constant(&mut net, &[5, WIDTH], 0.5);
    let embedded = net.embedding("embedding", table, tokens).unwrap();
    let x = net.add("input", x, embedded).unwrap();
    let weights = RecurrentWeights {
        input: constant(&mut net, &[3 * WIDTH, WIDTH], 0.5),
        recurrent: constant(&mut net, &[3 * WIDTH, WIDTH], 0.5),
        input_bias: constant(&mut net, &[3 * WIDTH], 0.2),
        recurrent_bias: constant(&mut net, &[3 * WIDTH], 0.2),
    };
    let [states, _] =
        net.recurrent_of_length("gru", x, Cell::Gru { reset_after: true }, false, weights, length).unwrap();
    let (gamma, beta) = (constant(&mut net, &[WIDTH], 1.0), constant(&mut net, &[WIDTH], 0.2));
    let normal = net.layer_norm("norm", states, gamma, beta, 1e-5).unwrap();
    let operands = [0, 1, 2].map(|_| {
        let weights = constant(&mut net, &[WIDTH, WIDTH], 0.5);
        net.linear("operand", normal, weights, None).unwrap()
    });
    let mixed = net.masked_attention("attention", operands, 2, Mask { causal: true, length }).unwrap();
    let sum = net.add("sum", states, mixed).unwrap();
    let gamma = constant(&mut net, &[WIDTH], 1.0);
    let normal = net.rms_norm("second norm", sum, gamma, 1e-5).unwrap();
    let weights = constant(&mut net, &[2 * WIDTH, WIDTH], 0.5);
    let inner = net.linear("inner", normal, weights, None).unwrap();
    let active = net.gelu("gelu", inner);
    let weights = constant(&mut net, &[WIDTH, 2 * WIDTH], 0.5);
    let outer = net.linear("outer", active, weights, None).unwrap();
    let y = net.add("second sum", sum, outer).unwrap();
    let mean = net.mean_of_length("mean", y, length.unwrap()).unwrap();
    let graph = net.finish(&[y, mean], &[]);
    let options = CompileOptions { target: Target::Any, ..CompileOptions::default() };
    let samples: Vec<Vec<f32>> = (0..4).map(|_| values(TIME * WIDTH, 1.0)).collect();
    let compiled = match quantized {
        None => compile(&graph, &options),
        Some(precision) => {
            let samples = samples.iter().map(|sample| vec![&sample[..], &[0.0, 4.0, 2.0, 1.0], &[3.0]]);
            compile_quantized_with(&graph, &options, precision, samples)
        }
    };
    compiled.unwrap().bytes.to_vec()
}

fn integers_link_no_floating_point(name: &str) {
    let Some(board) = board(name) else { return };
    let image_model = model().unwrap();
    let [wide, narrow] = [Precision::Wide, Precision::Narrow].map(|precision| sequence(Some(precision)));
    let image = board.product(&[&image_model.bytes, &wide, &narrow]).unwrap();
    println!("{name}: {} bytes of code", image.text_bytes());
    assert_eq!(image.float_routines(), [""; 0], "{name}");
}

#[test]
fn integers_link_no_floating_point_on_the_m0() {
    integers_link_no_floating_point("qemu-m0");
}

#[test]
fn integers_link_no_floating_point_on_the_m3() {
    integers_link_no_floating_point("qemu-m3");
}

#[test]
fn floats_do_on_the_m0() {
    let Some(board) = board("qemu-m0") else { return };
    let routines = board.product(&[&sequence(None)]).unwrap();
    let routines = routines.float_routines();
    for wanted in ["__aeabi_fadd", "__aeabi_fmul"] {
        assert!(routines.iter().any(|routine| routine.ends_with(wanted)), "{wanted} is not among {routines:?}");
    }
}
