//! Sums and products of two tensors of the same shape.

use super::super::Result;
use super::super::reference::{self, AddParameters, Broadcast, MulParameters};
use super::super::scaled_sum::{ScaledSum, is_elementwise};
use super::assembly::{self, Add, Mul, nervelet_mve_add, nervelet_mve_mul};

/// The sum of two tensors of int8 codes.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let of_sum = parameters.output_multiplier;
    let elements = output.len();
    let shifts_right =
        |sum: &ScaledSum<'_, i8>| [sum.factor, of_sum].iter().all(|factor| (-31..=0).contains(&factor.exponent));
    let Some(sum) = ScaledSum::of(broadcast, parameters, a, b, elements).filter(shifts_right) else {
        return reference::add(broadcast, parameters, a, b, output);
    };
    let ScaledSum { exact, exact_zero_point, scaled, scaled_zero_point, factor } = sum;
    let frame = Add {
        scaled: scaled.as_ptr(),
        exact: exact.as_ptr(),
        output: output.as_mut_ptr(),
        exact_offset: exact_zero_point.wrapping_neg() << 19,
        scaled_offset: scaled_zero_point.wrapping_neg() << 20,
        mantissa: factor.mantissa,
        exponent: factor.exponent.into(),
        shifts: i32::from(factor.exponent < 0),
        sum_mantissa: of_sum.mantissa,
        sum_exponent: of_sum.exponent.into(),
        sum_shifts: i32::from(of_sum.exponent < 0),
        zero_point: parameters.output_zero_point,
        elements,
    };
    // SAFETY: reads `elements` bytes of `scaled` and `exact` and writes as many of `output`, the length of all three.
    unsafe { nervelet_mve_add(&raw const frame) };
    assembly::clamp(output, parameters.range);
    Ok(())
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
