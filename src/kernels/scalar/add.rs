//! Sums and products of two tensors of the same shape.

use super::super::reference::{self, AddParameters, Broadcast, MulParameters};
use super::super::scaled_sum::{HALF, ScaledSum, is_elementwise};
use super::super::{Code, Result};
use super::assembly::{Add, DOUBLING, Mul, nervelet_add, nervelet_mul};
use super::clamp;
use crate::fixed::Multiplier;

/// The sum of two tensors of int8 codes.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let Multiplier { mantissa, exponent } = parameters.output_multiplier;
    let output_right = -i32::from(exponent);
    // One half again is a quarter of the double: the kernel always shifts to the right.
    let shifts = |factor: Multiplier| if factor == HALF { (21, 1) } else { (20, -i32::from(factor.exponent)) };
    let usual =
        |sum: &ScaledSum<'_, i8>| [shifts(sum.factor).1, output_right].iter().all(|right| (1..=31).contains(right));
    let Some(sum) = ScaledSum::of(broadcast, parameters, a, b, output.len()).filter(usual) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    let ScaledSum { exact, exact_zero_point, scaled, scaled_zero_point, factor } = sum;
    let (shift, right) = shifts(factor);
    let shift = shift + DOUBLING;
    let places = output.as_mut_ptr_range();
    let frame = Add {
        scaled: scaled.as_ptr(),
        exact: exact.as_ptr(),
        output: places.start,
        scaled_factor: 1 << shift,
        scaled_offset: scaled_zero_point.wrapping_neg() << shift,
        scaled_mantissa: factor.mantissa,
        scaled_right: right,
        exact_factor: 1 << 19,
        exact_offset: exact_zero_point.wrapping_neg() << 19,
        mantissa,
        right: output_right,
        zero_point: parameters.output_zero_point,
        output_end: places.end,
    };
    // SAFETY: reads one byte of `scaled` and `exact` for each byte of `output`, which all have the same length, at
    // least 1, and writes each byte of `output`. Terms are below 2^28, as the roundings want them.
    unsafe { nervelet_add(&raw const frame) };
    let [low, high] = parameters.range;
    clamp([low.max(i8::RANGE[0]), high.min(i8::RANGE[1])], output);
    Ok(())
}

/// The product of two tensors of int8 codes.
pub fn mul(broadcast: &Broadcast, parameters: &MulParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let MulParameters { zero_points, multiplier, output_zero_point, range: [low, high] } = *parameters;
    let right = -i32::from(multiplier.exponent);
    let elements = output.len();
    let fits = is_elementwise(broadcast)
        && zero_points.iter().all(|zero_point| (-128..=127).contains(zero_point))
        && (1..=31).contains(&right)
        && elements > 0
        && a.len() == elements
        && b.len() == elements;
    if !fits {
        return reference::mul(broadcast, parameters, a, b, output);
    }
    let frame = Mul {
        a: a.as_ptr(),
        b: b.as_ptr(),
        output: output.as_mut_ptr(),
        elements,
        zero_points,
        mantissa: multiplier.mantissa,
        right,
        zero_point: output_zero_point,
    };
    // SAFETY: reads one byte of `a` and `b` for each byte of `output`, which all have the same length, at least 1, and
    // writes each byte of `output`. Products are below 2^16, as the roundings want them.
    unsafe { nervelet_mul(&raw const frame) };
    clamp([low.max(i8::RANGE[0]), high.min(i8::RANGE[1])], output);
    Ok(())
}
