//! Exponential, reciprocal, logistic and hyperbolic tangent in 32-bit fixed point (gemmlowp's algorithms).

use super::{Multiplier, rounding_shift_right, saturating_doubling_high_multiply as multiply};

pub(super) fn saturating_shift_left(x: i32, shift: u32) -> i32 {
    let shift = shift.min(31);
    let shifted = x << shift;
    // What is lost has to be copies of the sign.
    if shifted >> shift == x { shifted } else { (x >> 31) ^ i32::MAX }
}

/// `exp(-2^j)` in Q0.31 for `j` from -2 to 4, in the order in which the reference multiplies them.
const EXPONENTIALS: &[i32; 7] = &[1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];

/// `exp(a)` in Q0.31 for `a <= 0` given with `integer_bits` integer bits, `1..=29`.
///
/// The argument is split into a multiple of 1/4 and a rest in `[-1/4, 0)`; the rest takes a polynomial around -1/8,
/// the multiple a product of tabulated powers.
pub fn exp_of_negative(a: i32, integer_bits: u32) -> i32 {
    if a == 0 {
        return i32::MAX;
    }
    let integer_bits = integer_bits.clamp(1, 29);
    let fraction_bits = 31 - integer_bits;
    let quarter = 1_i32 << (fraction_bits - 2);
    let rest = (a & (quarter - 1)).wrapping_sub(quarter);

    let x = saturating_shift_left(rest, integer_bits).wrapping_add(1 << 28);
    let x2 = multiply(x, x);
    let x3 = multiply(x2, x);
    let x4 = multiply(x2, x2);
    let third = multiply(rounding_shift_right(x4, 2).wrapping_add(x3), 715_827_883);
    let tail = rounding_shift_right(third.wrapping_add(x2), 1);
    let mut result = 1_895_147_668_i32.wrapping_add(multiply(1_895_147_668, x.wrapping_add(tail)));

    // Below 2^31 where the argument is not positive.
    let mut quarters = (rest.wrapping_sub(a) & i32::MAX) >> (fraction_bits - 2);
    for factor in EXPONENTIALS {
        if quarters & 1 != 0 {
            result = multiply(result, *factor);
        }
        quarters >>= 1;
    }
    result
}

/// `2 / (1 + a)` in Q2.29 for `a` in `[0, 1)` as Q0.31, by three Newton-Raphson steps.
fn twice_reciprocal_of_one_plus(a: i32) -> i32 {
    let sum = i64::from(a) + i64::from(i32::MAX);
    let half = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut x = 1_515_870_810_i32.wrapping_add(multiply(half, -1_010_580_540));
    for _ in 0..3 {
        let error = (1_i32 << 29).wrapping_sub(multiply(half, x));
        x = x.wrapping_add(saturating_shift_left(multiply(x, error), 2));
    }
    x
}

/// `1 / (1 + a)` in Q0.31 for `a` in `[0, 1)` as Q0.31.
pub fn reciprocal_of_one_plus(a: i32) -> i32 {
    saturating_shift_left(twice_reciprocal_of_one_plus(a), 1)
}

/// `1 / (1 + exp(-g))` in Q0.31 for `g` with `integer_bits` integer bits.
pub fn logistic(g: i32, integer_bits: u32) -> i32 {
    let positive = reciprocal_of_one_plus(exp_of_negative(g.saturating_abs().wrapping_neg(), integer_bits));
    match g {
        0 => 1 << 30,
        1.. => positive,
        _ => i32::MAX.wrapping_sub(positive),
    }
}

/// `tanh(g)` in Q0.31 for `g` with `integer_bits` integer bits.
pub fn tanh(g: i32, integer_bits: u32) -> i32 {
    // Read with one more integer bit the same raw number is 2g, and tanh(g) = (1 - exp(-2g)) / (1 + exp(-2g)).
    let exponential = exp_of_negative(g.saturating_abs().wrapping_neg(), integer_bits + 1);
    let positive = saturating_shift_left(twice_reciprocal_of_one_plus(exponential).wrapping_sub(1 << 29), 2);
    match g {
        0 => 0,
        1.. => positive,
        _ => positive.wrapping_neg(),
    }
}

/// The input scale of an int8 logistic or tanh, as Q4.27 of one code, with the code beyond which both saturate.
fn code_scale(scale: f32) -> (Multiplier, i32) {
    let multiplier = Multiplier::from_real(f64::from(scale) * 134_217_728.0);
    let radius = libm::floor(15.0 * 134_217_728.0 / libm::exp2(f64::from(multiplier.exponent))) as i32;
    (multiplier, radius)
}

/// The int8 logistic of one code: output scale 1/256, zero point -128.
pub fn logistic_code(code: i8, scale: f32, zero_point: i32) -> i8 {
    let (multiplier, radius) = code_scale(scale);
    let x = i32::from(code).wrapping_sub(zero_point);
    if x <= -radius {
        return -128;
    }
    if x >= radius {
        return 127;
    }
    (rounding_shift_right(logistic(multiplier.apply(x), 4), 23) - 128).clamp(-128, 127) as i8
}

/// The int8 hyperbolic tangent of one code: output scale 1/128, zero point 0.
pub fn tanh_code(code: i8, scale: f32, zero_point: i32) -> i8 {
    let (multiplier, radius) = code_scale(scale);
    let x = i32::from(code).wrapping_sub(zero_point);
    if x <= -radius {
        return -128;
    }
    if x >= radius {
        return 127;
    }
    rounding_shift_right(tanh(multiplier.apply(x), 4), 24).clamp(-128, 127) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close() {
        for step in 0..4000 {
            let raw = -(step << 19);
            let exact = libm::exp(f64::from(raw) / 67_108_864.0);
            let fixed = f64::from(exp_of_negative(raw, 5)) / 2_147_483_648.0;
            assert!((exact - fixed).abs() < 3e-7, "exp of {raw}: {fixed} for {exact}");
        }
    }

    #[test]
    fn logistic_and_tanh_are_close() {
        for step in -3000..3000 {
            let raw = step * 600_000;
            let real = f64::from(raw) / 134_217_728.0;
            let sigma = f64::from(logistic(raw, 4)) / 2_147_483_648.0;
            let tangent = f64::from(tanh(raw, 4)) / 2_147_483_648.0;
            assert!((sigma - 1.0 / (1.0 + libm::exp(-real))).abs() < 1e-6, "logistic of {real}: {sigma}");
            assert!((tangent - libm::tanh(real)).abs() < 1e-6, "tanh of {real}: {tangent}");
        }
    }

    #[test]
    fn codes_are_within_one_step() {
        for scale in [0.01_f32, 0.05, 0.3] {
            for code in -128..=127_i8 {
                let real = f64::from(scale) * f64::from(i32::from(code) - 7);
                let sigma = (256.0 / (1.0 + libm::exp(-real)) - 128.0).min(127.0);
                assert!((f64::from(logistic_code(code, scale, 7)) - sigma).abs() <= 1.0);
                let tangent = (128.0 * libm::tanh(real)).min(127.0);
                assert!((f64::from(tanh_code(code, scale, 7)) - tangent).abs() <= 1.0);
            }
        }
    }
}
