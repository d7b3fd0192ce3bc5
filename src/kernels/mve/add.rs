//! Sums and products of two tensors of the same shape.

use super::super::reference::{self, AddParameters, Broadcast, MulParameters};
use super::super::scaled_sum::{ScaledSum, is_elementwise};
use super::super::{Code, Result};
use super::assembly::{self, Add, Mul, nervelet_mve_add, nervelet_mve_add_wide, nervelet_mve_mul};

/// The sum of two tensors of int8 codes.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let Some(frame) = frame(broadcast, parameters, a, b, output) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    // SAFETY: reads one code of both operands for each of `output` and writes each code of `output`: all have one length.
    unsafe { nervelet_mve_add(&raw const frame) };
    assembly::clamp(output, parameters.range);
    Ok(())
}

/// The sum of two tensors of int16 codes.
pub fn add_i16(broadcast: &Broadcast, parameters: &AddParameters, a: &[i16], b: &[i16], output: &mut [i16]) -> Result {
    let zero_points = parameters.zero_points == [0, 0] && parameters.output_zero_point == 0;
    let Some(frame) = frame(broadcast, parameters, a, b, output).filter(|_| zero_points) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    // SAFETY: as above, in codes of two bytes.
    unsafe { nervelet_mve_add_wide(&raw const frame) };
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
    let of_sum = parameters.output_multiplier;
    let elements = output.len();
    let sum = ScaledSum::of(broadcast, parameters, a, b, elements)?;
    let ScaledSum { exact, exact_zero_point, scaled, scaled_zero_point, factor } = sum;
    let shifts_right = [factor, of_sum].iter().all(|factor| (-31..=0).contains(&factor.exponent));
    shifts_right.then_some(Add {
        scaled: scaled.as_ptr().cast(),
        exact: exact.as_ptr().cast(),
        output: output.as_mut_ptr().cast(),
        exact_offset: exact_zero_point.wrapping_neg().wrapping_shl(C::SUM_BITS - 1),
        scaled_offset: scaled_zero_point.wrapping_neg().wrapping_shl(C::SUM_BITS),
        mantissa: factor.mantissa,
        exponent: factor.exponent.into(),
        shifts: i32::from(factor.exponent < 0),
        sum_mantissa: of_sum.mantissa,
        sum_exponent: of_sum.exponent.into(),
        sum_shifts: i32::from(of_sum.exponent < 0),
        zero_point: parameters.output_zero_point,
        elements,
    })
}

/// The product of two tensors of int8 codes.
pub fn mul(broadcast: &Broadcast, parameters: &MulParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let MulParameters { zero_points, multiplier, output_zero_point, range } = *parameters;
    let elements = output.len();
    let fits = is_elementwise(broadcast)
        && zero_points.iter().all(|zero_point| (-128..=127).contains(zero_point))
        && (-31..=0).contains(&multiplier.exponent)
        && a.len() == elements
        && b.len() == elements;
    if !fits {
        return reference::mul(broadcast, parameters, a, b, output);
    }
    let frame = Mul {
        a: a.as_ptr(),
        b: b.as_ptr(),
        output: output.as_mut_ptr(),
        zero_points: zero_points.map(i32::wrapping_neg),
        mantissa: multiplier.mantissa,
        exponent: multiplier.exponent.into(),
        shifts: i32::from(multiplier.exponent < 0),
        zero_point: output_zero_point,
        elements,
    };
    // SAFETY: reads `elements` bytes of `a` and `b` and writes as many of `output`, the length of all three.
    unsafe { nervelet_mve_mul(&raw const frame) };
    assembly::clamp(output, range);
    Ok(())
}
