//! The steps of attention by blocks in assembly.

use super::super::blocked_attention::{High, Portable, Steps};
use super::assembly::{Context, Powers, Scores};
use super::assembly::{nervelet_context, nervelet_powers, nervelet_probabilities, nervelet_scores};
use crate::fixed::POWERS_OF_HALF;

/// Units in the loops of the kernels.
const UNITS: usize = 4;

/// The steps of this core.
#[derive(Debug, Clone, Copy)]
pub struct Dsp;

impl Steps for Dsp {
    fn scores(queries: &[u32], keys: &[u32], shift: u32, row: &mut [i32]) -> [i32; 2] {
        let whole = !queries.is_empty() && queries.len().is_multiple_of(2) && keys.len().is_multiple_of(queries.len());
        let pairs = keys.len() / queries.len().max(1);
        if !whole || pairs == 0 || row.len() / 4 < pairs || shift >= 32 {
            return Portable::scores(queries, keys, shift, row);
        }
        let (of_keys, of_queries) = (keys.as_ptr_range(), queries.as_ptr_range());
        let mut frame = Scores {
            keys: of_keys.start,
            keys_end: of_keys.end,
            queries: of_queries.start,
            queries_end: of_queries.end,
            row: row.as_mut_ptr(),
            right: shift,
            left: 32 - shift,
            half: if shift > 0 { 1 << (shift - 1) } else { 0 },
            largest: [i32::MIN; 2],
            entry: (queries.len() / 2).wrapping_neg() % UNITS,
        };
        // SAFETY: reads `queries`, pairs of words, at least one, again for each part of `keys` of the same length, at least
        // one, and writes four words of `row` for each of them; and the last two words of the frame but one.
        unsafe { nervelet_scores(&raw mut frame) };
        frame.largest
    }

    fn powers(factor: High, largest: i32, row: &mut [i32]) -> u32 {
        let count = row.len().div_ceil(2);
        if count == 0 {
            return 0;
        }
        let start = row.as_mut_ptr();
        let frame = Powers {
            row: start,
            end: start.wrapping_add(count.wrapping_mul(2)),
            largest,
            mantissa: factor.mantissa,
            half: factor.half(),
            shift: factor.shift,
            table: POWERS_OF_HALF.as_ptr(),
        };
        // SAFETY: reads and writes every second word of `row` from the first on, `count` of them, at least one; reads two
        // neighbours of the table's 65 entries from an index below 64 on.
        unsafe { nervelet_powers(&raw const frame) }
    }

    fn probabilities(sums: [u32; 2], row: &mut [i32]) {
        let sums = sums.map(|sum| sum.max(1));
        let (fours, _) = row.as_chunks_mut::<4>();
        let range = fours.as_flattened_mut().as_mut_ptr_range();
        if range.start < range.end {
            // SAFETY: reads fours of words up to the end, at least one, and writes two for each at the front.
            unsafe { nervelet_probabilities(range.start, range.end, &raw const sums) };
        }
    }

    fn context(probabilities: &[i32], values: &[u32], factor: High, zero_point: i32) -> [i32; 8] {
        let pairs = probabilities.len() / 2;
        if pairs == 0 || values.len() / 4 < pairs || !probabilities.len().is_multiple_of(2) {
            return Portable::context(probabilities, values, factor, zero_point);
        }
        let mut results = [0; 8];
        let range = probabilities.as_ptr_range();
        let frame = Context {
            probabilities: range.start,
            end: range.end,
            values: values.as_ptr(),
            mantissa: factor.mantissa,
            half: factor.half(),
            right: factor.shift,
            zero_point,
            results: results.as_mut_ptr(),
            entry: pairs.wrapping_neg() % UNITS,
        };
        // SAFETY: reads `probabilities`, pairs of words, at least one, and four words of `values` for each of them, which
        // are there; writes eight results.
        unsafe { nervelet_context(&raw const frame) };
        results
    }
}
