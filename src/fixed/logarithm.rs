//! Natural logarithm in fixed point (TensorFlow Lite's).

use super::nonlinear::saturating_shift_left;
use super::{reciprocal_of_one_plus, rounding_shift_right, saturating_doubling_high_multiply as multiply};

/// The logarithm of `x >= 1` with `integer_bits` integer bits, `1..=30`, in Q5.26.
///
/// `x` is a power of two times a rest around `2^(-1/4)`; the rest's logarithm is a quotient of polynomials.
pub fn logarithm(x: i32, integer_bits: u32) -> i32 {
    // Constants in Q0.31.
    const LOG_2: i32 = 1_488_522_236;
    const FOURTH_ROOT_OF_HALF: i32 = 1_805_811_301;
    const ROOT_OF_HALF: i32 = 1_518_500_250;
    const NUMERATOR_CUBIC: i32 = 117_049_297;
    const DENOMINATOR_SQUARE: i32 = 127_690_142;
    const DENOMINATOR_CONSTANT: i32 = 1_057_819_769;
    const DENOMINATOR_LINEAR: i32 = 638_450_708;
    // 1/4 in Q6.25.
    const QUARTER: i32 = 1 << 23;

    let power = |bits: u32| saturating_shift_left(integer_bits as i32 - bits as i32, 25);
    // Two ways to split x, half a power apart: the smaller rest counts.
    let headroom = x.leading_zeros();
    let normalized = saturating_shift_left(x, headroom.saturating_sub(1));
    let first_rest = saturating_shift_left(multiply(normalized, ROOT_OF_HALF), 1);
    let first_power = power(headroom).saturating_add(QUARTER);
    let second_headroom = multiply(x, ROOT_OF_HALF).leading_zeros().saturating_sub(1);
    let second_rest = saturating_shift_left(x, second_headroom);
    let second_power = power(second_headroom).saturating_sub(QUARTER);
    let (rest, power) = (first_rest.min(second_rest), first_power.max(second_power));

    let sum = i64::from(rest) + i64::from(FOURTH_ROOT_OF_HALF);
    let middle = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let difference = rest.wrapping_sub(FOURTH_ROOT_OF_HALF);
    let difference = difference.wrapping_add(difference);
    let square = multiply(difference, difference);
    let cubic = multiply(multiply(difference, square), NUMERATOR_CUBIC);
    let numerator = multiply(difference, rest).wrapping_add(cubic);
    let inner = DENOMINATOR_CONSTANT.wrapping_add(difference).wrapping_add(multiply(DENOMINATOR_SQUARE, square));
    let denominator = multiply(middle, inner).wrapping_add(multiply(DENOMINATOR_LINEAR, difference));
    let quotient = multiply(rounding_shift_right(numerator, 6), reciprocal_of_one_plus(denominator));
    saturating_shift_left(multiply(power, LOG_2).wrapping_add(quotient), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close() {
        for step in (0..4000_i32).step_by(if cfg!(miri) { 37 } else { 1 }) {
            let raw = (1 << 19) + step * step * 100;
            let exact = libm::log(f64::from(raw) / 524_288.0);
            let found = f64::from(logarithm(raw, 12)) / 67_108_864.0;
            assert!((exact - found).abs() < 1e-5, "the logarithm of {raw}: {found} for {exact}");
        }
    }
}
