//! Arithmetic on the codes of two tensors with broadcasting, and the conversions between scales and types.

use serde::{Deserialize, Serialize};

use super::super::{Code, OutOfBounds, Result};
use crate::fixed::Multiplier;

/// Walks an output of up to four axes with the strides of two broadcast operands (0 along a repeated axis).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Broadcast {
    /// Extent of each axis of the output; unused leading axes are 1.
    pub extents: [u32; 4],
    /// Elements between neighbours of the first operand along each axis.
    pub first: [u32; 4],
    /// The same for the second operand.
    pub second: [u32; 4],
}

impl Broadcast {
    /// Writes `combine(a, b)` to every output element.
    #[inline(always)]
    pub fn apply<T: Copy>(&self, a: &[T], b: &[T], output: &mut [T], combine: impl Fn(T, T) -> T) -> Result {
        let [blocks, planes, rows, columns] = self.extents;
        let mut elements = output.iter_mut();
        for block in 0..blocks {
            for plane in 0..planes {
                for row in 0..rows {
                    let start = |strides: &[u32; 4]| {
                        let at = block.wrapping_mul(strides[0]).wrapping_add(plane.wrapping_mul(strides[1]));
                        at.wrapping_add(row.wrapping_mul(strides[2])) as usize
                    };
                    let (mut at_a, mut at_b) = (start(&self.first), start(&self.second));
                    for _ in 0..columns {
                        let element = elements.next().ok_or(OutOfBounds)?;
                        *element = combine(*a.get(at_a).ok_or(OutOfBounds)?, *b.get(at_b).ok_or(OutOfBounds)?);
                        at_a = at_a.wrapping_add(self.first[3] as usize);
                        at_b = at_b.wrapping_add(self.second[3] as usize);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The scales of a sum: both operands are brought to [`Code::SUM_BITS`] below twice the larger scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AddParameters {
    /// The zero points of the operands.
    pub zero_points: [i32; 2],
    /// The factors of the operands.
    pub multipliers: [Multiplier; 2],
    /// The factor of the sum.
    pub output_multiplier: Multiplier,
    /// The zero point of the output.
    pub output_zero_point: i32,
    /// The range of the fused activation.
    pub range: [i32; 2],
}

impl AddParameters {
    /// Brings both codes to the common scale, combines them and brings the result to the output's scale.
    #[inline(always)]
    fn combine<C: Code>(&self, bits: u32, a: C, b: C, combine: impl Fn(i32, i32) -> i32) -> C {
        let [zero_point_a, zero_point_b] = self.zero_points;
        let [multiplier_a, multiplier_b] = self.multipliers;
        let scaled = |code: C, zero_point: i32, multiplier: Multiplier| {
            multiplier.apply(code.widen().wrapping_sub(zero_point).wrapping_shl(bits))
        };
        let combined = combine(scaled(a, zero_point_a, multiplier_a), scaled(b, zero_point_b, multiplier_b));
        finish(self.output_multiplier.apply(combined), self.output_zero_point, self.range)
    }
}

/// `value + zero_point`, clamped to a range.
#[inline(always)]
fn finish<C: Code>(value: i32, zero_point: i32, [low, high]: [i32; 2]) -> C {
    C::saturate(value.wrapping_add(zero_point).min(high).max(low))
}

/// The sum of two tensors.
pub fn add<C: Code>(broadcast: &Broadcast, parameters: &AddParameters, a: &[C], b: &[C], output: &mut [C]) -> Result {
    broadcast.apply(a, b, output, |a, b| parameters.combine(C::SUM_BITS, a, b, i32::wrapping_add))
}

/// The difference of two tensors.
pub fn sub<C: Code>(broadcast: &Broadcast, parameters: &AddParameters, a: &[C], b: &[C], output: &mut [C]) -> Result {
    broadcast.apply(a, b, output, |a, b| parameters.combine(C::SUM_BITS, a, b, i32::wrapping_sub))
}

/// The square of the difference of two int8 tensors; the operands are brought to 7 bits below twice the larger scale.
pub fn squared_difference(
    broadcast: &Broadcast,
    parameters: &AddParameters,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> Result {
    let square = |a: i32, b: i32| {
        let difference = a.wrapping_sub(b);
        difference.wrapping_mul(difference)
    };
    broadcast.apply(a, b, output, |a, b| parameters.combine(7, a, b, square))
}

/// The scales of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MulParameters {
    /// The zero points of the operands.
    pub zero_points: [i32; 2],
    /// The factor of the product.
    pub multiplier: Multiplier,
    /// The zero point of the output.
    pub output_zero_point: i32,
    /// The range of the fused activation.
    pub range: [i32; 2],
}

/// The product of two tensors.
pub fn mul<C: Code>(broadcast: &Broadcast, parameters: &MulParameters, a: &[C], b: &[C], output: &mut [C]) -> Result {
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    broadcast.apply(a, b, output, |a, b| {
        let product = a.widen().wrapping_sub(zero_point_a).wrapping_mul(b.widen().wrapping_sub(zero_point_b));
        finish(parameters.multiplier.apply(product), parameters.output_zero_point, parameters.range)
    })
}

/// `x` where it is positive, `x` times the second operand where it is negative; `positive` is the factor of the former.
pub fn prelu(
    broadcast: &Broadcast,
    parameters: &MulParameters,
    positive: Multiplier,
    x: &[i8],
    slope: &[i8],
    output: &mut [i8],
) -> Result {
    let [zero_point, slope_zero_point] = parameters.zero_points;
    broadcast.apply(x, slope, output, |x, slope| {
        let x = x.widen().wrapping_sub(zero_point);
        let value = if x >= 0 {
            positive.apply(x)
        } else {
            parameters.multiplier.apply(x.wrapping_mul(slope.widen().wrapping_sub(slope_zero_point)))
        };
        finish(value, parameters.output_zero_point, parameters.range)
    })
}

/// `round(value / scale) + zero_point` with halves away from zero; NaN becomes the zero point.
pub fn quantize<C: Code>(value: f32, scale: f32, zero_point: i32) -> C {
    let steps = libm::roundf(value / scale);
    // `as` saturates and sends NaN to 0.
    C::saturate((steps as i32).saturating_add(zero_point))
}

/// `scale * (code - zero_point)`.
#[inline(always)]
pub fn dequantize<C: Code>(code: C, scale: f32, zero_point: i32) -> f32 {
    scale * code.widen().wrapping_sub(zero_point) as f32
}

/// Codes of one scale as codes of another, clamped to `range`; `widen` reads the input's codes.
pub fn requantize<I: Copy, C: Code>(
    [input_zero_point, output_zero_point]: [i32; 2],
    multiplier: Multiplier,
    range: [i32; 2],
    input: &[I],
    widen: impl Fn(I) -> i32,
    output: &mut [C],
) {
    for (code, result) in input.iter().zip(output) {
        *result = finish(multiplier.apply(widen(*code).wrapping_sub(input_zero_point)), output_zero_point, range);
    }
}

/// Codes of one scale as codes of another, with a factor for those below zero: a leaky relu.
pub fn leaky_relu<C: Code>(
    [input_zero_point, output_zero_point]: [i32; 2],
    [positive, negative]: [Multiplier; 2],
    input: &[C],
    output: &mut [C],
) {
    for (code, result) in input.iter().zip(output) {
        let x = code.widen().wrapping_sub(input_zero_point);
        let factor = if x >= 0 { positive } else { negative };
        *result = finish(factor.apply(x), output_zero_point, C::RANGE);
    }
}
