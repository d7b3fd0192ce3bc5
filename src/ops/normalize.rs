//! Rows brought to a common scale in f32: log softmax and division by the Euclidean norm, along the last axis.

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, StepView, Tensor};

/// `x - max - log(sum(exp(x - max)))`; it has no parameters.
pub static LOG_SOFTMAX_FLOAT32: Operator =
    Operator { kind: OpKind::LogSoftmaxFloat32, verify, run: |call| run(call, log_softmax) };
/// `x / max(norm(x), 1e-6)` (TensorFlow Lite's L2_NORMALIZATION); it has no parameters.
pub static L2_FLOAT32: Operator =
    Operator { kind: OpKind::L2NormalizationFloat32, verify, run: |call| run(call, l2_normalize) };

fn depth(tensor: &Tensor) -> usize {
    tensor.shape().last().map_or(0, |extent| *extent as usize)
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(DataType::Float32)?;
    output.expect(DataType::Float32)?;
    let fits = depth(&input) > 0 && input.elements() == output.elements();
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>, row: impl Fn(&[f32], &mut [f32])) -> Result<(), Error> {
    let input = call.view.input(0)?;
    let depth = depth(&input).max(1);
    let regions = call.output()?;
    let [values] = regions.writable;
    let rows = regions.rest.read::<f32>(&input)?.chunks_exact(depth);
    for (x, values) in rows.zip(elements(values)?.chunks_exact_mut(depth)) {
        row(x, values);
    }
    Ok(())
}

fn log_softmax(x: &[f32], values: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let logarithm = libm::logf(x.iter().fold(0.0, |sum, x| sum + libm::expf(x - largest)));
    for (x, value) in x.iter().zip(values) {
        *value = x - largest - logarithm;
    }
}

fn l2_normalize(x: &[f32], values: &mut [f32]) {
    let norm = libm::sqrtf(x.iter().fold(0.0, |sum, x| sum + x * x)).max(1e-6);
    for (x, value) in x.iter().zip(values) {
        *value = x / norm;
    }
}
