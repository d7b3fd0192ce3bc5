//! Sums and products of two tensors of the same shape.

use super::super::reference::{self, AddParameters, Broadcast, MulParameters};
use super::super::scaled_sum::{HALF, ScaledSum, is_elementwise};
use super::super::{Code, Result};
use super::assembly::{Add, DOUBLING, Mul, nervelet_add, nervelet_add_wide, nervelet_mul};
use super::clamp;
use crate::fixed::Multiplier;

/// The sum of two tensors of int8 codes.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let Some(frame) = frame(broadcast, parameters, a, b, output) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    // SAFETY: reads one code of both operands for each of `output`, which all have the same length, at least 1, and writes
    // each code of `output`. Terms are below 2^28, as the roundings want them.
    unsafe { nervelet_add(&raw const frame) };
    let [low, high] = parameters.range;
    clamp([low.max(i8::RANGE[0]), high.min(i8::RANGE[1])], output);
    Ok(())
}

/// The sum of two tensors of int16 codes.
pub fn add_i16(broadcast: &Broadcast, parameters: &AddParameters, a: &[i16], b: &[i16], output: &mut [i16]) -> Result {
    let frame = frame(broadcast, parameters, a, b, output);
    let [of_a, of_b] = parameters.multipliers;
    let fits = parameters.zero_points == [0, 0] && parameters.output_zero_point == 0 && (of_a != HALF || of_b != HALF);
    let Some(frame) = frame.filter(|_| fits) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    // SAFETY: as above, in codes of two bytes. Terms are from -2^29 to below 2^29, and what comes to a shift of 16 is a
    // code without a zero point.
    unsafe { nervelet_add_wide(&raw const frame) };
    let [low, high] = parameters.range;
    if parameters.range != i16::RANGE {
        output.iter_mut().for_each(|code| *code = i16::saturate(code.widen().min(high).max(low)));
    }
    Ok(())
}

/// What the kernels are given, where the sum has their form.
fn frame<C: Code>(
    broadcast: &Broadcast,
    parameters: &AddParameters,
    a: &[C],
    b: &[C],
    output: &mut [C],
) -> Option<Add> {
    let Multiplier { mantissa, exponent } = parameters.output_multiplier;
    let sum = ScaledSum::of(broadcast, parameters, a, b, output.len())?;
    let ScaledSum { exact, exact_zero_point, scaled, scaled_zero_point, factor } = sum;
    // One half again is a quarter of the double: the kernel always shifts to the right.
    let doubled = C::SUM_BITS + DOUBLING;
    let (shift, right) = if factor == HALF { (doubled + 1, 1) } else { (doubled, -i32::from(factor.exponent)) };
    let output_right = -i32::from(exponent);
    let usual = [right, output_right].iter().all(|right| (1..=31).contains(right));
    let places = output.as_mut_ptr_range();
    usual.then_some(Add {
        scaled: scaled.as_ptr().cast(),
        exact: exact.as_ptr().cast(),
        output: places.start.cast(),
        scaled_factor: 1_i32.wrapping_shl(shift),
        scaled_offset: scaled_zero_point.wrapping_neg().wrapping_shl(shift),
        scaled_mantissa: factor.mantissa,
        scaled_right: right,
        exact_factor: 1_i32.wrapping_shl(C::SUM_BITS - 1),
        exact_offset: exact_zero_point.wrapping_neg().wrapping_shl(C::SUM_BITS - 1),
        mantissa,
        right: output_right,
        zero_point: parameters.output_zero_point,
        output_end: places.end.cast(),
    })
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
