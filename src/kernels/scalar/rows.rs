//! Products of rows of int8 weights with int16 inputs.

use super::super::{OutOfBounds, Result, RowQuads, reference};
use super::assembly::{Rows, nervelet_rows};

/// Units of four inputs in the kernel's loop on Cortex-M3.
const UNITS: usize = 2;

/// [`Core::row_product`](super::Core::row_product) with a shift of 32 and aligned inputs; others take the reference.
pub fn row_product(rows: &RowQuads<'_>, x: &[i16], results: &mut [i32]) -> Result {
    if rows.shift != 32 || !x.as_ptr().addr().is_multiple_of(4) {
        return reference::row_product(rows, x, results);
    }
    if !rows.fits(x.len(), results.len()) {
        return Err(OutOfBounds);
    }
    let (stream, inputs) = (rows.words.as_ptr_range(), x.as_ptr_range());
    let frame = Rows {
        stream: stream.start,
        stream_end: stream.end,
        inputs: inputs.start,
        inputs_end: inputs.end,
        results: results.as_mut_ptr(),
        skip: (rows.depth / 4).wrapping_neg() % UNITS,
    };
    // SAFETY: the words are a whole number of groups, at least one, of `depth + 8` words; `x` is `depth` codes, a multiple
    // of four and at least four, at a multiple of four bytes; the kernel reads those and writes four words for each group,
    // the length of `results`. It touches nothing else but its stack, and keeps the registers that its callers own.
    unsafe { nervelet_rows(&raw const frame) };
    Ok(())
}
