//! The steps of attention by blocks in assembly.

use super::super::blocked_attention::{High, Portable, Steps};
use super::assembly::{Context, Powers, Scores};
use super::assembly::{nervelet_mve_context, nervelet_mve_powers, nervelet_mve_scores};
use crate::fixed::POWERS_OF_HALF;

/// Words of two queries or keys that take a vector each.
const VECTORS: usize = 8;

/// The steps of this core.
#[derive(Debug, Clone, Copy)]
pub struct Vectors;

impl Steps for Vectors {
    fn scores(queries: &[u32], keys: &[u32], shift: u32, row: &mut [i32]) -> [i32; 2] {
        let whole =
            !queries.is_empty() && queries.len().is_multiple_of(VECTORS) && keys.len().is_multiple_of(queries.len());
        let pairs = keys.len() / queries.len().max(1);
        if !whole || pairs == 0 || row.len() / 4 < pairs || shift >= 32 {
            return Portable::scores(queries, keys, shift, row);
        }
        let of_keys = keys.as_ptr_range();
        let mut frame = Scores {
            keys: of_keys.start,
            keys_end: of_keys.end,
            queries: queries.as_ptr(),
            vectors: queries.len() / VECTORS,
            row: row.as_mut_ptr(),
            shift,
            largest: [i32::MIN; 2],
        };
        // SAFETY: reads `queries`, eights of words, at least one, again for each part of `keys` of the same length, at least
        // one, and writes four words of `row` for each of them; and the last two words of the frame.
        unsafe { nervelet_mve_scores(&raw mut frame) };
        frame.largest
    }

    fn powers(factor: High, largest: i32, row: &mut [i32]) -> u32 {
        let frame = Powers {
            row: row.as_mut_ptr(),
            table: POWERS_OF_HALF.as_ptr(),
            largest,
            shift: 0_i32.wrapping_sub_unsigned(factor.shift),
            count: row.len().div_ceil(2),
            mantissa: [factor.mantissa; 4],
        };
        // SAFETY: reads and writes every second word of `row` from the first on; reads two neighbours of the table's 65
        // entries from an index below 64 on.
        unsafe { nervelet_mve_powers(&raw const frame) }
    }

    fn context(probabilities: &[i32], values: &[u32], factor: High, zero_point: i32) -> [i32; 8] {
        let pairs = probabilities.len() / 2;
        if pairs == 0 || values.len() / 4 < pairs {
            return Portable::context(probabilities, values, factor, zero_point);
        }
        let mut results = [0; 8];
        let frame = Context {
            probabilities: probabilities.as_ptr(),
            pairs,
            values: values.as_ptr(),
            mantissa: factor.mantissa,
            shift: 0_i32.wrapping_sub_unsigned(factor.shift),
            zero_point,
            results: &raw mut results,
        };
        // SAFETY: reads two words of `probabilities` for each pair, at least one, and four of `values`, which are there;
        // writes eight results.
        unsafe { nervelet_mve_context(&raw const frame) };
        results
    }
}
