//! How far an integer model is from the float model it came from, as ratios of signal and noise.
//!
//! *total* compares with the float model, *arithmetic* with the float model on the weights that the integer model has: what
//! the kernels, the tables and the codes of the activations cost. *floor* is what those weights cost alone.

use anyhow::{Context, Result};
use nervelet::learn::Pcg32;
use nervelet::ops::DataType;
use nervelet::{Model, Session};
use nervelet_compiler::calibrate::calibrate;
use nervelet_compiler::fold::fold;
use nervelet_compiler::graph::{Data, Graph, Tensor};
use nervelet_compiler::quantize::quantize_with;
use nervelet_compiler::{AlignedBytes, CompileOptions, Precision, compile};

/// About normal numbers: sums of twelve.
pub(crate) fn normal(random: &mut Pcg32, count: usize) -> Vec<f32> {
    let mut one = || random.below(1_000_001) as f32 / 1_000_000.0 - 0.5;
    (0..count).map(|_| (0..12).map(|_| one()).sum()).collect()
}

/// The values of each input of one run.
pub(crate) type Sample = Vec<Vec<f32>>;

/// Decibels for one output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    pub(crate) total: f64,
    pub(crate) arithmetic: f64,
    pub(crate) floor: f64,
}

/// Quantizes a graph over some samples, and measures each output over others.
pub(crate) fn measure(
    graph: &Graph,
    precision: Precision,
    calibration: &[Sample],
    samples: &[Sample],
) -> Result<(Graph, Vec<Quality>)> {
    let mut folded = graph.clone();
    fold(&mut folded)?;
    let slices = calibration.iter().map(|sample| sample.iter().map(Vec::as_slice).collect());
    let ranges = calibrate(&folded, slices)?;
    let quantized = quantize_with(&folded, &ranges, precision)?;
    let float = run(&folded, samples)?;
    let exact = run(&exact(&folded, &quantized), samples)?;
    let integer = run(&quantized, samples)?;
    let outputs = 0..graph.outputs.len();
    let quality = outputs.map(|output| Quality {
        total: decibels(&float[output], &integer[output]),
        arithmetic: decibels(&exact[output], &integer[output]),
        floor: decibels(&float[output], &exact[output]),
    });
    Ok((quantized, quality.collect()))
}

/// `10 log10(sum(reference^2) / sum((found - reference)^2))`.
pub(crate) fn decibels(reference: &[f32], found: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let signal: f64 = reference.iter().map(|x| square(f64::from(*x))).sum();
    let noise: f64 = reference.iter().zip(found).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    10.0 * (signal / noise).log10()
}

/// The values of each output over all samples.
pub(crate) fn run(graph: &Graph, samples: &[Sample]) -> Result<Vec<Vec<f32>>> {
    let compiled = compile(graph, &CompileOptions::default())?;
    let model = Model::from_bytes(&compiled.bytes)?;
    let mut arena = AlignedBytes::from(&vec![0xA5; compiled.arena_bytes][..]);
    let mut session = Session::new(&model, &mut arena)?;
    let mut outputs = vec![Vec::new(); graph.outputs.len()];
    for sample in samples {
        for (index, values) in sample.iter().enumerate() {
            session.set_input(index, values)?;
        }
        session.invoke()?;
        for (index, output) in outputs.iter_mut().enumerate() {
            output.extend(session.output_values(index).context("reading an output")?);
        }
    }
    Ok(outputs)
}

/// The float graph with the weights that the integer graph has.
pub(crate) fn exact(float: &Graph, quantized: &Graph) -> Graph {
    let mut exact = float.clone();
    for (index, node) in float.nodes.iter().enumerate() {
        let Some(twin) = quantized.nodes.iter().find(|twin| twin.outputs == node.outputs) else { continue };
        for (position, (own, codes)) in node.inputs.iter().zip(&twin.inputs).enumerate() {
            let (own, codes) = (float.tensor(*own), quantized.tensor(*codes));
            let Some(values) = reals(codes).filter(|values| own.data.is_some() && values.len() == own.elements())
            else {
                continue;
            };
            let data = Some(Data::Float32(values));
            exact.nodes[index].inputs[position] = exact.add_tensor(Tensor { data, ..own.clone() });
        }
    }
    exact
}

/// The values of int8 weights.
fn reals(tensor: &Tensor) -> Option<Vec<f32>> {
    let (Some(Data::Int8(codes)), Some(quantization)) = (&tensor.data, &tensor.quantization) else { return None };
    assert_eq!(tensor.data_type, DataType::Int8);
    let inner: usize = tensor.shape[quantization.axis + 1..].iter().product();
    let scale = |at: usize| {
        let scales = &quantization.scales;
        scales[if scales.len() == 1 { 0 } else { at / inner % scales.len() }]
    };
    Some(codes.iter().enumerate().map(|(at, code)| scale(at) * f32::from(*code)).collect())
}
