//! Convolutions as matrix products: the windows of four pixels are joined in scratch memory, and all output channels
//! are computed for them.

use super::super::image::{Image, Places};
use super::super::packing::{self, Filter};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{Entry, MATRIX, Matrix, nervelet_join, nervelet_matrix};

/// Int8 convolution with packed weights.
pub fn conv_2d(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let layout = layer.packing.layout;
    let filter = layout.filter(window.kernel[0], window.kernel[1].wrapping_mul(channels));
    let record = layout.record_words(filter.depth);
    if filter.depth == 0 || outputs == 0 || Some(layer.words.len()) != outputs.checked_mul(record) {
        return Err(OutOfBounds);
    }
    let image = Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 };
    // A small image is copied into its padding once, so that every window lies inside.
    let padded = packing::padded_image_words(window, channels);
    if padded > 0 && scratch.len() >= layout.scratch_words(window, channels).saturating_add(padded) {
        let (copy, scratch) = scratch.split_at_mut_checked(padded).ok_or(OutOfBounds)?;
        let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
        let window = image.pad(copy)?;
        return blocks(&Image { window: &window, input: copy, ..image }, outputs, layer, scratch, output);
    }
    blocks(&image, outputs, layer, scratch, output)
}

/// Four output pixels a block.
fn blocks(
    image: &Image<'_>,
    outputs: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let [rows, columns] = image.window.output;
    let count = rows.wrapping_mul(columns);
    let depth = image.filter.depth;
    let (staging, rest) =
        scratch.split_at_mut_checked(packing::staging_words(image.window, &image.filter)).ok_or(OutOfBounds)?;
    let staging: &mut [i8] = bytemuck::cast_slice_mut(staging);
    let inputs = rest.get_mut(..depth.wrapping_mul(2)).ok_or(OutOfBounds)?;
    let last = count.checked_sub(4).ok_or(OutOfBounds)?;
    let places = Places::new(image)?;
    let mut pixel = 0;
    while pixel < count {
        // The last block overlaps the one before rather than being a smaller one.
        let first = pixel.min(last);
        join_block(&places, image, first, staging, inputs)?;
        let start = first.wrapping_mul(outputs);
        let codes = output.get_mut(start..start.wrapping_add(outputs.wrapping_mul(4))).ok_or(OutOfBounds)?;
        multiply(depth, outputs, layer, inputs, codes);
        pixel = first.wrapping_add(4);
    }
    Ok(())
}

/// Joins the windows of four neighbouring output pixels; `staging` holds four rows, `target` two words for each code of one.
fn join_block(places: &Places<'_>, image: &Image<'_>, first: usize, staging: &mut [i8], target: &mut [u32]) -> Result {
    let Filter { rows, padded_row, .. } = image.filter;
    let (starts, whole) = places.of_four(first);
    // Windows that lie in the image are joined with all of their rows.
    let rows_at_once = if whole { rows } else { 1 };
    let words = rows_at_once.wrapping_mul(padded_row).wrapping_mul(2);
    if padded_row < 4 || !padded_row.is_multiple_of(4) || rows == 0 {
        return Err(OutOfBounds);
    }
    for (row, target) in (0..rows).step_by(rows_at_once).zip(target.chunks_exact_mut(words.max(1))) {
        let mut sources = [image.input.as_ptr(); 4];
        for (number, (source, start)) in sources.iter_mut().zip(starts).enumerate() {
            let at = start.wrapping_add(row.wrapping_mul(places.row_step));
            *source = source.wrapping_add(at);
            if at >= places.row {
                let slot = number.wrapping_mul(padded_row);
                let slot = staging.get_mut(slot..slot.wrapping_add(padded_row)).ok_or(OutOfBounds)?;
                image.stage(image.origin(first.wrapping_add(number)), row, slot)?;
                *source = slot.as_ptr();
            }
        }
        let advance = places.row_step.wrapping_sub(padded_row);
        // SAFETY: reads `padded_row = 4 * units` bytes of `rows_at_once` rows, `row_step` apart, of each window: a single row
        // as its place says or as a slot of `staging` has it, all of them as `whole` says. Writes `8 * units` words a row, the
        // length of `target`; `units` and `rows_at_once` are at least 1.
        unsafe { nervelet_join(&raw const sources, target.as_mut_ptr(), padded_row / 4, rows_at_once, advance) };
    }
    Ok(())
}

/// All output channels of four pixels.
fn multiply(depth: usize, outputs: usize, layer: &PackedLayer<'_>, inputs: &[u32], codes: &mut [i8]) {
    let Entry { skip, start } = MATRIX.entry(depth);
    let stream = layer.words.as_ptr_range();
    let frame = Matrix {
        stream: stream.start,
        stream_end: stream.end,
        inputs: inputs.as_ptr(),
        output: codes.as_mut_ptr(),
        stride: outputs,
        zero_point: layer.output_zero_point,
        weights: depth,
        skip,
        start,
        unused: 0,
    };
    // SAFETY: the stream is `outputs` records, at least one, of `depth` weights (a multiple of 4, at least 4), as the
    // caller checked against its length; `inputs` is `2 * depth` words, of which every record reads all. Of every
    // record a byte is written to each of four rows of `outputs` bytes, which `codes` has. All words are aligned. The
    // kernel touches nothing else but its stack, and keeps the registers that its callers own.
    unsafe { nervelet_matrix(&raw const frame) };
}
