//! Sums of two tensors of the same shape.

use super::super::reference::{self, AddParameters, Broadcast};
use super::super::{Code, Result};
use super::assembly::{Add, DOUBLING, nervelet_add};
use super::clamp;
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
    // One half again is a quarter of the double: the kernel always shifts to the right.
    let (shift, right) = if factor == HALF { (21, 1) } else { (20, -i32::from(factor.exponent)) };
    let shift = shift + DOUBLING;
    let Multiplier { mantissa, exponent } = parameters.output_multiplier;
    let output_right = -i32::from(exponent);
    let usual = [right, output_right].iter().all(|right| (1..=31).contains(right));
    let codes = |zero_point: i32| (-128..=127).contains(&zero_point);
    let elements = output.len();
    let fits = is_dense(&broadcast.extents, &broadcast.first)
        && is_dense(&broadcast.extents, &broadcast.second)
        && usual
        && codes(zero_point_a)
        && codes(zero_point_b)
        && elements > 0
        && a.len() == elements
        && b.len() == elements;
    if !fits {
        return reference::add(broadcast, parameters, a, b, output);
    }
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

/// Whether strides are those of neighbouring elements.
fn is_dense(extents: &[u32; 4], strides: &[u32; 4]) -> bool {
    let mut expected = 1_u32;
    extents.iter().zip(strides).rev().all(|(extent, stride)| {
        let dense = *extent == 1 || *stride == expected;
        expected = expected.wrapping_mul(*extent);
        dense
    })
}
