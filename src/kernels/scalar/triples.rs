//! Dense layers of few inputs or outputs: three channels at a time, with inputs as they are.

use super::super::{OutOfBounds, PackedLayer, Result};
use super::assembly::{Triples, nervelet_dense_triples};
use super::dense::product;

/// Words of a record beside its weights: biases and multipliers.
const BESIDE: usize = 9;

/// One row of a dense layer.
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    let row = input.len().div_ceil(4);
    let record = row.wrapping_mul(3).wrapping_add(BESIDE);
    // Small numbers are divided by a multiplication.
    let records = match u16::try_from(output.len()) {
        Ok(outputs) => outputs.div_ceil(3).into(),
        Err(_) => output.len().div_ceil(3),
    };
    let last = output.len().checked_sub(3).ok_or(OutOfBounds)?;
    if row == 0 || Some(layer.words.len()) != product(records, record) {
        return Err(OutOfBounds);
    }
    let codes = output.as_mut_ptr();
    let inputs = input.as_ptr_range();
    let frame = Triples {
        stream: layer.words.as_ptr(),
        output: codes,
        last_output: codes.wrapping_add(last),
        inputs: inputs.start,
        count: input.len(),
        row: row.wrapping_mul(4),
        zero_point: layer.output_zero_point,
        records_before_last: records.wrapping_sub(1),
    };
    // SAFETY: the stream is `records` records, one for each three outputs and for what is left, of biases, three rows of
    // `row` words with a weight for each of the inputs, of which there is one or more, and multipliers. Codes are written
    // three at a time from the first on, and at last those that end with `output`, which has at least three.
    unsafe { nervelet_dense_triples(&raw const frame) };
    Ok(())
}
