//! Layer and root-mean-square normalisation of int16 codes: exact sums, one reciprocal root of 16 bits a row.

use super::super::Code;
use crate::fixed::round_shift_wide;

/// A normalisation of rows.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm<'a> {
    /// Factors of the normalised values, with `shift - fraction` fractional bits in codes of the output.
    pub gamma: &'a [i16],
    /// Offsets with `shift` fractional bits in codes of the output.
    pub beta: &'a [i32],
    /// `epsilon * count^2 / scale^2` of the input's scale, rounded.
    pub epsilon: u64,
    /// Fractional bits of the normalised values, in `4..=14`; see [`fraction_bits`].
    pub fraction: u32,
    /// Fractional bits before the last rounding, in `1..=31`.
    pub shift: u32,
    /// Whether the mean is taken off first; not so for the root mean square (Zhang and Sennrich, 2019).
    pub centred: bool,
}

/// The longest row: its sum of cubes fits 64 bits.
pub const MAX_ROW: usize = 1024;

/// Fractional bits of the normalised values of a row: none is larger than the root of its length.
pub const fn fraction_bits(length: usize) -> u32 {
    // ceil(log2(sqrt(length)))
    15 - length.next_power_of_two().trailing_zeros().div_ceil(2)
}

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta` of one row of 2 to [`MAX_ROW`] codes.
///
/// With `c = n x - sum(x)` the variance is `sum(c^2) / n^3`, exactly; the reciprocal of its root is `rho / 2^15` times a
/// power of two. Normalised values are rounded to `fraction` bits, and the result once more.
pub fn layer_norm_i16(norm: &LayerNorm<'_>, x: &[i16], codes: &mut [i16]) {
    let count = x.len() as u32;
    let sum = if norm.centred { x.iter().fold(0_i32, |sum, x| sum.wrapping_add((*x).into())) } else { 0 };
    let square = |x: i16| i32::from(x).wrapping_mul(x.into()) as u32;
    let squares = x.iter().fold(0_u64, |squares, x| squares.wrapping_add(square(*x).into()));
    let (root, exponent) = root_of_variance(norm, count, sum, squares);
    // Both are bounded, so the shift is at least 1: 15 - 14 + 0.
    let shift = (15 + exponent).saturating_sub(norm.fraction).max(1);
    for (((x, code), gamma), beta) in x.iter().zip(codes).zip(norm.gamma).zip(norm.beta) {
        let centred = i32::from(*x).wrapping_mul(count as i32).wrapping_sub(sum);
        let scaled = i64::from(centred).wrapping_mul(root.into());
        let normalised = round_shift_wide(scaled, shift).clamp(-32_768, 32_767) as i32;
        let affine = i64::from(normalised.wrapping_mul((*gamma).into())).wrapping_add((*beta).into());
        *code = i16::saturate(round_shift_wide(affine, norm.shift).clamp(-65_536, 65_535) as i32);
    }
}

/// `2^15 / sqrt(m)` and `e` for a row's `variance * n^2 + epsilon = m 4^e` from its sum, or 0, and the sum of its squares:
/// `sum(c^2) / n` is `n sum(x^2) - sum(x)^2`, a whole number.
#[inline(always)]
pub fn root_of_variance(norm: &LayerNorm<'_>, count: u32, sum: i32, squares: u64) -> (u32, u32) {
    let square = i64::from(sum).wrapping_mul(sum.into()) as u64;
    let variance = squares.wrapping_mul(count.into()).wrapping_sub(square);
    reciprocal_root(variance.saturating_add(norm.epsilon).max(1))
}

/// `2^15 / sqrt(m)`, rounded, and `e`, with `x = m 4^e` and `m` from 1 to 4, for `x >= 1`.
fn reciprocal_root(x: u64) -> (u32, u32) {
    let exponent = x.ilog2() / 2;
    // m with 30 fractional bits.
    let mantissa = if exponent > 15 { x >> (2 * exponent - 30) } else { x << (30 - 2 * exponent) };
    let below = |square: u32| mantissa.wrapping_mul(square.into()) <= 1 << 60;
    // Bit by bit, without a division: the largest root whose square is not beyond 2^30 / m.
    let (mut root, mut bit) = (0_u32, 1_u32 << 15);
    while bit > 0 {
        let next = root | bit;
        if below(next.wrapping_mul(next)) {
            root = next;
        }
        bit >>= 1;
    }
    // Up where the square is beyond (root + 1/2)^2.
    let up = below(root.wrapping_mul(root).wrapping_add(root).wrapping_add(1));
    (root.wrapping_add(up.into()), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocal_roots_are_rounded() {
        let mut x = 1_u64;
        while x < u64::MAX / 3 {
            for x in [x, x + 1, 2 * x, 3 * x] {
                let (root, exponent) = reciprocal_root(x);
                let m = x as f64 / libm::exp2(2.0 * f64::from(exponent));
                let exact = 32_768.0 / libm::sqrt(m);
                assert!((f64::from(root) - exact).abs() < 0.5 + 1e-4, "{x}: {root} for {exact}");
            }
            x *= 2;
        }
    }

    #[test]
    fn bits_suffice_for_the_largest_value() {
        for length in 2..=MAX_ROW {
            let bits = fraction_bits(length);
            assert!((4..=14).contains(&bits));
            assert!(libm::sqrt(length as f64) <= f64::from(1_u32 << (15 - bits)), "{length}");
            assert!(libm::sqrt(length as f64) * 2.0 > f64::from(1_u32 << (15 - bits)), "{length}");
        }
    }

    #[test]
    fn rows_far_from_zero_are_normalised_as_well() {
        const COUNT: usize = 64;
        let mut state = 1_u32;
        for (offset, spread) in [(0, 60_000), (20_000, 4000), (-30_000, 60), (0, 3)] {
            let x: std::vec::Vec<i16> = (0..COUNT)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (offset + (state >> 8) as i32 % spread - spread / 2).clamp(-32_768, 32_767) as i16
                })
                .collect();
            for centred in [true, false] {
                // Output scale 2^-12: gamma is 1.
                let fraction = fraction_bits(COUNT);
                let (gamma, beta) = ([4096; COUNT], [0; COUNT]);
                let norm = LayerNorm { gamma: &gamma, beta: &beta, epsilon: 0, fraction, shift: fraction, centred };
                let mut codes = [0; COUNT];
                layer_norm_i16(&norm, &x, &mut codes);
                let mean = if centred { x.iter().map(|x| f64::from(*x)).sum::<f64>() / COUNT as f64 } else { 0.0 };
                let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / COUNT as f64;
                for (code, x) in codes.iter().zip(&x) {
                    let exact = 4096.0 * (f64::from(*x) - mean) / variance.sqrt();
                    assert!((f64::from(*code) - exact).abs() < 1.0, "{code} for {exact}");
                }
            }
        }
    }
}
