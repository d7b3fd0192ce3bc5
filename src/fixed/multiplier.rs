//! A positive real factor as a 31-bit mantissa and a power of two.

/// The factor `mantissa * 2^(exponent - 31)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Multiplier {
    /// In `[2^30, 2^31)`, or 0 for the factor 0.
    pub mantissa: i32,
    /// In `[-31, 30]`; positive shifts left.
    pub exponent: i8,
}

impl Multiplier {
    /// The exponents that [`Multiplier::apply`] is defined for.
    pub const EXPONENTS: core::ops::RangeInclusive<i8> = -31..=30;

    /// The nearest representable factor; 0 where `real` is below `2^-32`, negative or not a number.
    ///
    /// Factors of `2^30` and above, which no quantized network has, saturate.
    pub fn from_real(real: f64) -> Self {
        // NaN has to give 0 as well, so the comparison asks for what is wanted.
        let usable = real > 0.0;
        if !usable {
            return Self::default();
        }
        if real >= 1_073_741_824.0 {
            return Self { mantissa: i32::MAX, exponent: 30 };
        }
        let (fraction, mut exponent) = libm::frexp(real);
        let mut mantissa = libm::round(fraction * 2_147_483_648.0) as i64;
        if mantissa == 1 << 31 {
            mantissa >>= 1;
            exponent += 1;
        }
        // Rounding up to 1 may carry a factor just below 2^30 beyond the range as well.
        if exponent > 30 {
            return Self { mantissa: i32::MAX, exponent: 30 };
        }
        if exponent < -31 {
            return Self::default();
        }
        Self { mantissa: mantissa as i32, exponent: exponent as i8 }
    }

    /// `x` times the factor, rounded twice: once in the doubling high product, once in the right shift.
    ///
    /// `x << exponent` wraps in 32 bits as it does in the reference.
    #[inline(always)]
    pub fn apply(self, x: i32) -> i32 {
        let left = self.exponent.max(0) as u32;
        let right = (-i32::from(self.exponent)).max(0) as u32;
        rounding_shift_right(saturating_doubling_high_multiply(x.wrapping_shl(left), self.mantissa), right)
    }
}

impl Multiplier {
    /// The exponents that [`Multiplier::apply_wide`] is defined for.
    pub const WIDE_EXPONENTS: core::ops::RangeInclusive<i8> = -31..=14;

    /// `x` times the factor with its mantissa reduced to 16 bits, rounded once with halves up: how the reference
    /// scales 64-bit sums. Defined for `x` below `2^47`; wraps beyond.
    #[inline(always)]
    pub fn apply_wide(self, x: i64) -> i32 {
        self.wide().apply(x)
    }

    /// What [`Multiplier::apply_wide`] multiplies with, for many sums.
    #[inline(always)]
    pub fn wide(self) -> WideFactor {
        let mantissa = if self.mantissa < 0x7FFF_0000 { (self.mantissa + (1 << 15)) >> 16 } else { 0x7FFF };
        WideFactor { mantissa, shift: (15 - i32::from(self.exponent)).clamp(1, 62) as u32 }
    }
}

/// A factor with a mantissa of 16 bits: `mantissa / 2^shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WideFactor {
    mantissa: i32,
    shift: u32,
}

impl WideFactor {
    /// The `factor` for which `(x * factor + 2^31) >> 32`, one instruction of some cores, is what [`WideFactor::apply`]
    /// makes of an `x` of 32 bits; `None` where there is none.
    #[inline(always)]
    pub fn of_high_product(self) -> Option<i32> {
        match self.shift {
            _ if self.mantissa == 0 => Some(0),
            // A mantissa below 2^15 stays below 2^31.
            16..=32 => Some(self.mantissa << (32 - self.shift)),
            _ => None,
        }
    }

    /// `x` times the factor, see [`Multiplier::apply_wide`].
    #[inline(always)]
    pub fn apply(self, x: i64) -> i32 {
        let half = 1_i64 << (self.shift - 1);
        match i32::try_from(x) {
            // Most sums, in fewer instructions: a product of 48 bits.
            Ok(x) if self.shift < 32 => {
                ((i64::from(x) * i64::from(self.mantissa)).wrapping_add(half) >> (self.shift & 31)) as i32
            }
            _ => (x.wrapping_mul(self.mantissa.into()).wrapping_add(half) >> self.shift) as i32,
        }
    }
}

