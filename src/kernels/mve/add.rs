//! Sums of two tensors of the same shape.

use super::super::Result;
use super::super::reference::{self, AddParameters, Broadcast};
use super::assembly::{self, Add, nervelet_mve_add};
use crate::fixed::Multiplier;

/// One half.
const HALF: Multiplier = Multiplier { mantissa: 1 << 30, exponent: 0 };

/// The sum of two tensors of int8 codes.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let [of_a, of_b] = parameters.multipliers;
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    // Scales are such that the larger one becomes one half.
    let (exact, exact_zero_point, scaled, scaled_zero_point, factor) = match (of_a, of_b) {
        (HALF, factor) => (a, zero_point_a, b, zero_point_b, factor),
        (factor, HALF) => (b, zero_point_b, a, zero_point_a, factor),
        _ => return reference::add(broadcast, parameters, a, b, output),
    };
    let of_sum = parameters.output_multiplier;
    let codes = |zero_point: &i32| (-128..=127).contains(zero_point);
    let elements = output.len();
    let fits = is_dense(&broadcast.extents, &broadcast.first)
        && is_dense(&broadcast.extents, &broadcast.second)
        && [factor, of_sum].iter().all(|factor| (-31..=0).contains(&factor.exponent))
        && [exact_zero_point, scaled_zero_point].iter().all(codes)
        && a.len() == elements
        && b.len() == elements;
    if !fits {
        return reference::add(broadcast, parameters, a, b, output);
    }
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

/// Whether strides are those of neighbouring elements.
fn is_dense(extents: &[u32; 4], strides: &[u32; 4]) -> bool {
    let mut expected = 1_u32;
    extents.iter().zip(strides).rev().all(|(extent, stride)| {
        let dense = *extent == 1 || *stride == expected;
        expected = expected.wrapping_mul(*extent);
        dense
    })
}
