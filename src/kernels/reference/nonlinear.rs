//! Int16 logistic, tanh and softmax, by tables that the host makes.

use super::super::{Code, OutOfBounds, Result};
use crate::fixed::Multiplier;

/// How int16 codes become arguments of [`logistic_i16`] and [`tanh_i16`]: `(code * factor) >> shift`, rounded; the
/// result has 24 * 512 steps a unit for the logistic function, half of that for tanh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Argument {
    /// The factor.
    pub factor: i32,
    /// The shift, at most 31.
    pub shift: u32,
}

impl Argument {
    #[inline(always)]
    fn of(self, code: i16) -> i32 {
        let half = if self.shift > 0 { 1_i32.wrapping_shl(self.shift - 1) } else { 0 };
        code.widen().wrapping_mul(self.factor).wrapping_add(half).wrapping_shr(self.shift)
    }
}

/// Interpolates in the table of the logistic function over `|x|`, with `bits` fractional bits an entry; 16 bits and
/// `bits` more of fraction.
#[inline(always)]
fn interpolate(table: &[u16; 256], magnitude: u32, bits: u32, most: u32) -> u32 {
    let (entry, fraction) = ((magnitude >> bits) as usize, magnitude & ((1 << bits) - 1));
    match (table.get(entry), table.get(entry.wrapping_add(1))) {
        (Some(low), Some(high)) => {
            let rise = u32::from(*high).wrapping_sub((*low).into());
            (u32::from(*low) << bits).wrapping_add(fraction.wrapping_mul(rise))
        }
        _ => most << bits,
    }
}

/// The logistic function of one code, with output scale `2^-15`; `table[i]` is `2^16 / (1 + exp(-i / 24))`.
#[inline(always)]
pub fn logistic_i16(table: &[u16; 256], argument: Argument, code: i16) -> i16 {
    let x = argument.of(code);
    // Past the table the reference continues with a little less than 1: 0x7FFF of 15 bits.
    let value = interpolate(table, x.unsigned_abs(), 9, 0xFFFE) as i32;
    let rounded = if x >= 0 { value.wrapping_add(1 << 9) } else { ((1 << 25) + (1 << 9) - 1_i32).wrapping_sub(value) };
    (rounded >> 10) as i16
}

/// The hyperbolic tangent of one code, with output scale `2^-15`: `2 * logistic(2 x) - 1` over the same table.
#[inline(always)]
pub fn tanh_i16(table: &[u16; 256], argument: Argument, code: i16) -> i16 {
    let x = argument.of(code);
    let value = interpolate(table, x.unsigned_abs(), 8, 0xFFFF) as i32;
    let centred = value.wrapping_sub(1 << 23);
    (if x >= 0 { centred.wrapping_add(1 << 7) } else { ((1 << 7) - 1_i32).wrapping_sub(centred) } >> 8) as i16
}

/// The parameters of an int16 softmax.
#[derive(Debug, Clone, Copy)]
pub struct WideSoftmax<'a> {
    /// One code in steps of 10 / 65535.
    pub multiplier: Multiplier,
    /// `exp(x)` over `[-10, 0]` in Q0.15, 513 entries.
    pub exponentials: &'a [i16],
    /// `1 / (1 + x)` over `[0, 1]` in Q0.15, 513 entries.
    pub reciprocals: &'a [i16],
}

/// Any function of a code: interpolates in a table of 513 entries over all of int16.
#[inline(always)]
pub fn lookup_i16(table: &[i16], code: i16) -> core::result::Result<i32, OutOfBounds> {
    let (entry, fraction) = (256 + (i32::from(code) >> 7), i32::from(code) & 127);
    let [low, high] = *table.get(entry as usize..).and_then(|rest| rest.first_chunk::<2>()).ok_or(OutOfBounds)?;
    let rise = i32::from(high).wrapping_sub(low.into()).wrapping_mul(fraction);
    Ok(i32::from(low).wrapping_add(rise.wrapping_add(64) >> 7))
}

/// Softmax of each row of `depth` int16 codes; output scale `2^-15`.
pub fn softmax_i16(depth: usize, parameters: &WideSoftmax<'_>, input: &[i16], output: &mut [i16]) -> Result {
    if depth == 0 {
        return Err(OutOfBounds);
    }
    for (row, codes) in input.chunks_exact(depth).zip(output.chunks_exact_mut(depth)) {
        let largest = row.iter().copied().max().unwrap_or(0).widen();
        let mut sum = 0_i32;
        for (x, code) in row.iter().zip(codes.iter_mut()) {
            let scaled = parameters.multiplier.apply(x.widen().wrapping_sub(largest));
            let exponential = lookup_i16(parameters.exponentials, i16::saturate(scaled.wrapping_add(32_767)))?;
            sum = sum.wrapping_add(exponential);
            *code = exponential as i16;
        }
        let headroom = sum.leading_zeros();
        // The sum scaled to [1, 2) in Q1.16, without its leading one.
        let shifted = i64::from(sum).wrapping_shl(headroom.saturating_sub(1));
        let fraction = (shifted.wrapping_add(1 << 13) >> 14).wrapping_sub(98_304);
        let reciprocal = lookup_i16(parameters.reciprocals, i16::saturate(fraction as i32))?;
        let shift = 31_u32.saturating_sub(headroom).max(1);
        for code in codes {
            let product = code.widen().wrapping_mul(reciprocal);
            let rounded = product.wrapping_add(1_i32.wrapping_shl(shift - 1)).wrapping_shr(shift);
            *code = rounded.clamp(0, 32_767) as i16;
        }
    }
    Ok(())
}
