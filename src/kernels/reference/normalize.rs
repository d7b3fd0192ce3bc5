//! Rows brought to a common scale: log softmax, and division by the Euclidean norm. Int8 in fixed point as TensorFlow
//! Lite's LOG_SOFTMAX and L2_NORMALIZATION.

use super::super::Code;
use crate::fixed::{Multiplier, exp_of_negative, logarithm, reciprocal_root, rounding_shift_right};

/// The input scale of an int8 log softmax, in fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogSoftmaxParameters {
    /// One code as Q5.26.
    pub multiplier: Multiplier,
    /// The inverse: from Q5.26 to codes.
    pub inverse: Multiplier,
    /// Differences to the maximum below this are left out of the sum.
    pub smallest_difference: i32,
}

impl LogSoftmaxParameters {
    /// The parameters for an input scale.
    pub fn new(scale: f32) -> Self {
        let multiplier = Multiplier::from_real((f64::from(scale) * 67_108_864.0).min(2_147_483_647.0));
        let steps = libm::floor(31.0 * 67_108_864.0 / libm::exp2(f64::from(multiplier.exponent)));
        let unit = libm::exp2(31.0 - f64::from(multiplier.exponent));
        let inverse = Multiplier::from_real(unit / f64::from(multiplier.mantissa.max(1)));
        Self { multiplier, inverse, smallest_difference: (steps as i32).wrapping_neg() }
    }
}

/// `x - max - log(sum(exp(x - max)))` of one row of int8 codes; output scale 1/16, zero point 127.
pub fn log_softmax(parameters: &LogSoftmaxParameters, x: &[i8], codes: &mut [i8]) {
    const ZERO_POINT: i32 = 127;
    let largest = i32::from(x.iter().copied().max().unwrap_or(0));
    let difference = |code: i8| i32::from(code).wrapping_sub(largest);
    let sum = x.iter().map(|code| difference(*code)).filter(|x| *x >= parameters.smallest_difference);
    let sum = sum.fold(0_i32, |sum, x| {
        sum.wrapping_add(rounding_shift_right(exp_of_negative(parameters.multiplier.apply(x), 5), 12))
    });
    let log_of_sum = logarithm(sum, 12);
    // Where the result would leave Q5.26 it is the smallest code.
    let lowest = parameters.inverse.apply(log_of_sum.wrapping_add(i32::MIN));
    let lowest = lowest.max(parameters.smallest_difference.wrapping_sub(1));
    for (x, code) in x.iter().zip(codes) {
        let x = difference(*x);
        *code = if x > lowest {
            let exact = parameters.multiplier.apply(x).wrapping_sub(log_of_sum);
            i8::saturate(rounding_shift_right(exact, 22).wrapping_add(ZERO_POINT))
        } else {
            i8::MIN
        };
    }
}

/// As [`log_softmax`], in f32.
pub fn log_softmax_f32(x: &[f32], values: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_of_sum = libm::logf(x.iter().fold(0.0, |sum, x| sum + libm::expf(x - largest)));
    for (x, value) in x.iter().zip(values) {
        *value = x - largest - log_of_sum;
    }
}

/// One row of int8 codes divided by its norm; output scale 1/128, zero point 0.
pub fn l2_normalize(zero_point: i32, x: &[i8], codes: &mut [i8]) {
    let centred = |code: i8| i32::from(code).wrapping_sub(zero_point);
    let sum = x.iter().fold(0_i32, |sum, code| sum.wrapping_add(centred(*code).wrapping_mul(centred(*code))));
    let Multiplier { mantissa, exponent } = reciprocal_root(sum);
    let factor = Multiplier { mantissa, exponent: exponent.saturating_add(7) };
    for (x, code) in x.iter().zip(codes) {
        *code = i8::saturate(factor.apply(centred(*x)));
    }
}

/// One row divided by its norm, which counts as 1e-6 at least.
pub fn l2_normalize_f32(x: &[f32], values: &mut [f32]) {
    let norm = libm::sqrtf(x.iter().fold(0.0, |sum, x| sum + x * x)).max(1e-6);
    for (x, value) in x.iter().zip(values) {
        *value = x / norm;
    }
}

/// One row with mean 0 and variance 1 (biased, `epsilon` added under the root), times `gamma`, plus `beta`. Sums run in
/// order.
pub fn layer_norm_f32(epsilon: f32, gamma: &[f32], beta: &[f32], x: &[f32], values: &mut [f32]) {
    let count = x.len() as f32;
    let mean = x.iter().fold(0.0, |sum, x| sum + x) / count;
    let variance = x.iter().fold(0.0, |sum, x| sum + (x - mean) * (x - mean)) / count;
    let deviation = libm::sqrtf(variance + epsilon);
    for (((x, value), gamma), beta) in x.iter().zip(values).zip(gamma).zip(beta) {
        *value = (x - mean) / deviation * gamma + beta;
    }
}

/// One row divided by the root of its mean square (`epsilon` added under the root), times `gamma`. Sums run in order.
pub fn rms_norm_f32(epsilon: f32, gamma: &[f32], x: &[f32], values: &mut [f32]) {
    let square = x.iter().fold(0.0, |sum, x| sum + x * x) / x.len() as f32;
    let root = libm::sqrtf(square + epsilon);
    for ((x, value), gamma) in x.iter().zip(values).zip(gamma) {
        *value = x / root * gamma;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> std::vec::Vec<i8> {
        (0..12).map(|i| (i * 29 % 256 - 90) as i8).collect()
    }

    #[test]
    fn log_probabilities_are_close() {
        for scale in [0.02_f32, 0.1, 0.4] {
            let mut codes = [0; 12];
            log_softmax(&LogSoftmaxParameters::new(scale), &row(), &mut codes);
            let reals: std::vec::Vec<f64> = row().iter().map(|x| f64::from(scale) * f64::from(*x)).collect();
            let sum: f64 = reals.iter().map(|x| x.exp()).sum();
            for (code, real) in codes.iter().zip(reals) {
                let exact = ((real - sum.ln()) * 16.0 + 127.0).clamp(-128.0, 127.0);
                assert!((f64::from(*code) - exact).abs() <= 1.0, "{code} for {exact} at {scale}");
            }
        }
    }

    #[test]
    fn normalized_rows_have_norm_one() {
        let mut codes = [0; 12];
        l2_normalize(5, &row(), &mut codes);
        let norm: f64 = codes.iter().map(|code| (f64::from(*code) / 128.0).powi(2)).sum();
        assert!((norm - 1.0).abs() < 0.02, "{norm}");
        l2_normalize(0, &[0; 12], &mut codes);
        assert_eq!(codes, [0; 12]);
    }
}
