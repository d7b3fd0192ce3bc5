//! Int16 codes one after the other: normalisation, tables, changes of scale. The cores without vectors have the same
//! routines, each in its own `stream.s`.

#![expect(unsafe_code, reason = "compilers spill what these kernels keep in registers")]

use super::reference::{self, LayerNorm, root_of_variance};
use super::{Code, OutOfBounds, Result};
use crate::fixed::Multiplier;

#[cfg(nervelet_armv7em)]
use super::armv7em::{DOUBLING, LARGEST};
#[cfg(not(nervelet_armv7em))]
use super::scalar::{DOUBLING, LARGEST};

/// What a row adds up to.
#[repr(C)]
#[derive(Default)]
struct Moments {
    sum: i32,
    squares: [u32; 2],
}

impl Moments {
    fn squares(&self) -> u64 {
        u64::from(self.squares[0]) | u64::from(self.squares[1]) << 32
    }
}

/// What a normalisation is given.
#[repr(C)]
struct Normalize {
    x: *const i16,
    end: *const i16,
    gamma: *const i16,
    beta: *const i32,
    output: *mut i16,
    factor: i32,
    offset: i32,
    root: u32,
    high_shift: u32,
    shift: u32,
}

/// What a change of scale is given.
#[repr(C)]
struct Rescale {
    x: *const u8,
    output: *mut u8,
    factor: i32,
    offset: i32,
    mantissa: i32,
    right: i32,
    zero_point: i32,
    end: *const u8,
}

unsafe extern "C" {
    /// The sum of codes and of their squares.
    fn nervelet_moments(x: *const i16, count: usize, moments: *mut Moments);
    /// Normalises a row.
    fn nervelet_normalize(frame: *const Normalize);
    /// A function as a table.
    fn nervelet_interpolate(x: *const i16, end: *const i16, table: *const i16, output: *mut i16);
    /// Codes of int16 as codes of int8.
    fn nervelet_narrow(frame: *const Rescale);
    /// Codes of int8 as codes of int16.
    fn nervelet_widen_codes(frame: *const Rescale);
}

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
    // SAFETY: reads `count` codes, at least one, and writes the moments.
    unsafe { nervelet_moments(x.as_ptr(), count, &raw mut moments) };
    let sum = if norm.centred { moments.sum } else { 0 };
    let (root, exponent) = root_of_variance(norm, count as u32, sum, moments.squares());
    // The high word of a product with 15 more bits; where that loses too many, codes are small and get more as well.
    let shift = (15 + exponent).saturating_sub(norm.fraction).max(1);
    let more = 18_u32.saturating_sub(shift);
    let range = x.as_ptr_range();
    let frame = Normalize {
        x: range.start,
        end: range.end,
        gamma: norm.gamma.as_ptr(),
        beta: norm.beta.as_ptr(),
        output: codes.as_mut_ptr(),
        factor: (count as i32).wrapping_shl(more),
        offset: sum.wrapping_neg().wrapping_shl(more),
        root: root << 15,
        high_shift: shift + more - 17,
        shift: norm.shift,
    };
    // SAFETY: reads `count` codes, at least one, with as many of gamma and beta, and writes as many of `codes`.
    unsafe { nervelet_normalize(&raw const frame) };
}

/// A function as a table of 513 codes.
pub fn lookup_i16(table: &[i16], x: &[i16], codes: &mut [i16]) -> Result {
    if table.len() < 513 || x.len() != codes.len() {
        return Err(OutOfBounds);
    }
    let range = x.as_ptr_range();
    if !x.is_empty() {
        // SAFETY: reads all of `x`, at least one, and writes as many codes; of the table two neighbours from an index of
        // at most 511 on.
        unsafe { nervelet_interpolate(range.start, range.end, table.as_ptr(), codes.as_mut_ptr()) };
    }
    Ok(())
}

/// Codes of int16 as codes of int8.
pub fn narrow(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i16], codes: &mut [i8]) {
    match rescale(zero_points, multiplier, range, x, codes) {
        // SAFETY: reads all of `x`, at least one code, and writes as many of `codes`.
        Some(frame) => unsafe { nervelet_narrow(&raw const frame) },
        None => reference::requantize(zero_points, multiplier, range, x, i32::from, codes),
    }
}

/// Codes of int8 as codes of int16.
pub fn widen(zero_points: [i32; 2], multiplier: Multiplier, range: [i32; 2], x: &[i8], codes: &mut [i16]) {
    match rescale(zero_points, multiplier, range, x, codes) {
        // SAFETY: as above.
        Some(frame) => unsafe { nervelet_widen_codes(&raw const frame) },
        None => reference::requantize(zero_points, multiplier, range, x, i32::from, codes),
    }
}

/// What the kernels are given, where a change of scale has their form.
fn rescale<I: Code, C: Code>(
    [input_zero_point, zero_point]: [i32; 2],
    multiplier: Multiplier,
    range: [i32; 2],
    x: &[I],
    codes: &mut [C],
) -> Option<Rescale> {
    let exponent = i32::from(multiplier.exponent);
    // A power of two above 1 is exact, so that it may lose a bit that was added.
    let power = multiplier.mantissa == 1 << 30;
    let (left, right) = match exponent {
        ..=-1 => (0, -exponent),
        1.. if power => (exponent as u32 + 1, 1),
        _ => return None,
    };
    let [of_any, of_power] = LARGEST;
    let largest = if power { of_power } else { of_any };
    let [low, high] = I::RANGE.map(|code| i64::from(code).wrapping_sub(input_zero_point.into()).wrapping_shl(left));
    let fits = range == C::RANGE
        && left < 24
        && right < 32
        && -largest <= low
        && high <= largest
        && (-32_768..=32_767).contains(&zero_point)
        && !x.is_empty()
        && x.len() == codes.len();
    let input = x.as_ptr_range();
    let left = left.wrapping_add(DOUBLING);
    fits.then_some(Rescale {
        x: input.start.cast(),
        output: codes.as_mut_ptr().cast(),
        factor: 1_i32.wrapping_shl(left),
        offset: input_zero_point.wrapping_neg().wrapping_shl(left),
        mantissa: multiplier.mantissa,
        right,
        zero_point,
        end: input.end.cast(),
    })
}
