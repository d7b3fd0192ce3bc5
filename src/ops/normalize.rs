//! Rows brought to a common scale along the last axis: log softmax, division by the Euclidean norm (TensorFlow Lite's
//! LOG_SOFTMAX and L2_NORMALIZATION), layer normalisation (Ba, Kiros and Hinton, 2016), and root-mean-square normalisation
//! (Zhang and Sennrich, 2019).
//!
//! Int8 in fixed point: a log softmax has output scale 1/16 with zero point 127, a division by the norm 1/128 with 0.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Element, Error, OpKind, Operator, Span, StepView, Tensor};
use crate::fixed::Multiplier;
use crate::kernels::reference::{self, LogSoftmaxParameters};
use crate::kernels::{self};

/// The int8 log softmax.
pub static LOG_SOFTMAX_INT8: Operator =
    Operator { kind: OpKind::LogSoftmaxInt8, verify: verify_log_softmax, run: run_log_softmax };
/// The f32 log softmax; it has no parameters.
pub static LOG_SOFTMAX_FLOAT32: Operator = Operator {
    kind: OpKind::LogSoftmaxFloat32,
    verify: |view| expect_rows(view, DataType::Float32, usize::MAX),
    run: |call| run(call, reference::log_softmax_f32),
};
/// Int8 codes divided by their norm; it has no parameters.
pub static L2_INT8: Operator = Operator {
    kind: OpKind::L2NormalizationInt8,
    verify: |view| {
        view.input(0)?.expect_int8()?;
        expect_rows(view, DataType::Int8, MAX_SQUARES)
    },
    run: |call| {
        let zero_point = call.view.input(0)?.zero_point;
        run::<i8>(call, |x, codes| reference::l2_normalize(zero_point, x, codes))
    },
};
/// F32 values divided by their norm; it has no parameters.
pub static L2_FLOAT32: Operator = Operator {
    kind: OpKind::L2NormalizationFloat32,
    verify: |view| expect_rows(view, DataType::Float32, usize::MAX),
    run: |call| run(call, reference::l2_normalize_f32),
};

/// Layer normalisation of f32.
pub static LAYER_NORM_FLOAT32: Operator =
    Operator { kind: OpKind::LayerNormFloat32, verify: verify_layer_norm, run: run_layer_norm };

/// Parameters of a layer normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerNormParameters {
    /// One f32 factor for each value of a row.
    pub gamma: Span,
    /// One f32 offset for each value of a row.
    pub beta: Span,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Root-mean-square normalisation of f32.
pub static RMS_NORM_FLOAT32: Operator =
    Operator { kind: OpKind::RmsNormFloat32, verify: verify_rms_norm, run: run_rms_norm };

/// Parameters of a root-mean-square normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RmsNormParameters {
    /// One f32 factor for each value of a row.
    pub gamma: Span,
    /// Added to the mean square.
    pub epsilon: f32,
}

/// Parameters of an int8 log softmax: what [`LogSoftmaxParameters::new`] makes of the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The mantissas of one code in Q5.26, and of the inverse.
    pub mantissas: [i32; 2],
    /// Their exponents.
    pub exponents: [i8; 2],
    /// Differences to the maximum below this are left out of the sum.
    pub smallest_difference: i32,
}

impl From<LogSoftmaxParameters> for Parameters {
    fn from(LogSoftmaxParameters { multiplier, inverse, smallest_difference }: LogSoftmaxParameters) -> Self {
        Self {
            mantissas: [multiplier.mantissa, inverse.mantissa],
            exponents: [multiplier.exponent, inverse.exponent],
            smallest_difference,
        }
    }
}

/// Longer rows could overflow the sum of exponentials.
const MAX_EXPONENTIALS: usize = 4095;
/// Longer rows could overflow the sum of squares.
const MAX_SQUARES: usize = 33_000;

fn depth(tensor: &Tensor) -> usize {
    tensor.shape().last().map_or(0, |extent| *extent as usize)
}

fn expect_rows(view: &StepView<'_>, data_type: DataType, most: usize) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(data_type)?;
    output.expect(data_type)?;
    let fits = (1..=most).contains(&depth(input)) && input.elements() == output.elements();
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run<T: Element>(call: &mut Call<'_, '_>, row: impl Fn(&[T], &mut [T])) -> kernels::Result {
    let input = call.view.input(0)?;
    let depth = depth(input).max(1);
    let regions = call.output()?;
    let [values] = regions.writable;
    let rows = regions.rest.read::<T>(input)?.chunks_exact(depth);
    for (x, values) in rows.zip(elements(values)?.chunks_exact_mut(depth)) {
        row(x, values);
    }
    Ok(())
}

fn verify_log_softmax(view: &StepView<'_>) -> Result<(), Error> {
    expect_rows(view, DataType::Int8, MAX_EXPONENTIALS)?;
    let Parameters { mantissas, exponents, .. } = view.parameters()?;
    let defined = mantissas.iter().all(|mantissa| *mantissa >= 0)
        && exponents.iter().all(|exponent| Multiplier::EXPONENTS.contains(exponent));
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

fn run_log_softmax(call: &mut Call<'_, '_>) -> kernels::Result {
    let Parameters { mantissas, exponents, smallest_difference } = call.view.parameters()?;
    let ([mantissa, inverse_mantissa], [exponent, inverse_exponent]) = (mantissas, exponents);
    let parameters = LogSoftmaxParameters {
        multiplier: Multiplier { mantissa, exponent },
        inverse: Multiplier { mantissa: inverse_mantissa, exponent: inverse_exponent },
        smallest_difference,
    };
    run::<i8>(call, |x, codes| reference::log_softmax(&parameters, x, codes))
}

fn verify_layer_norm(view: &StepView<'_>) -> Result<(), Error> {
    expect_rows(view, DataType::Float32, usize::MAX)?;
    let LayerNormParameters { gamma, beta, epsilon } = view.parameters()?;
    let depth = depth(view.input(0)?);
    view.constant::<f32>(gamma, depth)?;
    view.constant::<f32>(beta, depth)?;
    if epsilon >= 0.0 { Ok(()) } else { Err(Error::Quantization) }
}

fn run_layer_norm(call: &mut Call<'_, '_>) -> kernels::Result {
    let LayerNormParameters { gamma, beta, epsilon } = call.view.parameters()?;
    let (gamma, beta) = (call.view.constant_of(gamma)?, call.view.constant_of(beta)?);
    run(call, |x, values| reference::layer_norm_f32(epsilon, gamma, beta, x, values))
}

fn verify_rms_norm(view: &StepView<'_>) -> Result<(), Error> {
    expect_rows(view, DataType::Float32, usize::MAX)?;
    let RmsNormParameters { gamma, epsilon } = view.parameters()?;
    view.constant::<f32>(gamma, depth(view.input(0)?))?;
    if epsilon >= 0.0 { Ok(()) } else { Err(Error::Quantization) }
}

fn run_rms_norm(call: &mut Call<'_, '_>) -> kernels::Result {
    let RmsNormParameters { gamma, epsilon } = call.view.parameters()?;
    let gamma = call.view.constant_of(gamma)?;
    run(call, |x, values| reference::rms_norm_f32(epsilon, gamma, x, values))
}
