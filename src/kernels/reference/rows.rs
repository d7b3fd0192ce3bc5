//! Products of rows of int8 weights with int16 inputs.

use super::super::rows::{RowQuads, weights_of};
use super::super::{OutOfBounds, Result};
use super::RowProduct;
use crate::fixed::round_shift_wide;

/// The results of all rows, four for each group, over `depth` inputs.
pub fn row_product(rows: &RowQuads<'_>, x: &[i16], results: &mut [i32]) -> Result {
    if x.len() != rows.depth || results.len() != (rows.words.len() / rows.depth.saturating_add(8)).wrapping_mul(4) {
        return Err(OutOfBounds);
    }
    for ((weights, finish), results) in rows.groups().zip(results.chunks_exact_mut(4)) {
        let mut sums = [[0_i32; 2]; 2];
        for (number, half) in bytemuck::cast_slice::<u32, i16>(weights).iter().enumerate() {
            let x = i32::from(*x.get(number / 4 * 2 + number % 2).ok_or(OutOfBounds)?);
            let [even, odd] = weights_of(*half);
            let [of_even, of_odd] = sums.get_mut(number / 2 % 2).ok_or(OutOfBounds)?;
            *of_even = of_even.wrapping_add(even.wrapping_mul(x));
            *of_odd = of_odd.wrapping_add(odd.wrapping_mul(x));
        }
        for ((sum, result), [bias, mantissa]) in sums.as_flattened().iter().zip(results).zip(finish.as_chunks::<2>().0)
        {
            let sum = i64::from(sum.wrapping_add(*bias as i32));
            *result = round_shift_wide(sum.wrapping_mul((*mantissa as i32).into()), rows.shift) as i32;
        }
    }
    Ok(())
}

/// A dense layer over rows of `depth` inputs, with as many `outputs` each. `scratch` holds the inputs, padded, and four
/// results for each group.
pub fn dense_rows(
    rows: &RowQuads<'_>,
    [depth, outputs]: [usize; 2],
    [low, high]: [i16; 2],
    x: &[i16],
    scratch: &mut [i32],
    output: &mut [i16],
    product: RowProduct,
) -> Result {
    let (padded, results) = scratch.split_at_mut_checked(rows.depth / 2).ok_or(OutOfBounds)?;
    padded.fill(0);
    let padded: &mut [i16] = bytemuck::cast_slice_mut(padded);
    for (x, codes) in x.chunks_exact(depth.max(1)).zip(output.chunks_exact_mut(outputs.max(1))) {
        padded.get_mut(..depth).ok_or(OutOfBounds)?.copy_from_slice(x);
        product(rows, padded, results)?;
        for (code, result) in codes.iter_mut().zip(results.iter()) {
            *code = (*result).min(high.into()).max(low.into()) as i16;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::rows::pack;
    use super::*;

    #[test]
    fn four_rows_of_four_inputs() {
        let rows = [[1, 2, 3, 4], [-1, 0, 0, 0], [0, 127, 0, 0], [0, 0, -127, 127]];
        let factors = [8, 1 << 31 >> 1, 0, 1 << 30, 1, 1 << 30, 0, 1 << 30];
        let words = [pack(rows).as_slice(), factors.as_slice()].concat();
        let rows = RowQuads { words: &words, depth: 4, shift: 31 };
        let mut results = [0; 4];
        row_product(&rows, &[10, 20, 30, -32_768], &mut results).unwrap();
        // Halves: (8 + 140 - 131072) / 2, -10 / 2, 2541 / 2, (-3810 - 4161536) / 2.
        assert_eq!(results, [-65_462, -5, 1271, -2_082_673]);
        assert_eq!(row_product(&rows, &[0; 3], &mut results), Err(OutOfBounds));
        assert_eq!(row_product(&rows, &[0; 4], &mut results[..3]), Err(OutOfBounds));
    }
}
