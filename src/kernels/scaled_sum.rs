//! The form of a sum that the cores' kernels take: two tensors of the same shape, the codes of one exact, of the other
//! scaled.

use super::Code;
use super::reference::{AddParameters, Broadcast};
use crate::fixed::Multiplier;

/// One half: scales are such that the larger one becomes it.
pub const HALF: Multiplier = Multiplier { mantissa: 1 << 30, exponent: 0 };

/// A sum whose operands have as many codes as its output, at least one, and zero points among the int8 codes.
#[derive(Debug, Clone, Copy)]
pub struct ScaledSum<'a, C> {
    /// The operand that is halved.
    pub exact: &'a [C],
    /// Its zero point.
    pub exact_zero_point: i32,
    /// The operand that is scaled.
    pub scaled: &'a [C],
    /// Its zero point.
    pub scaled_zero_point: i32,
    /// What it is scaled by.
    pub factor: Multiplier,
}

impl<'a, C: Code> ScaledSum<'a, C> {
    /// The sum of `a` and `b` in this form, where it has it.
    pub fn of(
        broadcast: &Broadcast,
        parameters: &AddParameters,
        a: &'a [C],
        b: &'a [C],
        elements: usize,
    ) -> Option<Self> {
        let [of_a, of_b] = parameters.multipliers;
        let [zero_point_a, zero_point_b] = parameters.zero_points;
        let (exact, exact_zero_point, scaled, scaled_zero_point, factor) = match (of_a, of_b) {
            (HALF, factor) => (a, zero_point_a, b, zero_point_b, factor),
            (factor, HALF) => (b, zero_point_b, a, zero_point_a, factor),
            _ => return None,
        };
        let fits = is_elementwise(broadcast)
            && parameters.zero_points.iter().all(|zero_point| (-128..=127).contains(zero_point))
            && elements > 0
            && a.len() == elements
            && b.len() == elements;
        fits.then_some(Self { exact, exact_zero_point, scaled, scaled_zero_point, factor })
    }
}

/// Whether both operands are walked from one code to its neighbour.
pub fn is_elementwise(broadcast: &Broadcast) -> bool {
    [&broadcast.first, &broadcast.second].into_iter().all(|strides| {
        let mut expected = 1_u32;
        broadcast.extents.iter().zip(strides).rev().all(|(extent, stride)| {
            let dense = *extent == 1 || *stride == expected;
            expected = expected.wrapping_mul(*extent);
            dense
        })
    })
}
