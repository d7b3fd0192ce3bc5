//! Functions of one or two tensors: element by element, softmax, products of matrices.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Function, Op, Quantization, TensorId};

use super::file::Operator;
use super::import::{Import, activation};

/// An operator on one tensor that keeps its shape.
pub(super) fn unary(import: &mut Import<'_, '_>, operator: &Operator<'_>, op: Op) -> Result<()> {
    let x = import.value(operator.input(0)?)?;
    let shape = import.graph_tensor(x).shape.clone();
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, op, vec![x], output);
    Ok(())
}

/// An operator on two tensors, broadcast, whose options of a kind begin with a fused activation.
pub(super) fn binary(
    import: &mut Import<'_, '_>,
    operator: &Operator<'_>,
    options: u8,
    op: impl Fn(Activation) -> Op,
) -> Result<()> {
    let activation = activation(operator.option(options, 0, 0)?)?;
    plain_binary(import, operator, op(activation))
}

/// The shape of two tensors that are broadcast as numpy does.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        let lead = rank - shape.len();
        axis.checked_sub(lead).and_then(|axis| shape.get(axis)).copied().unwrap_or(1)
    };
    let axis = |axis| match (extent(a, axis), extent(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => bail!("shapes {a:?} and {b:?} don't fit each other"),
    };
    (0..rank).map(axis).collect()
}

/// RELU6. Between int8 tensors of different scales TensorFlow Lite Micro, which this library follows, clamps the
/// input's codes and does not rescale them.
pub(super) fn relu6(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let (input, output) = (import.input(operator, 0)?, operator.outputs.first().copied());
    let output = import.tensor(output.context("has no output 0")?)?;
    let op = match (&input.quantization, input.data_type) {
        (Some(Quantization { scales, zero_points, .. }), DataType::Int8)
            if input.quantization != output.quantization =>
        {
            let (scale, zero_point) = (scales[0], zero_points[0]);
            let six = zero_point.saturating_add((6.0 / scale).round() as i32);
            Op::Table { codes: (-128..=127).map(|code: i32| code.min(six).max(zero_point) as i8).collect() }
        }
        _ => Op::Clamp { activation: Activation::Relu6 },
    };
    unary(import, operator, op)
}

pub(super) fn gelu(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let tanh = operator.option::<u8>(116, 0, 0)? != 0;
    unary(import, operator, Op::Function(if tanh { Function::GeluTanh } else { Function::Gelu }))
}

pub(super) fn leaky_relu(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let slope = operator.option::<f32>(75, 0, 0.0)?;
    ensure!(slope.is_finite(), "a slope of {slope}: the file is damaged");
    unary(import, operator, Op::Function(Function::LeakyRelu { slope }))
}

/// An operator on two tensors, broadcast, without a fused activation.
pub(super) fn plain_binary(import: &mut Import<'_, '_>, operator: &Operator<'_>, op: Op) -> Result<()> {
    let inputs = vec![import.value(operator.input(0)?)?, import.value(operator.input(1)?)?];
    let shape = broadcast(&import.graph_tensor(inputs[0]).shape, &import.graph_tensor(inputs[1]).shape)?;
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, op, inputs, output);
    Ok(())
}

pub(super) fn batch_matmul(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let flag = |number| operator.option::<u8>(101, number, 0).map(|flag| flag != 0);
    let (transpose_a, transpose_b) = (flag(0)?, flag(1)?);
    let inputs = vec![import.value(operator.input(0)?)?, import.value(operator.input(1)?)?];
    let matrix = |id: TensorId, transposed: bool| {
        let shape = &import.graph_tensor(id).shape;
        let [lead @ .., rows, columns] = &shape[..] else { bail!("{shape:?} is no matrix") };
        Ok((lead.to_vec(), if transposed { [*columns, *rows] } else { [*rows, *columns] }))
    };
    let (lead_a, [rows, depth]) = matrix(inputs[0], transpose_a)?;
    let (lead_b, [depth_b, columns]) = matrix(inputs[1], transpose_b)?;
    ensure!(depth == depth_b, "rows of {depth} elements meet columns of {depth_b}");
    let mut shape = broadcast(&lead_a, &lead_b)?;
    shape.extend([rows, columns]);
    let output = import.output(operator, 0, &shape)?;
    import.node(operator, Op::BatchMatmul { transpose_a, transpose_b }, inputs, output);
    Ok(())
}

pub(super) fn softmax(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let beta = operator.option::<f32>(9, 0, 0.0)?;
    ensure!(beta.is_finite() && beta > 0.0, "beta is {beta}: it has to be positive");
    unary(import, operator, Op::Softmax { beta })
}
