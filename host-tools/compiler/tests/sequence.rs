//! Sequence layers in integers follow their float models.

use nervelet::ops::OpKind;
use nervelet::{Model, Session};
use nervelet_compiler::builder::{Mask, RecurrentWeights};
use nervelet_compiler::graph::{Activation, Cell, TensorId};
use nervelet_compiler::{
    AlignedBytes, CompileOptions, Compiled, Graph, GraphBuilder, Precision, compile, compile_quantized_with,
};

/// Numbers of no pattern, between -1 and 1.
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

/// The values of each input of one run.
type Sample = Vec<Vec<f32>>;

/// The first output for each sample.
fn outputs(compiled: &Compiled, samples: &[Sample]) -> Vec<f32> {
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).unwrap();
    let run = |sample: &Sample| {
        for (index, values) in sample.iter().enumerate() {
            session.set_input(index, values).unwrap();
        }
        session.invoke().unwrap();
        session.output_values(0).unwrap().collect::<Vec<_>>()
    };
    samples.iter().flat_map(run).collect()
}

fn kinds(compiled: &Compiled) -> Vec<OpKind> {
    Model::from_bytes(&compiled.bytes).unwrap().steps().filter_map(|step| step.kind()).collect()
}

/// `10 log10(sum(reference^2) / sum((found - reference)^2))`.
fn decibels(reference: &[f32], found: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let signal: f64 = reference.iter().map(|x| square(*x)).sum();
    let noise: f64 = reference.iter().zip(found).map(|(a, b)| square(a - b)).sum();
    10.0 * (signal / noise).log10()
}

/// The float and the integer model, and how close they are on the samples that the second was calibrated with.
fn compare(graph: &Graph, precision: Precision, samples: &[Sample]) -> (Compiled, Compiled, f64) {
    let options = CompileOptions::default();
    let float = compile(graph, &options).unwrap();
    let slices = samples.iter().map(|sample| sample.iter().map(Vec::as_slice).collect());
    let integer = compile_quantized_with(graph, &options, precision, slices).unwrap();
    let quality = decibels(&outputs(&float, samples), &outputs(&integer, samples));
    (float, integer, quality)
}

#[test]
fn root_mean_squares_are_those_of_reals() {
    let mut random = Random(5);
    for (rows, width, offset) in [(12, 32, 0.0), (5, 48, 3.0), (3, 100, -1.0)] {
        let mut builder = GraphBuilder::new("root mean square");
        let x = builder.input("x", &[1, rows, width], None);
        let gamma = random.values(width, 1.5);
        let gamma = builder.constant("gamma", &[width], gamma).unwrap();
        let y = builder.rms_norm("norm", x, gamma, 1e-5).unwrap();
        let graph = builder.finish(&[y], &[]);
        let sample = |random: &mut Random| random.values(rows * width, 2.0).iter().map(|x| x + offset).collect();
        let samples: Vec<Sample> = (0..8).map(|_| vec![sample(&mut random)]).collect();
        let (float, integer, quality) = compare(&graph, Precision::Wide, &samples);
        println!("{rows} rows of {width} around {offset}: {quality:.1} dB");
        assert_eq!(kinds(&float), [OpKind::RmsNormFloat32]);
        assert_eq!(kinds(&integer), [OpKind::LayerNormInt16]);
        assert!(quality > 70.0, "{quality}");
    }
}

const HEADS: usize = 2;
const WIDTH: usize = 8;
const TIME: usize = 6;

fn constant(builder: &mut GraphBuilder, random: &mut Random, shape: &[usize], amplitude: f32) -> TensorId {
    let values = random.values(shape.iter().product(), amplitude);
    builder.constant("constant", shape, values).unwrap()
}

/// Tokens, embedded, normalised and mixed by an attention that sees some of them.
fn encoder(random: &mut Random, causal: bool, limited: bool) -> Graph {
    let mut builder = GraphBuilder::new("encoder");
    let tokens = builder.integers("tokens", &[TIME]);
    let length = limited.then(|| builder.integers("length", &[1]));
    let table = constant(&mut builder, random, &[10, WIDTH], 1.0);
    let x = builder.embedding("embedding", table, tokens).unwrap();
    let gamma = constant(&mut builder, random, &[WIDTH], 1.0);
    let normal = builder.rms_norm("norm", x, gamma, 1e-5).unwrap();
    let operands = [0, 1, 2].map(|_| {
        let weights = constant(&mut builder, random, &[WIDTH, WIDTH], 1.0);
        let bias = constant(&mut builder, random, &[WIDTH], 0.5);
        builder.linear("operand", normal, weights, Some(bias)).unwrap()
    });
    let mixed = builder.masked_attention("attention", operands, HEADS, Mask { causal, length }).unwrap();
    let sum = builder.add("sum", x, mixed).unwrap();
    builder.finish(&[sum], &[])
}