/// The high half of `2ab`, rounded to nearest with halves up; saturates for `a = b = -2^31`.
#[inline(always)]
pub fn saturating_doubling_high_multiply(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// `x / 2^shift`, rounded to nearest with halves away from zero; `shift` in `0..=31`.
#[inline(always)]
pub fn rounding_shift_right(x: i32, shift: u32) -> i32 {
    let shift = shift & 31;
    let mask = ((1_u32 << shift) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> shift) + i32::from(remainder > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_products_are_those_of_gemmlowp() {
        let mut random = crate::learn::Pcg32::new(1);
        for round in 0..if cfg!(miri) { 2_000 } else { 1_000_000 } {
            let mut number = || match random.below(4) {
                0 => random.below(1 << 16) as i32 - (1 << 15),
                1 => i32::MIN.wrapping_add(random.below(3) as i32 - 1),
                _ => random.below(u32::MAX) as i32,
            };
            // Exact halves of both signs now and then.
            let (a, b) = match round % 4 {
                0 => ((number() | 1) >> 8, 1 << 30),
                _ => (number(), number()),
            };
            let product = i64::from(a) * i64::from(b);
            let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
            let expected = ((product + nudge) / (1 << 31)).min(i32::MAX.into());
            assert_eq!(i64::from(saturating_doubling_high_multiply(a, b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn wide_factors_of_high_products_round_alike() {
        let mut random = crate::learn::Pcg32::new(2);
        let mut have = 0;
        for round in 0..if cfg!(miri) { 1_000 } else { 300_000 } {
            let mantissa = match round % 5 {
                0 => 0,
                1 => i32::MAX - random.below(1 << 17) as i32,
                _ => (1 << 30) + random.below(1 << 30) as i32,
            };
            let exponent = random.below(46) as i8 - 31;
            let x = match round % 3 {
                0 => i32::MIN.wrapping_add(random.below(5) as i32 - 2),
                1 => random.below(u32::MAX) as i32,
                // Exact halves of small factors.
                _ => (random.below(9) as i32 - 4) << random.below(29),
            };
            let factor = Multiplier { mantissa, exponent }.wide();
            let Some(high) = factor.of_high_product() else { continue };
            have += 1;
            let product = (i64::from(x) * i64::from(high) + (1 << 31)) >> 32;
            assert_eq!(product, i64::from(factor.apply(x.into())), "{x} {mantissa} {exponent}");
        }
        assert!(have > 300);
    }

    #[test]
    fn factors_round_trip() {
        for real in [1.0, 0.5, 0.75, 1e-3, 3.999, 1.0 / 3.0, 7e-9] {
            let Multiplier { mantissa, exponent } = Multiplier::from_real(real);
            let back = f64::from(mantissa) * libm::exp2(f64::from(exponent) - 31.0);
            assert!((back - real).abs() <= real * 2.0_f64.powi(-31), "{real} became {back}");
            assert!(mantissa >= 1 << 30);
        }
    }

    #[test]
    fn degenerate_factors() {
        for real in [0.0, -1.0, f64::NAN, 1e-12] {
            assert_eq!(Multiplier::from_real(real), Multiplier { mantissa: 0, exponent: 0 });
        }
        assert_eq!(Multiplier::from_real(f64::INFINITY).exponent, 30);
        // A fraction that rounds up to 1 takes the next exponent.
        assert_eq!(Multiplier::from_real(1.0 - 1e-12), Multiplier { mantissa: 1 << 30, exponent: 1 });
    }

    #[test]
    fn halves_go_up_in_products_and_away_from_zero_in_shifts() {
        let half = Multiplier::from_real(0.5);
        assert_eq!([1, -1, 3, -3, 5].map(|x| half.apply(x)), [1, 0, 2, -1, 3]);
        assert_eq!([6, -6, 5, -5, 7].map(|x| rounding_shift_right(x, 2)), [2, -2, 1, -1, 2]);
        assert_eq!(saturating_doubling_high_multiply(i32::MIN, i32::MIN), i32::MAX);
    }

    #[test]
    fn double_rounding_differs_from_single_where_the_reference_does() {
        // 0.25 * 1.5 = 0.375: the high product rounds 0.75 up to 1, the shift rounds 0.5 up to 1.
        let multiplier = Multiplier { mantissa: 0x6000_0000, exponent: -1 };
        assert_eq!(multiplier.apply(1), 1);
    }
}
