//! Sequence layers in integers follow their float models.

use nervelet::ops::OpKind;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, Compiled, Graph, GraphBuilder, compile, compile_quantized};

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

/// The first output for each sample.
fn outputs(compiled: &Compiled, samples: &[Vec<f32>]) -> Vec<f32> {
    let model = Model::from_bytes(&compiled.bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).unwrap();
    let run = |sample: &Vec<f32>| {
        session.set_input(0, sample).unwrap();
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
fn compare(graph: &Graph, samples: &[Vec<f32>]) -> (Compiled, Compiled, f64) {
    let options = CompileOptions::default();
    let float = compile(graph, &options).unwrap();
    let integer = compile_quantized(graph, &options, samples.iter().map(|sample| vec![&sample[..]])).unwrap();
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
        let samples: Vec<Vec<f32>> = (0..8).map(|_| sample(&mut random)).collect();
        let (float, integer, quality) = compare(&graph, &samples);
        println!("{rows} rows of {width} around {offset}: {quality:.1} dB");
        assert_eq!(kinds(&float), [OpKind::RmsNormFloat32]);
        assert_eq!(kinds(&integer), [OpKind::LayerNormInt16]);
        assert!(quality > 70.0, "{quality}");
    }
}
