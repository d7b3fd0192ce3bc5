//! Products of matrices that are both computed at run time.

use serde::{Deserialize, Serialize};

use super::super::{Code, OutOfBounds, Result};
use crate::fixed::Multiplier;

/// The geometry of `batches` products `[rows, depth] x [depth, columns]`; strides in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Matrices {
    /// The number of products.
    pub batches: u32,
    /// Rows of the first operand and the output.
    pub rows: u32,
    /// Columns of the first operand, rows of the second.
    pub depth: u32,
    /// Columns of the second operand and the output.
    pub columns: u32,
    /// From one batch, row and column of the first operand to the next.
    pub first: [u32; 3],
    /// The same for the second operand.
    pub second: [u32; 3],
}

impl Matrices {
    /// The elements of the output, and the elements that both operands need at least; saturate.
    pub fn reach(&self) -> [usize; 3] {
        let Self { batches, rows, depth, columns, first, second } = *self;
        let last = |extents: [u32; 3], strides: [u32; 3]| {
            extents.iter().zip(strides).fold(1_usize, |last, (extent, stride)| {
                last.saturating_add((extent.saturating_sub(1) as usize).saturating_mul(stride as usize))
            })
        };
        let elements = [batches, rows, columns].iter().fold(1_usize, |n, extent| n.saturating_mul(*extent as usize));
        [elements, last([batches, rows, depth], first), last([batches, depth, columns], second)]
    }

    /// Writes `finish(sum of terms)` to every output element.
    #[inline(always)]
    pub fn apply<T: Copy, A: Copy>(
        &self,
        a: &[T],
        b: &[T],
        output: &mut [T],
        start: A,
        term: impl Fn(A, T, T) -> A,
        finish: impl Fn(A) -> T,
    ) -> Result {
        let mut elements = output.iter_mut();
        for batch in 0..self.batches {
            for row in 0..self.rows {
                for column in 0..self.columns {
                    let mut at_a = batch.wrapping_mul(self.first[0]).wrapping_add(row.wrapping_mul(self.first[1]));
                    let mut at_b = batch.wrapping_mul(self.second[0]).wrapping_add(column.wrapping_mul(self.second[2]));
                    let mut sum = start;
                    for _ in 0..self.depth {
                        let (a, b) =
                            (a.get(at_a as usize).ok_or(OutOfBounds)?, b.get(at_b as usize).ok_or(OutOfBounds)?);
                        sum = term(sum, *a, *b);
                        at_a = at_a.wrapping_add(self.first[2]);
                        at_b = at_b.wrapping_add(self.second[1]);
                    }
                    *elements.next().ok_or(OutOfBounds)? = finish(sum);
                }
            }
        }
        Ok(())
    }
}

/// The scale and zero points of products of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MatmulParameters {
    /// The zero points of the operands.
    pub zero_points: [i32; 2],
    /// The factor of the sums.
    pub multiplier: Multiplier,
    /// The zero point of the output.
    pub output_zero_point: i32,
}

/// Int8 products with sums of 32 bits.
pub fn batch_matmul(
    matrices: &Matrices,
    parameters: &MatmulParameters,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> Result {
    let [zero_point_a, zero_point_b] = parameters.zero_points;
    let term = |sum: i32, a: i8, b: i8| {
        sum.wrapping_add(a.widen().wrapping_sub(zero_point_a).wrapping_mul(b.widen().wrapping_sub(zero_point_b)))
    };
    let finish = |sum| i8::saturate(parameters.multiplier.apply(sum).wrapping_add(parameters.output_zero_point));
    matrices.apply(a, b, output, 0, term, finish)
}

/// Int16 products with sums of 64 bits; the zero points are 0.
pub fn batch_matmul_i16(
    matrices: &Matrices,
    parameters: &MatmulParameters,
    a: &[i16],
    b: &[i16],
    output: &mut [i16],
) -> Result {
    let term = |sum: i64, a: i16, b: i16| sum.wrapping_add(i64::from(a.widen().wrapping_mul(b.widen())));
    matrices.apply(a, b, output, 0, term, |sum| i16::saturate(parameters.multiplier.apply_wide(sum)))
}
