//! Int8 softmax in fixed point: output scale 1/256, zero point -128.

use super::super::{OutOfBounds, Result};
use crate::fixed::{
    Multiplier, exp_of_negative, reciprocal_of_one_plus, rounding_shift_right, saturating_doubling_high_multiply,
};

/// The input scale of a softmax, in fixed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SoftmaxParameters {
    /// One code as Q5.26; a power of two is shifted in before the product, so the exponent is at least 0.
    pub multiplier: Multiplier,
    /// Differences to the maximum below this are zero.
    pub smallest_difference: i32,
}

impl SoftmaxParameters {
    /// The parameters for an input scale and a factor `beta` on the logits.
    pub fn new(scale: f32, beta: f32) -> Self {
        let real = (f64::from(beta) * f64::from(scale) * 67_108_864.0).min(2_147_483_647.0);
        let multiplier = Multiplier::from_real(real);
        let steps = libm::floor(31.0 * 67_108_864.0 / libm::exp2(f64::from(multiplier.exponent)));
        Self { multiplier, smallest_difference: -(steps as i32) }
    }

    /// The exponential of a difference to the maximum; negative where it is too far below to count.
    #[inline(never)]
    fn exponential(&self, difference: i32) -> i32 {
        if difference < self.smallest_difference {
            return -1;
        }
        let Multiplier { mantissa, exponent } = self.multiplier;
        let shifted = difference.wrapping_shl(exponent.max(0) as u32);
        exp_of_negative(saturating_doubling_high_multiply(shifted, mantissa), 5)
    }
}

/// Exponentials that are kept from their sum to their quotients; those of longer rows are computed twice.
const KEPT: usize = 64;

/// Softmax of each row of `depth` codes.
///
/// A sum of 512 or more exponentials, where the reference aborts, gives the correct small probabilities here.
pub fn softmax(depth: usize, parameters: &SoftmaxParameters, input: &[i8], output: &mut [i8]) -> Result {
    if depth == 0 {
        return Err(OutOfBounds);
    }
    let mut kept = [0; KEPT];
    for (row, codes) in input.chunks_exact(depth).zip(output.chunks_exact_mut(depth)) {
        let largest = i32::from(row.iter().copied().max().unwrap_or(0));
        let exponential = |code: i8| parameters.exponential(i32::from(code).wrapping_sub(largest));
        let mut sum = 0_u32;
        for (index, code) in row.iter().enumerate() {
            let term = exponential(*code);
            sum = sum.wrapping_add(rounding_shift_right(term.max(0), 12) as u32);
            if let Some(kept) = kept.get_mut(index) {
                *kept = term;
            }
        }
        let headroom = sum.leading_zeros();
        let mantissa_of_sum = (sum.wrapping_shl(headroom) as i32).wrapping_sub(i32::MIN);
        let reciprocal = reciprocal_of_one_plus(mantissa_of_sum);
        let shift = 35_u32.saturating_sub(headroom);
        for (index, (code, result)) in row.iter().zip(codes).enumerate() {
            let term = kept.get(index).copied().unwrap_or_else(|| exponential(*code));
            let product = saturating_doubling_high_multiply(reciprocal, term);
            *result = match term {
                ..0 => -128,
                // Beyond 31 the quotient is below one half of a step: it rounds to 0.
                _ if shift > 31 => -128,
                _ => rounding_shift_right(product, shift).wrapping_sub(128).clamp(-128, 127) as i8,
            };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_equal_logits_do_not_abort() {
        let parameters = SoftmaxParameters::new(0.1, 1.0);
        for depth in [1, 2, 255, 511, 512, 513, 1001] {
            let input = std::vec![7_i8; depth];
            let mut output = std::vec![0_i8; depth];
            softmax(depth, &parameters, &input, &mut output).unwrap();
            let exact = (256.0 / depth as f64).round().min(255.0) as i32 - 128;
            assert!(output.iter().all(|code| (i32::from(*code) - exact).abs() <= 1), "{depth}: {}", output[0]);
        }
    }

    #[test]
    fn what_is_computed_twice_is_the_same() {
        // The last codes of a long row are those of a short one.
        let parameters = SoftmaxParameters::new(0.3, 1.0);
        let mut row = std::vec![-128_i8; KEPT + 3];
        row[KEPT..].copy_from_slice(&[5, 9, -20]);
        let (mut long, mut short) = (std::vec![0_i8; KEPT + 3], [0_i8; 3]);
        softmax(KEPT + 3, &parameters, &row, &mut long).unwrap();
        softmax(3, &parameters, &[5, 9, -20], &mut short).unwrap();
        assert_eq!(long[KEPT..], short);
        assert!(long[..KEPT].iter().all(|code| *code == -128));
    }

    #[test]
    fn probabilities_are_close() {
        let scale = 0.07_f32;
        let parameters = SoftmaxParameters::new(scale, 1.0);
        let input: std::vec::Vec<i8> = (0..10).map(|i| (i * 23 - 100) as i8).collect();
        let mut output = [0_i8; 10];
        softmax(10, &parameters, &input, &mut output).unwrap();
        let exponentials: std::vec::Vec<f64> =
            input.iter().map(|x| libm::exp(f64::from(scale) * f64::from(*x))).collect();
        let sum: f64 = exponentials.iter().sum();
        for (code, exact) in output.iter().zip(exponentials) {
            assert!((f64::from(*code) + 128.0 - 256.0 * exact / sum).abs() <= 1.0);
        }
    }
}
