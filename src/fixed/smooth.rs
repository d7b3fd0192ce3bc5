//! Logistic function, hyperbolic tangent and powers of one half by interpolation, for the layers of sequence models.
//!
//! Results are Q0.15. Every shift rounds to nearest with halves up.

use super::tables::{LOGISTIC, POWERS_OF_HALF};

/// `x / 2^shift`, rounded to nearest with halves up; `shift` in `1..=31`.
#[inline(always)]
pub fn round_shift(x: i32, shift: u32) -> i32 {
    x.wrapping_add(1_i32.wrapping_shl(shift.wrapping_sub(1))).wrapping_shr(shift)
}

/// `x / 2^shift`, rounded to nearest with halves up; `shift` in `1..=63`.
#[inline(always)]
pub fn round_shift_wide(x: i64, shift: u32) -> i64 {
    x.wrapping_add(1_i64.wrapping_shl(shift.wrapping_sub(1))).wrapping_shr(shift)
}

/// `1 / (1 + exp(-p))` for `p` with `BITS` fractional bits, `6..=26`: in `1..=32767`, at most 1.2 steps of `2^-15` off.
#[inline(always)]
pub fn smooth_logistic<const BITS: u32>(p: i32) -> i32 {
    let spacing = BITS - 5;
    let magnitude = p.unsigned_abs().min((16 << BITS) - 1);
    let (entry, fraction) = ((magnitude >> spacing) as usize, (magnitude & ((1 << spacing) - 1)) as i32);
    let low = LOGISTIC.get(entry).map_or(0, |entry| i32::from(*entry));
    let high = LOGISTIC.get(entry + 1).map_or(0, |entry| i32::from(*entry));
    let value = low + round_shift((high - low) * fraction, spacing);
    if p >= 0 { value } else { 32_768 - value }
}

/// `tanh(p)` for `p` with `BITS` fractional bits, `6..=26`: in `-32766..=32766`, at most 2.4 steps of `2^-15` off.
///
/// It is `2 s(2p) - 1` with the logistic function `s`.
#[inline(always)]
pub fn smooth_tanh<const BITS: u32>(p: i32) -> i32 {
    // Past 8 both ends of the table are reached.
    let bound = 8 << BITS;
    2 * smooth_logistic::<BITS>(2 * p.clamp(-bound, bound)) - 32_768
}

/// `2^(-t)` for `t >= 0` with 12 fractional bits: at most 1.5 steps of `2^-15` off.
#[inline(always)]
pub fn power_of_half(t: u32) -> i32 {
    let (entry, fraction) = (((t & 4095) >> 6) as usize, (t & 63) as i32);
    let low = POWERS_OF_HALF.get(entry).map_or(0, |entry| i32::from(*entry));
    let high = POWERS_OF_HALF.get(entry + 1).map_or(0, |entry| i32::from(*entry));
    let value = low + round_shift((high - low) * fraction, 6);
    match t >> 12 {
        0 => value,
        shift => round_shift(value, shift.min(31)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in steps of `2^-15`, and the smallest and largest result.
    fn measure(function: fn(i32) -> i32, exact: fn(f64) -> f64, bits: u32, stride: usize) -> (f64, i32, i32) {
        let bound = 17_i32 << bits;
        let (mut worst, mut previous, first) = (0.0_f64, i32::MIN, function(i32::MIN));
        for p in (-bound..=bound).step_by(stride) {
            let value = function(p);
            assert!(value >= previous, "falls at {p}");
            previous = value;
            let real = f64::from(p) / libm::exp2(f64::from(bits));
            worst = worst.max((f64::from(value) - 32_768.0 * exact(real)).abs());
        }
        assert_eq!(function(i32::MAX), previous);
        (worst, first, previous)
    }

    #[test]
    fn every_argument_is_within_the_bound() {
        let logistic = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let stride = if cfg!(miri) { 997 } else { 1 };
        let (worst, low, high) = measure(smooth_logistic::<14>, logistic, 14, stride);
        assert!(worst < 1.11 && (low, high) == (1, 32_767), "{worst}, {low} to {high}");
        let (worst, low, high) = measure(smooth_tanh::<14>, libm::tanh, 14, stride);
        assert!(worst < 2.21 && (low, high) == (-32_766, 32_766), "{worst}, {low} to {high}");
        // Finer arguments come closer to the bound: interpolation 0.19, entries 0.5, rounding 0.5, and tanh twice that.
        let (worst, ..) = measure(smooth_tanh::<24>, libm::tanh, 24, 251 * stride);
        assert!(worst < 2.31, "{worst}");
    }

    #[test]
    fn powers_are_within_the_bound() {
        for t in (0..20 << 12).step_by(if cfg!(miri) { 997 } else { 1 }) {
            let exact = 32_768.0 * libm::exp2(-f64::from(t) / 4096.0);
            let found = f64::from(power_of_half(t));
            // The first step is worth 32767 rather than 32768.
            assert!((found - exact).abs() < 1.5 + exact / 32_768.0, "{t}: {found} for {exact}");
        }
        assert_eq!(power_of_half(u32::MAX), 0);
    }

    #[test]
    fn halves_go_up() {
        assert_eq!([6, -6, 5, -5, 7].map(|x| round_shift(x, 2)), [2, -1, 1, -1, 2]);
        assert_eq!([6, -6, 5, -5, 7].map(|x| round_shift_wide(x, 2)), [2, -1, 1, -1, 2]);
    }
}
