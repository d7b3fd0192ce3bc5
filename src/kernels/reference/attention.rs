//! Scaled dot-product attention of codes, one query at a time: no matrix of scores is ever stored.

use super::super::{Code, OutOfBounds, Result};
use super::Matrices;
use crate::fixed::{power_of_half, round_shift_wide};

/// The factor `mantissa / 2^shift`, applied with one rounding, halves up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Factor {
    /// Below `2^31`.
    pub mantissa: u32,
    /// In `1..=62`.
    pub shift: u8,
}

impl Factor {
    /// The nearest factor with a mantissa of 31 bits where the shift allows; 0 where `real` is not positive.
    pub fn from_real(real: f64) -> Self {
        let usable = real > 0.0 && real < 1_073_741_824.0;
        if !usable {
            return Self { mantissa: 0, shift: 1 };
        }
        let (_, exponent) = libm::frexp(real);
        let shift = (31 - exponent).clamp(1, 62);
        let mantissa = libm::round(real * libm::exp2(f64::from(shift)));
        Self { mantissa: mantissa.min(2_147_483_647.0) as u32, shift: shift as u8 }
    }

    /// Whether the numbers are in their bounds.
    pub const fn is_sound(self) -> bool {
        self.mantissa < 1 << 31 && 1 <= self.shift && self.shift <= 62
    }

    /// `x` times the factor.
    #[inline(always)]
    pub fn apply(self, x: i64) -> i64 {
        round_shift_wide(x.wrapping_mul(self.mantissa.into()), self.shift.into())
    }
}

/// An attention.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Queries times keys: rows are queries, columns keys.
    pub scores: Matrices,
    /// Probabilities times values: the depth are the keys; the first operand's strides are unused.
    pub context: Matrices,
    /// Bits that scores lose, rounded, so that they fit 31.
    pub score_shift: u32,
    /// A score in steps of `2^-12` of the exponent of 2.
    pub exponent: Factor,
    /// Sums of values with weights of `2^-15` as codes of the output.
    pub output: Factor,
    /// Zero points of queries, keys, values and output.
    pub zero_points: [i32; 4],
    /// Keys that the first query sees, from the first on; each further query sees one more. Who sees none gets the real 0.
    pub visible: u32,
}

impl Attention {
    /// The number of keys that a query sees.
    pub fn keys_of(&self, query: u32) -> usize {
        self.visible.saturating_add(query).min(self.scores.columns) as usize
    }
}

/// The largest exponent that counts: `2^-31`.
const LOWEST: i64 = 31 << 12;

/// `softmax(q k) v` for each query: scores are exact sums, probabilities are Q0.15 of powers of two from a table, rounded
/// once after the division by their sum, and so is each output code. `row` has at least one place for each key. Keys that a
/// query doesn't see count as if they were not there.
pub fn attention<C: Code>(attention: &Attention, [q, k, v]: [&[C]; 3], row: &mut [i32], output: &mut [C]) -> Result {
    let Attention { scores, context, zero_points: [zero_q, zero_k, zero_v, zero_output], .. } = *attention;
    let row = row.get_mut(..scores.columns as usize).ok_or(OutOfBounds)?;
    let mut outputs = output.iter_mut();
    for batch in 0..scores.batches {
        let place = |strides: [u32; 3], second: u32, third: u32| {
            let at = batch.wrapping_mul(strides[0]).wrapping_add(second.wrapping_mul(strides[1]));
            at.wrapping_add(third.wrapping_mul(strides[2])) as usize
        };
        for query in 0..scores.rows {
            let row = row.get_mut(..attention.keys_of(query)).ok_or(OutOfBounds)?;
            let mut largest = i32::MIN;
            for (key, score) in (0..scores.columns).zip(row.iter_mut()) {
                let (mut at_q, mut at_k) = (place(scores.first, query, 0), place(scores.second, 0, key));
                let mut sum = 0_i64;
                for _ in 0..scores.depth {
                    let (a, b) = (q.get(at_q).ok_or(OutOfBounds)?, k.get(at_k).ok_or(OutOfBounds)?);
                    let (a, b) = (a.widen().wrapping_sub(zero_q), b.widen().wrapping_sub(zero_k));
                    sum = sum.wrapping_add(a.wrapping_mul(b).into());
                    at_q = at_q.wrapping_add(scores.first[2] as usize);
                    at_k = at_k.wrapping_add(scores.second[1] as usize);
                }
                let shift = attention.score_shift;
                *score = if shift == 0 { sum } else { round_shift_wide(sum, shift) } as i32;
                largest = largest.max(*score);
            }
            probabilities(attention.exponent, largest, row);
            for column in 0..context.columns {
                let mut at = place(context.second, 0, column);
                let mut sum = 0_i32;
                for probability in row.iter() {
                    let value = v.get(at).ok_or(OutOfBounds)?.widen().wrapping_sub(zero_v);
                    sum = sum.wrapping_add(probability.wrapping_mul(value));
                    at = at.wrapping_add(context.second[1] as usize);
                }
                let code = attention.output.apply(sum.into()).clamp(-65_536, 65_535) as i32;
                *outputs.next().ok_or(OutOfBounds)? = C::saturate(code.wrapping_add(zero_output));
            }
        }
    }
    Ok(())
}

/// Turns scores into probabilities of `2^-15`.
fn probabilities(exponent: Factor, largest: i32, row: &mut [i32]) {
    let mut sum = 0_u32;
    for score in row.iter_mut() {
        let difference = i64::from(largest).wrapping_sub(i64::from(*score));
        let power = power_of_half(exponent.apply(difference).clamp(0, LOWEST) as u32);
        *score = power;
        sum = sum.wrapping_add(power as u32);
    }
    // The largest score counts 32767, so the sum is positive.
    let (sum, half) = (sum.max(1), sum / 2);
    for power in row {
        *power = (((*power as u32) << 15).wrapping_add(half) / sum).min(32_767) as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_close() {
        // Scores in steps of 2^-10 of the exponent of 2.
        let scores = [1000, -3000, 990, 0, -40_000, 999];
        let mut row = scores;
        probabilities(Factor::from_real(4.0), 1000, &mut row);
        let powers = scores.map(|score| libm::exp2(f64::from(score - 1000) / 1024.0));
        let sum: f64 = powers.iter().sum();
        for (found, power) in row.iter().zip(powers) {
            assert!((f64::from(*found) - 32_768.0 * power / sum).abs() < 2.0, "{row:?}");
        }
        let mut row = [i32::MIN / 2, i32::MAX / 2];
        probabilities(Factor::from_real(1.0), i32::MAX / 2, &mut row);
        assert_eq!(row, [0, 32_767]);
    }

    #[test]
    fn factors_round_once() {
        assert_eq!([5, -5, 6].map(|x| Factor::from_real(0.5).apply(x)), [3, -2, 3]);
        assert_eq!(Factor::from_real(-1.0).apply(1 << 30), 0);
        assert!(Factor::from_real(f64::NAN).is_sound() && Factor::from_real(1e-30).is_sound());
    }
}
