//! Sums and products of two tensors of the same shape.

use super::super::reference::{self, AddParameters, Broadcast, MulParameters};
use super::super::scaled_sum::{HALF, ScaledSum, is_elementwise};
use super::super::scaling::{Scaling, Sums};
use super::super::{Code, Result};
use super::assembly::{Add, Mul, nervelet_add, nervelet_add_wide, nervelet_mul};

/// The sum of two tensors of int8 codes.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let Some(frame) = frame(broadcast, parameters, a, b, output) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    // SAFETY: reads one code of both operands for each of `output`, which all have the same length, at least 1, and writes
    // each code of `output`. Terms are below 2^28, so that the doubling of their sum is exact.
    unsafe { nervelet_add(&raw const frame) };
    clamp(output, parameters.range);
    Ok(())
}

/// The sum of two tensors of int16 codes.
pub fn add_i16(broadcast: &Broadcast, parameters: &AddParameters, a: &[i16], b: &[i16], output: &mut [i16]) -> Result {
    let frame = frame(broadcast, parameters, a, b, output);
    let [of_a, of_b] = parameters.multipliers;
    let fits = parameters.zero_points == [0, 0] && (of_a != HALF || of_b != HALF);
    let Some(frame) = frame.filter(|_| fits) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    // SAFETY: as above, in codes of two bytes. Terms are from -2^29 to below 2^29, and what comes to a shift of 16 is a
    // code without a zero point.
    unsafe { nervelet_add_wide(&raw const frame) };
    clamp(output, parameters.range);
    Ok(())
}

/// What the kernel is given, where the sum has its form.
fn frame<C: Code>(
    broadcast: &Broadcast,
    parameters: &AddParameters,
    a: &[C],
    b: &[C],
    output: &mut [C],
) -> Option<Add> {
    let sum = ScaledSum::of(broadcast, parameters, a, b, output.len())?;
    let ScaledSum { exact, exact_zero_point, scaled, scaled_zero_point, factor } = sum;
    // One half again is a quarter of the double: the kernel always shifts to the right.
    let double = C::SUM_BITS + 1;
    let (shift, right) = if factor == HALF { (double + 1, 1) } else { (double, -i32::from(factor.exponent)) };
    let output_right = -i32::from(parameters.output_multiplier.exponent);
    let usual = [right, output_right].iter().all(|right| (1..=31).contains(right));
    let range = output.as_mut_ptr_range();
    usual.then_some(Add {
        scaled: scaled.as_ptr().cast(),
        exact: exact.as_ptr().cast(),
        output: range.start.cast(),
        scaled_factor: 1_i32.wrapping_shl(shift),
        scaled_offset: scaled_zero_point.wrapping_neg().wrapping_shl(shift),
        scaled_mantissa: factor.mantissa,
        scaled_right: right,
        exact_factor: 1_i32.wrapping_shl(C::SUM_BITS - 1),
        exact_offset: exact_zero_point.wrapping_neg().wrapping_shl(C::SUM_BITS - 1),
        mantissa: parameters.output_multiplier.mantissa,
        right: output_right,
        zero_point: parameters.output_zero_point,
        output_end: range.end.cast(),
    })
}

/// The product of two tensors of int8 codes.
pub fn mul(broadcast: &Broadcast, parameters: &MulParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    let scaling = Scaling::new(parameters.multiplier, parameters.output_zero_point, Sums::Shifted);
    let codes = [zero_point_a, zero_point_b].iter().all(|zero_point| (-128..=127).contains(zero_point));
    let elements = output.len();
    let fits = is_elementwise(broadcast) && codes && elements > 0 && a.len() == elements && b.len() == elements;
    let Some(scaling) = scaling.filter(|_| fits) else {
        return reference::mul(broadcast, parameters, a, b, output);
    };
    let range = output.as_mut_ptr_range();
    let frame = Mul {
        a: a.as_ptr(),
        b: b.as_ptr(),
        output: range.start,
        zero_point_a: zero_point_a << 8,
        zero_point_b,
        scaling: scaling.words(),
        output_end: range.end,
    };
    // SAFETY: reads one byte of `a` and `b` for each byte of `output`, which all have the same length, at least 1, and
    // writes each byte of `output`.
    unsafe { nervelet_mul(&raw const frame) };
    clamp(output, parameters.range);
    Ok(())
}

/// Brings codes into the range of a fused activation.
fn clamp<C: Code>(output: &mut [C], range: [i32; 2]) {
    if range != C::RANGE {
        let [low, high] = range;
        output.iter_mut().for_each(|code| *code = C::saturate(code.widen().min(high).max(low)));
    }
}
