//! Reciprocal square root of an integer, by Newton's steps in fixed point (TensorFlow Lite's).

use super::nonlinear::saturating_shift_left;
use super::{Multiplier, rounding_shift_right, saturating_doubling_high_multiply as multiply};

/// `1 / sqrt(x)` as a mantissa and an exponent of at most 0; `x` below 1 counts as 1.
pub fn reciprocal_root(x: i32) -> Multiplier {
    if x <= 1 {
        return Multiplier { mantissa: i32::MAX, exponent: 0 };
    }
    // x is brought to [2^27, 2^29) by powers of four, whose roots go into the exponent.
    let (mut x, mut right) = (x, 11);
    while x >= 1 << 29 {
        x /= 4;
        right += 1;
    }
    let pairs = (x.leading_zeros().saturating_sub(1) / 2).saturating_sub(1);
    right -= pairs as i32;
    x = x.wrapping_shl(2 * pairs);
    let half = rounding_shift_right(x >> 1, 1);
    let three_halves = (1 << 28) + (1 << 27);
    let mut root = 1 << 28;
    for _ in 0..5 {
        // Products of two and three Q3.28 are Q6.25 and Q9.22: each is brought back.
        let cube = saturating_shift_left(multiply(multiply(root, root), root), 6);
        root = saturating_shift_left(multiply(three_halves, root).wrapping_sub(multiply(half, cube)), 3);
    }
    // sqrt(1/2)
    let mantissa = multiply(root, 1_518_500_250);
    if right < 0 {
        return Multiplier { mantissa: mantissa.wrapping_shl(right.unsigned_abs()), exponent: 0 };
    }
    Multiplier { mantissa, exponent: right.wrapping_neg() as i8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocal_roots_are_close() {
        for x in (1..=255).chain([1000, 65_025, 1 << 28, (1 << 29) + 5, i32::MAX]) {
            let Multiplier { mantissa, exponent } = reciprocal_root(x);
            let found = f64::from(mantissa) * libm::exp2(f64::from(exponent) - 31.0);
            assert!((found * libm::sqrt(f64::from(x)) - 1.0).abs() < 1e-4, "{x}: {found}");
        }
    }
}
