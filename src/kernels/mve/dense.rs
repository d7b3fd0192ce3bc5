//! Dense layers: eight channels of one pixel, or one.

use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{self, Dense, DenseRows, nervelet_mve_dense, nervelet_mve_dense_rows};
use crate::kernels::packing::mve::LANES;

/// Words of a channel's scale.
const SCALE: usize = 3;
/// Channels of a record of [`Layout::Eights`](crate::kernels::packing::mve::Layout::Eights), and the words of their scales.
const EIGHT: usize = 8;
const SCALES: usize = 32;
/// Vectors that the kernel of eight channels unrolls.
const UNROLLED: usize = 8;

/// A convolution of single pixels, one after the other.
pub fn dense(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    for (position, codes) in output.chunks_exact_mut(outputs.max(1)).enumerate() {
        let (row, column) = (position / window.output[1].max(1), position % window.output[1].max(1));
        let at = row.wrapping_mul(window.stride[0]).wrapping_mul(window.input[1]);
        let at = at.wrapping_add(column.wrapping_mul(window.stride[1])).wrapping_mul(channels);
        pixel(input.get(at..at.wrapping_add(channels)).ok_or(OutOfBounds)?, layer, scratch, codes)?;
    }
    Ok(())
}

/// All channels of one pixel.
#[inline(never)]
pub fn pixel(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], codes: &mut [i8]) -> Result {
    let mut input = input;
    let vectors = input.len().div_ceil(LANES);
    let depth = vectors.wrapping_mul(LANES);
    let records = codes.len().div_ceil(EIGHT);
    let words = depth.checked_mul(2).and_then(|weights| weights.checked_add(SCALES)?.checked_mul(records));
    if depth == 0 || words != Some(layer.words.len()) {
        return Err(OutOfBounds);
    }
    if depth != input.len() {
        let (target, _) =
            bytemuck::cast_slice_mut::<u32, i8>(scratch).split_at_mut_checked(depth).ok_or(OutOfBounds)?;
        assembly::copy(target, input);
        input = target;
    }
    let last = codes.len().checked_sub(EIGHT).and_then(|last| codes.get_mut(last..)).ok_or(OutOfBounds)?;
    let last_output = last.as_mut_ptr();
    let frame = Dense {
        input: input.as_ptr(),
        stream: layer.words.as_ptr(),
        output: codes.as_mut_ptr(),
        last_output,
        records_before_last: records.wrapping_sub(1),
        skipped: vectors.wrapping_neg() % UNROLLED,
        rounds: vectors.div_ceil(UNROLLED),
        zero_point: layer.output_zero_point,
    };
    // SAFETY: `input` has `depth` bytes, a multiple of 16 and at least 16; the stream is `records` records, at least one,
    // of as many weights for eight channels and their scales. Codes are written eight at a time from the first on, and
    // at last those that end with `codes`, which has at least eight.
    unsafe { nervelet_mve_dense(&raw const frame) };
    Ok(())
}

/// One row of a dense layer of few outputs.
pub fn rows(input: &[i8], layer: &PackedLayer<'_>, output: &mut [i8]) -> Result {
    let record = input.len().div_ceil(4).wrapping_add(SCALE);
    let words = output.len().checked_mul(record);
    if input.is_empty() || output.is_empty() || words != Some(layer.words.len()) {
        return Err(OutOfBounds);
    }
    let stream = layer.words.as_ptr_range();
    let frame = DenseRows {
        input: input.as_ptr(),
        stream: stream.start,
        stream_end: stream.end,
        output: output.as_mut_ptr(),
        count: input.len(),
        zero_point: layer.output_zero_point,
    };
    // SAFETY: the stream is a record for each output, at least one, of a weight for each input in whole words, and a scale.
    // The kernel reads the weights and the inputs, of which there is one or more, and the scales, and writes the outputs.
    unsafe { nervelet_mve_dense_rows(&raw const frame) };
    Ok(())
}
