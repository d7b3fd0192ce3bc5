//! Sums of two tensors of the same shape.

use super::super::Result;
use super::super::reference::{self, AddParameters, Broadcast};
use super::super::scaled_sum::ScaledSum;
use super::assembly::{self, Add, nervelet_mve_add};

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
