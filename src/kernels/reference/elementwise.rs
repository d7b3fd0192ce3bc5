//! Sums and products of two int8 tensors with broadcasting, and the conversions between scales and types.

use serde::{Deserialize, Serialize};

use super::super::{OutOfBounds, Result};
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

/// The scales of an int8 sum: both operands are brought to `2^-20` of twice the larger scale.
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

/// The int8 sum of two tensors.
pub fn add(broadcast: &Broadcast, parameters: &AddParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    let [multiplier_a, multiplier_b] = parameters.multipliers;
    let [low, high] = parameters.range;
    let scaled = |code: i8, zero_point: i32, multiplier: Multiplier| {
        multiplier.apply(i32::from(code).wrapping_sub(zero_point).wrapping_shl(20))
    };
    broadcast.apply(a, b, output, |a, b| {
        let sum = scaled(a, zero_point_a, multiplier_a).wrapping_add(scaled(b, zero_point_b, multiplier_b));
        let code = parameters.output_multiplier.apply(sum).wrapping_add(parameters.output_zero_point);
        code.min(high).max(low) as i8
    })
}

/// The scales of an int8 product.
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

/// The int8 product of two tensors.
pub fn mul(broadcast: &Broadcast, parameters: &MulParameters, a: &[i8], b: &[i8], output: &mut [i8]) -> Result {
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    let [low, high] = parameters.range;
    broadcast.apply(a, b, output, |a, b| {
        let product = i32::from(a).wrapping_sub(zero_point_a).wrapping_mul(i32::from(b).wrapping_sub(zero_point_b));
        let code = parameters.multiplier.apply(product).wrapping_add(parameters.output_zero_point);
        code.min(high).max(low) as i8
    })
}

/// `round(value / scale) + zero_point` with halves away from zero; NaN becomes the zero point.
pub fn quantize(value: f32, scale: f32, zero_point: i32) -> i8 {
    let steps = libm::roundf(value / scale);
    // `as` saturates and sends NaN to 0.
    (steps as i32).saturating_add(zero_point).clamp(-128, 127) as i8
}

/// `scale * (code - zero_point)`.
#[inline(always)]
pub fn dequantize(code: i8, scale: f32, zero_point: i32) -> f32 {
    scale * i32::from(code).wrapping_sub(zero_point) as f32
}

/// Codes of one scale as codes of another, clamped to `range`.
pub fn requantize(
    [input_zero_point, output_zero_point]: [i32; 2],
    multiplier: Multiplier,
    range: [i32; 2],
    input: &[i8],
    output: &mut [i8],
) {
    for (code, result) in input.iter().zip(output) {
        let scaled = multiplier.apply(i32::from(*code).wrapping_sub(input_zero_point)).wrapping_add(output_zero_point);
        *result = scaled.min(range[1]).max(range[0]) as i8;
    }
}
