//! Int16 rows and functions in assembly.

use super::super::reference::{self, LayerNorm, root_of_variance};
use super::super::{Code, OutOfBounds, Result};
use super::assembly::{Moments, Normalize, Rescale};
use super::assembly::{
    nervelet_mve_interpolate, nervelet_mve_moments, nervelet_mve_narrow, nervelet_mve_normalize, nervelet_mve_widen,
};
use crate::fixed::Multiplier;

/// The normalisation of one row.
pub fn layer_norm_i16(norm: &LayerNorm<'_>, x: &[i16], codes: &mut [i16]) {
    let count = x.len();
    let fits = (1..=reference::MAX_ROW).contains(&count)
        && codes.len() == count
        && norm.gamma.len() == count
        && norm.beta.len() == count
        && (1..=31).contains(&norm.shift);
    if !fits {
        return reference::layer_norm_i16(norm, x, codes);
    }
    let mut moments = Moments::default();
    // SAFETY: reads `count` codes and writes the moments.
    unsafe { nervelet_mve_moments(x.as_ptr(), count, &raw mut moments) };
    let sum = if norm.centred { moments.sum } else { 0 };
    let [low, high] = moments.squares.map(u64::from);
    let (root, exponent) = root_of_variance(norm, count as u32, sum, low | high << 32);
    // The high word of a product with 15 more bits; where that loses too many, codes are small and get more as well.
    let shift = (15 + exponent).saturating_sub(norm.fraction).max(1);
    let more = 18_u32.saturating_sub(shift);
    let frame = Normalize {
        x: x.as_ptr(),
        gamma: norm.gamma.as_ptr(),
        beta: norm.beta.as_ptr(),
        output: codes.as_mut_ptr(),
        factor: (count as i32).wrapping_shl(more),
        offset: sum.wrapping_neg().wrapping_shl(more),
        root: root << 15,
        high_shift: 17_i32.wrapping_sub_unsigned(shift + more),
        shift: 0_i32.wrapping_sub_unsigned(norm.shift),
        count,
    };
    // SAFETY: reads `count` codes with as many of gamma and beta, and writes as many of `codes`.
    unsafe { nervelet_mve_normalize(&raw const frame) };
}

/// A function as a table of 513 codes.
pub fn lookup_i16(table: &[i16], x: &[i16], codes: &mut [i16]) -> Result {
    if table.len() < 513 || x.len() != codes.len() {
        return Err(OutOfBounds);
    }
    // SAFETY: reads all of `x` and writes as many codes; of the table two neighbours from an index of at most 511 on.
    unsafe { nervelet_mve_interpolate(x.as_ptr(), table.as_ptr(), codes.as_mut_ptr(), x.len()) };
    Ok(())
}

/// Codes of int16 as codes of int8.
pub fn narrow(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i16], codes: &mut [i8]) {
    match rescale(zero_points, multiplier, range, x, codes) {
        // SAFETY: reads all of `x` and writes as many of `codes`.
        Some(frame) => unsafe { nervelet_mve_narrow(&raw const frame) },
        None => reference::requantize(zero_points, multiplier, range, x, i32::from, codes),
    }
}

/// Codes of int8 as codes of int16.
pub fn widen(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i8], codes: &mut [i16]) {
    match rescale(zero_points, multiplier, range, x, codes) {
        // SAFETY: as above.
        Some(frame) => unsafe { nervelet_mve_widen(&raw const frame) },
        None => reference::requantize(zero_points, multiplier, range, x, i32::from, codes),
    }
}

/// What the kernels are given, where the range is that of the codes.
fn rescale<I: Code, C: Code>(
    [input_zero_point, zero_point]: [i32; 2],
    Multiplier { mantissa, exponent }: Multiplier,
    range: [i32; 2],
    x: &[I],
    codes: &mut [C],
) -> Option<Rescale> {
    let fits = range == C::RANGE && (-31..=30).contains(&exponent) && (-32_768..=32_767).contains(&zero_point);
    (fits && x.len() == codes.len()).then_some(Rescale {
        x: x.as_ptr().cast(),
        output: codes.as_mut_ptr().cast(),
        offset: input_zero_point.wrapping_neg(),
        left: exponent.max(0).into(),
        mantissa,
        right: exponent.min(0).into(),
        shifts: i32::from(exponent < 0),
        zero_point,
        count: x.len(),
    })
}
