//! How packed kernels turn sums into codes: both roundings of the reference in one addition and one shift.
//!
//! The reference rounds `sum * mantissa / 2^31` to the nearest with halves up, shifts the result right by `s` to the
//! nearest with halves away from zero, and adds the zero point. With `a = 2^(1 + bits) * sum` this is
//!
//! ```text
//! (high(a * mantissa) + 2^(bits - 1) + 2^(s + bits - 1) + zero_point * 2^(s + bits) - nudge) >> (s + bits)
//! ```
//!
//! because floors nest: the first rounding is a floor of `2^bits`ths, of which the second one takes `2^s`. The nudge is
//! one whole, `2^bits`, for negative sums: halves away from zero are halves up of what is one less, and nothing but a
//! half changes by it. Without a right shift there is no second rounding, and neither its half nor the nudge.
//! Where a relu clamps whatever is below the zero point, nobody sees the nudge.

use crate::fixed::Multiplier;

/// What brings a channel's sum to its codes, as it stands in a stream of packed weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scaling {
    /// The multiplier's mantissa.
    pub mantissa: i32,
    /// Both halves and the zero point.
    pub addend: i32,
    /// The right shift in the low byte, the nudge above it.
    pub shift: u32,
}

/// How sums come out of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sums {
    /// As they are; their doubles don't wrap.
    Plain,
    /// 256 times as large, modulo 2^32.
    Shifted,
}

impl Sums {
    /// `bits` above.
    const fn bits(self) -> i32 {
        match self {
            Sums::Plain => 0,
            Sums::Shifted => 7,
        }
    }
}

impl Scaling {
    /// The words of a scaling in a stream.
    pub const WORDS: usize = 3;

    /// The scaling of a multiplier; `None` where one of its words would not fit.
    pub fn new(multiplier: Multiplier, zero_point: i32, sums: Sums) -> Option<Self> {
        let bits = sums.bits();
        let right = -i32::from(multiplier.exponent);
        let shift = right.checked_add(bits).filter(|shift| (0..=30).contains(shift))?;
        if right < 0 && shift == 0 {
            return None;
        }
        let nudge = if right > 0 { 1_i32 << bits } else { 0 };
        let halves = (nudge >> 1) + ((1_i32 << shift) >> 1);
        let shifted = zero_point << shift;
        let addend = shifted.checked_add(halves).filter(|_| shifted >> shift == zero_point)?;
        // High words are within 2^30: with either sign their sum with what is added is a word.
        if !(nudge - (1 << 30)..1 << 30).contains(&addend) {
            return None;
        }
        let mantissa = multiplier.mantissa;
        (mantissa >= 0).then_some(Self { mantissa, addend, shift: shift as u32 | (nudge as u32) << 8 })
    }

    /// Reads the words of a stream.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let [mantissa, addend, shift] = *words.first_chunk()?;
        Some(Self { mantissa: mantissa as i32, addend: addend as i32, shift })
    }

    /// The words for a stream.
    pub const fn words(self) -> [u32; Self::WORDS] {
        [self.mantissa as u32, self.addend as u32, self.shift]
    }

    /// The multiplier that it was made of.
    pub fn multiplier(self, sums: Sums) -> Multiplier {
        let exponent = sums.bits().wrapping_sub((self.shift & 0xFF) as i32) as i8;
        Multiplier { mantissa: self.mantissa, exponent }
    }

    /// The code of a sum before it is clamped, in the very steps of the kernels.
    pub fn apply(self, sum: i32, sums: Sums) -> i32 {
        let product = |sum: i32| i64::from(sum).wrapping_mul(self.mantissa.into());
        let high = match sums {
            Sums::Plain => (product(sum.wrapping_shl(1)).wrapping_add(1 << 31) >> 32) as i32,
            Sums::Shifted => (product(sum) >> 32) as i32,
        };
        let nudge = if sum < 0 { (self.shift >> 8) as i32 } else { 0 };
        high.wrapping_add(self.addend.wrapping_sub(nudge)) >> (self.shift & 0xFF).min(31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Pcg32;

    #[test]
    fn equals_the_reference() {
        let mut random = Pcg32::new(1);
        for round in 0..if cfg!(miri) { 1_000 } else { 200_000 } {
            let exponent = random.below(23) as i8 - 16;
            let mantissa = match round % 5 {
                0 => 1 << 30,
                1 => i32::MAX,
                2 => 0,
                _ => (1 << 30) + random.below(1 << 30) as i32,
            };
            let zero_point = random.below(256) as i32 - 128;
            let multiplier = Multiplier { mantissa, exponent };
            // Halves often: sums near odd multiples of half a step.
            let sum = match round % 3 {
                0 => ((random.below(512) as i32 - 256) * 2 + 1) << (-exponent).clamp(0, 14),
                _ => random.below(1 << 24) as i32 - (1 << 23),
            };
            let sum = sum.clamp(-(1 << 23), (1 << 23) - 1);
            let expected = multiplier.apply(sum).wrapping_add(zero_point);
            let clamp = |code: i32| code.clamp(-128, 127);
            if exponent <= 6 && (-(1 << 23)..1 << 23).contains(&(i64::from(sum) << exponent.max(0))) {
                let scaling = Scaling::new(multiplier, zero_point, Sums::Shifted).unwrap();
                assert_eq!(scaling.multiplier(Sums::Shifted), multiplier);
                let found = scaling.apply(sum << 8, Sums::Shifted);
                assert_eq!(clamp(found), clamp(expected), "{multiplier:?} {sum} {zero_point}");
            }
            if exponent <= 0 {
                let scaling = Scaling::new(multiplier, zero_point, Sums::Plain).unwrap();
                assert_eq!(scaling.multiplier(Sums::Plain), multiplier);
                assert_eq!(clamp(scaling.apply(sum, Sums::Plain)), clamp(expected), "{multiplier:?} {sum}");
            }
        }
        // Small halves of both signs, exactly.
        for sum in (-4096..4096).step_by(if cfg!(miri) { 61 } else { 1 }) {
            for exponent in -8..1 {
                let multiplier = Multiplier { mantissa: 1 << 30, exponent };
                let expected = multiplier.apply(sum) + 3;
                for (sums, sum) in [(Sums::Plain, sum), (Sums::Shifted, sum << 8)] {
                    assert_eq!(Scaling::new(multiplier, 3, sums).unwrap().apply(sum, sums), expected);
                }
            }
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let of = |exponent, zero_point, sums| {
            Scaling::new(Multiplier { mantissa: 1 << 30, exponent }, zero_point, sums).is_some()
        };
        assert!(of(0, -128, Sums::Plain) && !of(1, -128, Sums::Plain));
        assert!(of(6, -128, Sums::Shifted) && !of(7, -128, Sums::Shifted));
        assert!(of(-23, -128, Sums::Plain) && !of(-24, -128, Sums::Plain));
        assert!(of(-16, -128, Sums::Shifted) && !of(-17, -128, Sums::Shifted));
        assert!(of(-22, 0, Sums::Shifted) && !of(-30, 0, Sums::Shifted));
        // The extremes don't wrap.
        for (zero_point, exponent) in [(-128, -16), (127, -16), (0, -22)] {
            let multiplier = Multiplier { mantissa: i32::MAX, exponent };
            let scaling = Scaling::new(multiplier, zero_point, Sums::Shifted).unwrap();
            for sum in [-(1 << 23), (1 << 23) - 1] {
                assert_eq!(scaling.apply(sum << 8, Sums::Shifted), multiplier.apply(sum) + zero_point);
            }
        }
    }
}
