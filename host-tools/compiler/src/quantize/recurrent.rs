//! Recurrent layers: int8 weights with a scale for each row, integer biases.

use anyhow::{Context, Result, ensure};
use nervelet::ops::DataType;

use crate::graph::{Data, Graph, Op, Quantization, Tensor, TensorId};

/// Gives a recurrent layer its integer weights and biases.
pub(super) fn quantize_layer(graph: &mut Graph, index: usize) -> Result<()> {
    let node = graph.nodes[index].clone();
    let Op::Recurrent { .. } = node.op else { return Ok(()) };
    let [x, weights, recurrent, bias, recurrent_bias, ..] = node.inputs[..] else {
        anyhow::bail!("takes five inputs at least");
    };
    let hidden = node.outputs.get(1).context("has no state")?;
    let inputs =
        [x, *hidden].map(|id| graph.tensor(id).quantization.as_ref().map(|quantization| quantization.scales[0]));
    let mut own = node.inputs.clone();
    for (side, (weights, bias)) in [(weights, bias), (recurrent, recurrent_bias)].into_iter().enumerate() {
        let input = inputs[side].context("an operand has no scale")?;
        let (weights, scales) = rows(graph, weights)?;
        own[3 + side] = biases(graph, bias, input, &scales)?;
        own[1 + side] = weights;
    }
    graph.nodes[index].inputs = own;
    Ok(())
}

/// A matrix with a scale for each row.
fn rows(graph: &mut Graph, id: TensorId) -> Result<(TensorId, Vec<f32>)> {
    let weights = graph.tensor(id).clone();
    let values = weights.float_data().context("weights have to be constants")?;
    ensure!(values.iter().all(|value| value.is_finite()), "a weight is not finite");
    let columns = weights.shape.last().copied().unwrap_or(0).max(1);
    let (mut scales, mut codes) = (Vec::new(), Vec::new());
    for row in values.chunks_exact(columns) {
        let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 / 127.0 };
        codes.extend(row.iter().map(|value| (value / scale).round().clamp(-127.0, 127.0) as i8));
        scales.push(scale);
    }
    let quantization = Quantization { zero_points: vec![0; scales.len()], scales: scales.clone(), axis: 0 };
    let codes = Tensor {
        data_type: DataType::Int8,
        data: Some(Data::Int8(codes)),
        quantization: Some(quantization),
        ..weights
    };
    Ok((graph.add_tensor(codes), scales))
}

/// Biases in the scale of their sums.
fn biases(graph: &mut Graph, id: TensorId, input: f32, scales: &[f32]) -> Result<TensorId> {
    let bias = graph.tensor(id).clone();
    let values = bias.float_data().context("biases have to be constants")?;
    ensure!(values.len() == scales.len(), "{} biases for {} rows", values.len(), scales.len());
    let steps =
        values.iter().zip(scales).map(|(bias, scale)| f64::from(*bias) / (f64::from(input) * f64::from(*scale)));
    let codes: Vec<f64> = steps.map(f64::round).collect();
    let largest = codes.iter().fold(0.0_f64, |largest, code| largest.max(code.abs()));
    ensure!(largest < 2.0_f64.powi(30), "a bias is {largest} steps of its sum: calibrate with inputs of a usual size");
    let data = Data::Int32(codes.iter().map(|code| *code as i32).collect());
    Ok(graph.add_tensor(Tensor { data_type: DataType::Int32, data: Some(data), quantization: None, ..bias }))
}
