//! Dense layers of few inputs or outputs, with inputs as they are: three channels at a time, or one.

use super::super::packing::scalar::{DIRECT_END, Layout};
use super::super::{OutOfBounds, PackedLayer, Result, packing};
use super::assembly::{Direct, nervelet_dense_singles, nervelet_dense_triples};

/// Words of a channel beside its weights: bias and multiplier.
const BESIDE: usize = 3;

/// One row of a dense layer whose layout is of threes of channels, or else of single ones.
#[inline(always)]
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    if layer.packing.layout == packing::Layout::Scalar(Layout::ChannelTriples) {
        // A third of a number of 16 bits, rounded up, without a division.
        let records = output.len().wrapping_add(2).wrapping_mul(0xAAAB) >> 17;
        let mut frame = frame(input, layer, output, 3, records)?;
        // SAFETY: that of the frame, with records of three channels.
        unsafe { nervelet_dense_triples(&raw mut frame) };
    } else {
        let records = output.len();
        let mut frame = frame(input, layer, output, 1, records)?;
        // SAFETY: that of the frame, with records of one channel.
        unsafe { nervelet_dense_singles(&raw mut frame) };
    }
    Ok(())
}

/// What the kernel for records of so many channels is given, if a layer has such records: one for each `lanes` outputs and
/// for what is left, of biases, rows of `row` bytes with a weight for each of the inputs, of which there is one or more, and
/// multipliers. The kernel reads them and the inputs; it writes codes by so many from the first on, and at last those that
/// end with `output`, which has at least `lanes`.
#[inline(always)]
fn frame(
    input: &[i8],
    layer: &PackedLayer<'_>,
    output: &mut [i8],
    lanes: usize,
    records: usize,
) -> core::result::Result<Direct, OutOfBounds> {
    let (count, outputs) = (input.len(), output.len());
    let row = count.wrapping_add(3) / 4;
    let record = row.wrapping_add(BESIDE).wrapping_mul(lanes);
    // Numbers of 16 bits: no product wraps.
    let small = (count | outputs) < DIRECT_END;
    if !small || count == 0 || outputs < lanes || layer.words.len() != records.wrapping_mul(record) {
        return Err(OutOfBounds);
    }
    let codes = output.as_mut_ptr();
    Ok(Direct {
        stream: layer.words.as_ptr(),
        inputs: input.as_ptr(),
        count,
        last_output: codes.wrapping_add(outputs.wrapping_sub(lanes)),
        behind: count.wrapping_neg() % 4,
        zero_point: layer.output_zero_point,
        row: row.wrapping_mul(4),
        output: codes,
    })
}
