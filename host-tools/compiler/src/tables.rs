//! Functions as tables of codes: 256 codes for int8, and what the int16 kernels interpolate in.
//!
//! Where TensorFlow Lite computes a function of int8 codes in integers, so do these; everywhere else its own table in
//! f32 is made.

use nervelet::fixed::{self, Multiplier, rounding_shift_right, saturating_doubling_high_multiply};

use crate::graph::Function;
use crate::lower::Scale;

/// The real function.
fn real(function: Function, x: f32) -> f32 {
    match function {
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Abs => x.abs(),
        Function::Neg => -x,
        Function::Square => x * x,
        Function::Sqrt => x.sqrt(),
        Function::Rsqrt => 1.0 / x.sqrt(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Floor => x.floor(),
        Function::Ceil => x.ceil(),
        Function::Round => x.round_ties_even(),
        Function::Elu => {
            if x >= 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Function::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Function::Erf => libm::erff(x),
        Function::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
        Function::GeluTanh => 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh()),
        Function::LeakyRelu { slope } => {
            if x >= 0.0 {
                x
            } else {
                slope * x
            }
        }
    }
}

/// Whether straight lines between 513 points follow a function closely.
pub(crate) fn is_smooth(function: Function) -> bool {
    !matches!(
        function,
        Function::Log | Function::Sqrt | Function::Rsqrt | Function::Floor | Function::Ceil | Function::Round
    )
}

/// 513 int16 codes of a function, for the input codes from -32768 to 32768 in steps of 128.
pub(crate) fn wide_codes(function: Function, input: f32, output: f32) -> Vec<u8> {
    let code = |step: i32| {
        let x = f64::from(input) * f64::from(step * 128);
        let value = match function {
            // In double precision, where tables of float are too coarse.
            Function::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Function::Erf => libm::erf(x),
            other => f64::from(real(other, x as f32)),
        };
        (value / f64::from(output)).round().clamp(-32_768.0, 32_767.0) as i16
    };
    (-256..=256).flat_map(|step| code(step).to_le_bytes()).collect()
}

/// The int8 code that a function gives for each of the 256 input codes, smallest first.
pub(crate) fn codes(function: Function, input: Scale, output: Scale) -> Vec<i8> {
    let centred = (-128..=127).map(|code: i32| code - input.zero_point);
    let saturate = |value: i32| value.saturating_add(output.zero_point).clamp(-128, 127) as i8;
    let ratio = f64::from(input.scale / output.scale);
    match function {
        Function::Abs => {
            let factor = Multiplier::from_real(ratio);
            centred.map(|x| saturate(factor.apply(x.abs()))).collect()
        }
        Function::LeakyRelu { slope } => {
            let positive = Multiplier::from_real(ratio);
            let [s_in, s_out] = [input, output].map(|scale| f64::from(scale.scale));
            // A negative slope keeps its sign outside the multiplier.
            let negative = Multiplier::from_real(s_in * f64::from(slope.abs()) / s_out);
            let sign = if slope < 0.0 { -1 } else { 1 };
            centred.map(|x| saturate(if x >= 0 { positive.apply(x) } else { negative.apply(x * sign) })).collect()
        }
        Function::Rsqrt => {
            let factor = 1.0 / f64::from(input.scale.sqrt() * output.scale);
            centred.map(|x| reciprocal_root(x, factor).map_or(127, saturate)).collect()
        }
        Function::HardSwish => centred.map(|x| hard_swish(x, input, output)).collect(),
        other => {
            let inverse = 1.0 / output.scale;
            let code = |x: i32| {
                let rescaled = (real(other, input.scale * x as f32) * inverse).round();
                (rescaled + output.zero_point as f32).clamp(-128.0, 127.0) as i8
            };
            centred.map(code).collect()
        }
    }
}

/// `factor / sqrt(x)` as TensorFlow Lite computes it: the reciprocal root as a mantissa by five Newton steps, then
/// two multiplications with 20 bits of headroom. `None`, the largest code, for 0; negative `x`, which the reference
/// forbids, likewise.
fn reciprocal_root(x: i32, factor: f64) -> Option<i32> {
    const HEADROOM: i8 = 20;
    if x <= 0 {
        return None;
    }
    let Multiplier { mantissa, exponent } = Multiplier::from_real(factor);
    let root = fixed::reciprocal_root(x);
    let scaled = Multiplier { mantissa: root.mantissa, exponent: root.exponent + HEADROOM }.apply(1);
    Some(apply_far(scaled, mantissa, i32::from(exponent) - i32::from(HEADROOM)))
}

/// As [`Multiplier::apply`], for exponents below -31 as well.
fn apply_far(x: i32, mantissa: i32, exponent: i32) -> i32 {
    let product = saturating_doubling_high_multiply(x.wrapping_shl(exponent.max(0) as u32), mantissa);
    let right = (-exponent).max(0) as u32;
    if right > 31 { 0 } else { rounding_shift_right(product, right) }
}

/// `x * clamp(x + 3, 0, 6) / 6` of one centred code in 16-bit arithmetic, as TensorFlow Lite computes it.
fn hard_swish(x: i32, input: Scale, output: Scale) -> i8 {
    let reduced = |factor: f32| {
        let Multiplier { mantissa, exponent } = Multiplier::from_real(factor.into());
        let mantissa = if mantissa >= i32::MAX - (1 << 15) { 32_767 } else { (mantissa + (1 << 15)) >> 16 };
        (mantissa, i32::from(exponent))
    };
    let high_multiply = |a: i32, b: i32| {
        if a == -32_768 && b == -32_768 {
            return 32_767;
        }
        let product = a * b;
        (product + if product >= 0 { 1 << 14 } else { 1 - (1 << 14) }) / (1 << 15)
    };
    let saturate = |x: i32| x.clamp(-32_768, 32_767);
    let fine = input.scale / 128.0;
    let (output_mantissa, output_exponent) = reduced(fine / output.scale);
    let (relu_mantissa, relu_exponent) = reduced(fine / (3.0_f32 / 32_768.0));
    let x = saturate(x << 7);
    let product = high_multiply(x, output_mantissa);
    let mut gate = x;
    if relu_exponent > 0 {
        gate = saturate(gate << (relu_exponent - 1).min(15));
    }
    gate = high_multiply(gate, relu_mantissa);
    if relu_exponent > 0 {
        gate = saturate(gate << 1);
    }
    if relu_exponent < 0 {
        gate = rounding_shift_right(gate, relu_exponent.unsigned_abs().min(31));
    }
    let gate = (gate + (1 << 15)) >> 1;
    let gated = gate * product / (1 << 15);
    // A scale of the output this small that its factor exceeds 1 would shift left, which the reference forbids.
    let shifted = rounding_shift_right(gated, (-output_exponent).clamp(0, 31) as u32);
    (shifted + output.zero_point).clamp(-128, 127) as i8
}

/// `2^16 / (1 + exp(-i / 24))`, the table of the int16 logistic function; the reference's entries exceed the nearest
/// integer by one at some places.
pub(crate) fn logistic() -> Vec<u8> {
    const RAISED: [u8; 44] = [
        4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46,
        49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
    ];
    let entry = |i: u8| {
        let exact = 65_536.0 / (1.0 + (-f64::from(i) / 24.0).exp());
        (exact.round() as u32 + u32::from(RAISED.contains(&i))).min(65_535) as u16
    };
    (0..=255).flat_map(|i| entry(i).to_le_bytes()).collect()
}

/// The factor and the shift that make arguments of the int16 logistic function or tanh of codes.
pub(crate) fn argument(scale: f32, tanh: bool) -> (i32, u8) {
    let power = f64::from(scale).log2();
    let left = 12 + power.round() as i32;
    if (power - power.round()).abs() < 1e-3 && (left == 0 || tanh && left == 1) {
        return (3 << left, 0);
    }
    let (mut factor, mut shift) = (f64::from(scale) * 4096.0 * 3.0, 0);
    while factor <= 32_767.0 / 2.0 && shift <= 30 {
        (factor, shift) = (factor * 2.0, shift + 1);
    }
    (factor as i32, shift)
}

/// 513 entries of a function over a range in Q0.15, each moved by half the error at the middle to the next; in f32,
/// as TensorFlow Lite Micro makes them.
pub(crate) fn interpolation(function: impl Fn(f32) -> f32, low: f32, high: f32) -> Vec<u8> {
    let step = (high - low) / 512.0;
    let saturate = |value: f32| value.clamp(-32_768.0, 32_767.0) as i16;
    let entry = |i: u16| {
        let at = low + f32::from(i) * step;
        let [value, middle, next] =
            [at, at + step / 2.0, low + f32::from(i + 1) * step].map(|x| function(x) * 32_768.0);
        let error = ((next + value.round()) / 2.0).round() - middle.round();
        saturate(value.round() - (error / 2.0).round())
    };
    let last = saturate((function(high) * 32_768.0).round());
    (0..512).map(entry).chain([last]).flat_map(i16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_functions_are_close_to_the_real_ones() {
        let (input, output) = (Scale { scale: 0.03, zero_point: -5 }, Scale { scale: 0.02, zero_point: 9 });
        for function in [Function::Abs, Function::HardSwish, Function::LeakyRelu { slope: 0.1 }] {
            for (code, found) in (-128..=127).zip(codes(function, input, output)) {
                let exact = real(function, input.scale * (code - input.zero_point) as f32) / output.scale + 9.0;
                assert!((f32::from(found) - exact.clamp(-128.0, 127.0)).abs() <= 1.0, "{function:?} of {code}");
            }
        }
    }
}
