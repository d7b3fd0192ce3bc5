//! Products of rows of int8 weights with int16 inputs.

use super::super::{OutOfBounds, Result, RowQuads, reference};
use super::assembly::{Rows, nervelet_mve_rows};

/// Inputs of a vector.
const LANES: usize = 8;

/// [`Core::row_product`](super::Core::row_product) with a shift of 32; others take the reference.
pub fn row_product(rows: &RowQuads<'_>, x: &[i16], results: &mut [i32]) -> Result {
    if rows.shift != 32 {
        return reference::row_product(rows, x, results);
    }
    if !rows.fits(x.len(), results.len()) {
        return Err(OutOfBounds);
    }
    let stream = rows.words.as_ptr_range();
    let frame = Rows {
        stream: stream.start,
        stream_end: stream.end,
        results: results.as_mut_ptr(),
        inputs: x.as_ptr(),
        vectors: x.len() / LANES,
        half: x.len() % LANES,
    };
    // SAFETY: the words are a whole number of groups, at least one, of `depth + 8` words; `x` is `depth` codes, a multiple
    // of four. The kernel reads of `x` so many vectors and, where `half` is not 0, four codes more; of a group the weights, of
    // the last ones together with what is behind them in the same group, then the rest. It writes four words for each
    // group, the length of `results`.
    unsafe { nervelet_mve_rows(&raw const frame) };
    Ok(())
}
