//! Convolutions as matrix products: the windows of four pixels are joined in scratch memory, and all output channels
//! are computed for them.

use super::super::image::Image;
use super::super::packing;
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
    let mut pixel = 0;
    while pixel < count {
        // The last block overlaps the one before rather than being a smaller one.
        let first = pixel.min(last);
        join_block(image, first, staging, inputs)?;
        let start = first.wrapping_mul(outputs);
        let codes = output.get_mut(start..start.wrapping_add(outputs.wrapping_mul(4))).ok_or(OutOfBounds)?;
        multiply(depth, outputs, layer, inputs, codes);
        pixel = first.wrapping_add(4);
    }
    Ok(())
}

/// Joins the windows of four neighbouring output pixels; `staging` holds four rows, `target` the windows.
fn join_block(image: &Image<'_>, first: usize, staging: &mut [i8], target: &mut [u32]) -> Result {
    let (count, padded) = (image.filter.rows, image.filter.padded_row);
    let origins = [0, 1, 2, 3].map(|pixel| image.origin(first.wrapping_add(pixel)));
    if let [Some(a), Some(b), Some(c), Some(d)] = origins.map(|origin| image.rows(origin, 0, count)) {
        let step = image.window.dilation[0].wrapping_mul(image.window.input[1]).wrapping_mul(image.channels);
        return join([a, b, c, d], [count, padded], step, target);
    }
    for (row, target) in (0..count).zip(target.chunks_exact_mut(padded.wrapping_mul(2))) {
        let mut rows = origins.map(|origin| image.rows(origin, row, 1));
        for ((row_of, origin), slot) in rows.iter().zip(origins).zip(staging.chunks_exact_mut(padded)) {
            if row_of.is_none() {
                image.stage(origin, row, slot)?;
            }
        }
        for (row_of, slot) in rows.iter_mut().zip(staging.chunks_exact(padded)) {
            row_of.get_or_insert(slot);
        }
        join(rows.map(Option::unwrap_or_default), [1, padded], padded, target)?;
    }
    Ok(())
}

/// Joins four windows of `rows` rows of `codes` codes, `step` apart, in `target`: two words for each code of one.
fn join(windows: [&[i8]; 4], [rows, codes]: [usize; 2], step: usize, target: &mut [u32]) -> Result {
    let length = rows.wrapping_sub(1).checked_mul(step).and_then(|reach| reach.checked_add(codes));
    let sound = rows > 0
        && codes >= 4
        && codes.is_multiple_of(4)
        && rows.checked_mul(codes).and_then(|all| all.checked_mul(2)) == Some(target.len())
        && windows.iter().all(|window| Some(window.len()) == length);
    if !sound {
        return Err(OutOfBounds);
    }
    let sources = windows.map(<[i8]>::as_ptr);
    // SAFETY: reads `codes = 4 * units` bytes of `rows` rows, `step` apart, of each window, the last of which end with
    // it, and writes `8 * units` words a row, the length of `target`; `units` and `rows` are at least 1.
    unsafe { nervelet_join(&raw const sources, target.as_mut_ptr(), codes / 4, rows, step.wrapping_sub(codes)) };
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
