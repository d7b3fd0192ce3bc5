//! Dense layers of few inputs or outputs, with inputs as they are: three channels at a time, or one.

use super::super::packing::{self, scalar::Layout};
use super::super::{OutOfBounds, PackedLayer, Result};
use super::assembly::{Direct, nervelet_dense_singles, nervelet_dense_triples};
use super::dense::product;

/// Words of a channel beside its weights: bias and multiplier.
const BESIDE: usize = 3;

/// One row of a dense layer whose layout is of threes of channels, or else of single ones.
#[inline(always)]
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    let (count, outputs) = (input.len(), output.len());
    let row = count.wrapping_add(3) / 4;
    let channel = row.wrapping_add(BESIDE);
    let triples = layer.packing.layout == packing::Layout::Scalar(Layout::ChannelTriples);
    let (lanes, records, record) =
        if triples { (3, third(outputs), channel.wrapping_mul(3)) } else { (1, outputs, channel) };
    let last = outputs.wrapping_sub(lanes);
    if row == 0 || outputs < lanes || Some(layer.words.len()) != product(records, record) {
        return Err(OutOfBounds);
    }
    let codes = output.as_mut_ptr();
    let mut frame = Direct {
        stream: layer.words.as_ptr(),
        inputs: input.as_ptr(),
        count,
        last_output: codes.wrapping_add(last),
        behind: count.wrapping_neg() % 4,
        zero_point: layer.output_zero_point,
        row: row.wrapping_mul(4),
        output: codes,
    };
    // SAFETY: the stream is `records` records, one for each `lanes` outputs and for what is left, of biases, rows of `row`
    // bytes with a weight for each of the inputs, of which there is one or more, and multipliers. Codes are written by so
    // many from the first on, and at last those that end with `output`, which has at least `lanes`.
    unsafe {
        match triples {
            true => nervelet_dense_triples(&raw mut frame),
            false => nervelet_dense_singles(&raw mut frame),
        }
    }
    Ok(())
}

/// A third, rounded up; of small numbers without a division.
#[inline(always)]
fn third(number: usize) -> usize {
    if number < 1 << 16 { number.wrapping_add(2).wrapping_mul(0xAAAB) >> 17 } else { number.div_ceil(3) }
}
