//! Sums and products of two tensors of the same shape.

use super::super::reference::{self, AddParameters, Broadcast, MulParameters};
use super::super::scaling::{Scaling, Sums};
use super::super::{Code, Result};
use super::assembly::{Add, Mul, nervelet_add, nervelet_mul};
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
    let (shift, right) = if factor == HALF { (22, 1) } else { (21, -i32::from(factor.exponent)) };
    let output_right = -i32::from(parameters.output_multiplier.exponent);
    let usual = [right, output_right].iter().all(|right| (1..=31).contains(right));
    let codes = |zero_point: i32| (-128..=127).contains(&zero_point);
    let same = is_dense(&broadcast.extents, &broadcast.first) && is_dense(&broadcast.extents, &broadcast.second);
    let elements = output.len();
    let fits = same
        && usual
        && codes(zero_point_a)
        && codes(zero_point_b)
        && elements > 0
        && a.len() == elements
        && b.len() == elements;
    if !fits {
        return reference::add(broadcast, parameters, a, b, output);
    }
    let range = output.as_mut_ptr_range();
    let frame = Add {
        scaled: scaled.as_ptr(),
        exact: exact.as_ptr(),
        output: range.start,
        scaled_factor: 1 << shift,
        scaled_offset: scaled_zero_point.wrapping_neg() << shift,
        scaled_mantissa: factor.mantissa,
        scaled_right: right,
        exact_factor: 1 << 19,
        exact_offset: exact_zero_point.wrapping_neg() << 19,
        mantissa: parameters.output_multiplier.mantissa,
        right: output_right,
        zero_point: parameters.output_zero_point,
        output_end: range.end,
    };
    // SAFETY: reads one byte of `scaled` and `exact` for each byte of `output`, which all have the same length, at
    // least 1, and writes each byte of `output`. Terms are below 2^28, so that the doubling of their sum is exact.
    unsafe { nervelet_add(&raw const frame) };
    clamp(output, parameters.range);
    Ok(())
}

/// The product of two tensors of int8 codes.
pub fn mul(broadcast: &Broadcast, parameters: &MulParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    let scaling = Scaling::new(parameters.multiplier, parameters.output_zero_point, Sums::Shifted);
    let codes = [zero_point_a, zero_point_b].iter().all(|zero_point| (-128..=127).contains(zero_point));
    let elements = output.len();
    let fits = is_dense(&broadcast.extents, &broadcast.first)
        && is_dense(&broadcast.extents, &broadcast.second)
        && codes
        && elements > 0
        && a.len() == elements
        && b.len() == elements;
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
        nudge: scaling.shift >> 8,
        output_end: range.end,
    };
    // SAFETY: reads one byte of `a` and `b` for each byte of `output`, which all have the same length, at least 1, and
    // writes each byte of `output`.
    unsafe { nervelet_mul(&raw const frame) };
    clamp(output, parameters.range);
    Ok(())
}

/// Brings codes into the range of a fused activation.
fn clamp(output: &mut [i8], range: [i32; 2]) {
    if range != i8::RANGE {
        let [low, high] = range;
        output.iter_mut().for_each(|code| *code = i8::saturate(i32::from(*code).min(high).max(low)));
    }
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