/// Runs of random tokens and all lengths.
fn token_samples(random: &mut Random, limited: bool) -> Vec<Sample> {
    let tokens = |random: &mut Random| random.values(TIME, 9.5).iter().map(|x| x.round()).collect();
    let one = |count: usize| {
        let mut sample = vec![tokens(&mut *random)];
        sample.extend(limited.then(|| vec![(count % (TIME + 1)) as f32]));
        sample
    };
    (0..21).map(one).collect()
}

#[test]
fn masked_attentions_of_tokens_are_those_of_reals() {
    let mut random = Random(9);
    for (causal, limited) in [(false, false), (true, false), (false, true), (true, true)] {
        let graph = encoder(&mut random, causal, limited);
        let samples = token_samples(&mut random, limited);
        for (precision, bar) in [(Precision::Wide, 37.0), (Precision::Narrow, 35.0)] {
            let (float, integer, quality) = compare(&graph, precision, &samples);
            println!("causal {causal}, limited {limited}, {precision:?}: {quality:.1} dB");
            let masked = causal || limited;
            let wanted = if masked { OpKind::MaskedSoftmaxFloat32 } else { OpKind::SoftmaxFloat32 };
            assert!(kinds(&float).contains(&OpKind::Embedding) && kinds(&float).contains(&wanted));
            let wanted = match (precision, masked) {
                (Precision::Wide, true) => OpKind::MaskedAttentionInt16,
                (Precision::Wide, false) => OpKind::AttentionInt16,
                (_, true) => OpKind::MaskedAttentionInt8,
                (_, false) => OpKind::AttentionInt8,
            };
            assert!(kinds(&integer).contains(&OpKind::Embedding) && kinds(&integer).contains(&wanted));
            assert!(quality > bar, "{quality}");
        }
    }
}

#[test]
fn what_is_behind_the_length_does_not_count() {
    let mut random = Random(11);
    for causal in [false, true] {
        let graph = encoder(&mut random, causal, true);
        let samples = token_samples(&mut random, true);
        let (float, integer, _) = compare(&graph, Precision::Narrow, &samples);
        for compiled in [float, integer] {
            for sample in &samples {
                let length = sample[1][0] as usize;
                let mut other = sample.clone();
                other[0][length..].fill(3.0);
                let [found, expected] = [other, sample.clone()].map(|sample| outputs(&compiled, &[sample]));
                assert_eq!(found[..length * WIDTH], expected[..length * WIDTH]);
            }
        }
    }
}

#[test]
fn shorter_sequences_have_the_states_of_their_own_steps() {
    let (depth, units, time) = (4, 5, 7);
    let mut random = Random(13);
    for cell in [
        Cell::Rnn { activation: Activation::None },
        Cell::Gru { reset_after: true },
        Cell::Gru { reset_after: false },
        Cell::Lstm,
    ] {
        for reverse in [false, true] {
            let seed = random.0;
            let graph = |time: usize, limited: bool, state: usize| {
                let mut random = Random(seed);
                let mut builder = GraphBuilder::new("layer");
                let x = builder.input("x", &[1, time, depth], None);
                let length = limited.then(|| builder.integers("length", &[1]));
                let rows = cell.gates() * units;
                let weights = RecurrentWeights {
                    input: constant(&mut builder, &mut random, &[rows, depth], 1.0),
                    recurrent: constant(&mut builder, &mut random, &[rows, units], 0.8),
                    input_bias: constant(&mut builder, &mut random, &[rows], 0.3),
                    recurrent_bias: constant(&mut builder, &mut random, &[rows], 0.3),
                };
                let states = builder.recurrent_of_length("layer", x, cell, reverse, weights, length).unwrap();
                builder.finish(&[states[state]], &[])
            };
            random.next();
            // The same range for every length, so that all models have the same scales.
            let mut x = random.values(time * depth, 1.0);
            x[0] = 1.0;
            for state in [0, 1] {
                let samples: Vec<Sample> = (0..=time).map(|length| vec![x.clone(), vec![length as f32]]).collect();
                let (float, integer, quality) = compare(&graph(time, true, state), Precision::Wide, &samples);
                assert!(quality > 35.0, "{cell:?}: {quality}");
                for length in 1..=time {
                    let short = vec![vec![x[..length * depth].to_vec()]];
                    let (short_float, short_integer, _) =
                        compare(&graph(length, false, state), Precision::Wide, &short);
                    for (long, short_model) in [(&float, &short_float), (&integer, &short_integer)] {
                        let found = outputs(long, &samples[length..=length]);
                        let mut expected = outputs(short_model, &short);
                        expected.resize(found.len(), 0.0);
                        assert_eq!(found, expected, "{cell:?}, reverse {reverse}, {length} steps");
                    }
                }
                assert!(outputs(&float, &samples[..1]).iter().all(|value| *value == 0.0));
                assert!(outputs(&integer, &samples[..1]).iter().all(|value| *value == 0.0));
            }
        }
    }
}
