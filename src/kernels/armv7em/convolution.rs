//! Convolutions and dense layers as matrix products: pixels are widened into scratch memory, a few blocks of four at a
//! time or one by one, and all output channels are computed for them.

use super::super::image::Image;
use super::super::packing::armv7em::Layout;
use super::super::packing::{self, Filter};
use super::super::scaling::Scaling;
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{
    Finish, Matrix, Widen, nervelet_matrix, nervelet_matrix_plain, nervelet_matrix_wide, nervelet_widen,
    nervelet_widen_plain, offsets,
};
use super::dense::{self, TURNED};
use super::image::one_row;
use super::own;

/// Units of 4 weights that the matrix kernels unroll, of 4 codes that widening does.
const MATRIX_UNITS: usize = 4;
const WIDEN_UNITS: usize = 4;

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
    if filter.depth == 0 || outputs < 2 || Some(layer.words.len()) != layout.records(outputs).checked_mul(record) {
        return Err(OutOfBounds);
    }
    let image = Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 };
    match own(layer) {
        Layout::SharedRowPairs if !packing::in_blocks(window) => pixels(&image, outputs, layer, scratch, output),
        Layout::SharedRowPairs | Layout::RowPairs => {
            // A small image is copied into its padding once, so that every window lies inside.
            let padded = packing::padded_image_words(window, channels);
            if padded > 0 && scratch.len() >= layout.scratch_words(window, channels).wrapping_add(padded) {
                let (copy, scratch) = scratch.split_at_mut_checked(padded).ok_or(OutOfBounds)?;
                let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
                let window = image.pad(copy)?;
                let image = Image { window: &window, input: copy, ..image };
                return blocks(&image, outputs, layer, scratch, output);
            }
            blocks(&image, outputs, layer, scratch, output)
        }
        Layout::DepthwiseQuads | Layout::DepthwiseColumns => Err(OutOfBounds),
    }
}

/// Where blocks of four windows are widened to.
struct Widening<'a> {
    image: &'a Image<'a>,
    outputs: usize,
    /// What the codes become; see `widen.s`.
    plain: bool,
    factor: u32,
    output: &'a mut [i8],
}

impl Widening<'_> {
    /// Widens the block of the four output pixels from `first` on, and at most `target.len()` blocks; returns how many.
    fn blocks_from(
        &mut self,
        first: usize,
        staging: &mut [i8],
        target: &mut [u32],
    ) -> core::result::Result<usize, OutOfBounds> {
        let image = self.image;
        let Filter { rows, padded_row, .. } = image.filter;
        let pixel_step = image.window.stride[1].wrapping_mul(image.channels);
        let row_step = image.window.dilation[0].wrapping_mul(image.window.input[1]).wrapping_mul(image.channels);
        let block = image.filter.depth.wrapping_mul(2).wrapping_add(1);
        if let Some((count, codes)) = image.run(first) {
            let count = count.min(target.len() / block.max(1));
            let reach = codes.len().wrapping_sub(rows.wrapping_sub(1).wrapping_mul(row_step)).wrapping_sub(padded_row);
            // Four windows a block, the last of which ends with the codes.
            if count == 0 || reach < count.wrapping_mul(4).wrapping_sub(1).wrapping_mul(pixel_step) {
                return Err(OutOfBounds);
            }
            let start = codes.as_ptr();
            let sources = [0, 1, 2, 3].map(|window| start.wrapping_add(pixel_step.wrapping_mul(window)));
            // SAFETY: window `i` of the run begins `i * pixel_step` behind the start of `codes` and has `rows` rows of
            // `padded_row` codes, `row_step` apart; `reach` says that the last one ends in `codes`.
            unsafe { self.widen(sources, [rows, row_step], pixel_step.wrapping_mul(4), count, first, target)? };
            return Ok(count);
        }
        let origins = [0, 1, 2, 3].map(|pixel| image.origin(first.wrapping_add(pixel)));
        let whole = |origin| image.rows(origin, 0, image.filter.rows);
        if let [Some(a), Some(b), Some(c), Some(d)] = origins.map(whole) {
            let sources = [a, b, c, d].map(<[i8]>::as_ptr);
            // SAFETY: each window has `rows` rows of `padded_row` codes, `row_step` apart, as `rows` cut it.
            unsafe { self.widen(sources, [rows, row_step], 0, 1, first, target)? };
            return Ok(1);
        }
        // Row by row, each with a place of its own: the last one's is right.
        let words = padded_row.wrapping_mul(2);
        let columns = image.window.input[1];
        let one_step = image.window.dilation[1] == 1 || image.window.kernel[1] == 1;
        let room = columns.checked_sub(image.window.kernel[1]).filter(|_| one_step);
        // Where the windows begin, counted from the image's start; far away if their columns leave the image. Rows that
        // leave it lie outside the input, too.
        let starts = origins.map(|[top, left]| {
            let inside = room.is_some_and(|room| left >= 0 && left.unsigned_abs() <= room);
            let start = top.wrapping_mul(columns as isize).wrapping_add(left) as usize;
            if inside { start.wrapping_mul(image.channels) } else { usize::MAX / 2 }
        });
        for row in 0..rows {
            let mut sources = starts.map(|start| {
                let start = start.wrapping_add(row.wrapping_mul(row_step));
                let codes = image.input.get(start..start.wrapping_add(padded_row));
                codes.map_or(core::ptr::null(), <[i8]>::as_ptr)
            });
            let slots = staging.chunks_exact_mut(padded_row);
            for ((source, origin), slot) in sources.iter_mut().zip(origins).zip(slots) {
                if source.is_null() {
                    image.stage(origin, row, slot)?;
                    *source = slot.as_ptr();
                }
            }
            let target = target.get_mut(row.wrapping_mul(words)..).ok_or(OutOfBounds)?;
            if staging.len() < padded_row.wrapping_mul(4) {
                return Err(OutOfBounds);
            }
            // SAFETY: each source has `padded_row` codes, as they were cut from the input or as a slot of `staging` has.
            unsafe { self.widen(sources, [1, 0], 0, 1, first, target)? };
        }
        Ok(1)
    }

    /// Widens `count` blocks of four windows, and writes behind each where its output goes: to pixels from `first` on.
    ///
    /// # Safety
    /// For each block `i`, `rows` rows of `padded_row` codes, `row_step` apart, can be read at each source advanced by
    /// `i * block_step`.
    unsafe fn widen(
        &mut self,
        sources: [*const i8; 4],
        [rows, row_step]: [usize; 2],
        block_step: usize,
        count: usize,
        first: usize,
        target: &mut [u32],
    ) -> Result {
        let padded_row = self.image.filter.padded_row;
        let words = rows.checked_mul(padded_row).and_then(|codes| codes.checked_mul(2)).ok_or(OutOfBounds)?;
        let start = first.wrapping_mul(self.outputs);
        let end = start.wrapping_add(self.outputs.wrapping_mul(count).wrapping_mul(4));
        let codes = self.output.get_mut(start..end).ok_or(OutOfBounds)?;
        let sound = rows > 0 && padded_row >= 4 && padded_row.is_multiple_of(4) && count > 0;
        let need = words.checked_add(1).and_then(|block| block.checked_mul(count)).ok_or(OutOfBounds)?;
        if !sound || target.len() < need {
            return Err(OutOfBounds);
        }
        let advance = row_step.wrapping_sub(padded_row);
        let frame = Widen {
            sources,
            target: target.as_mut_ptr(),
            factor: self.factor,
            row_bytes: padded_row.wrapping_mul(8),
            rows,
            advance,
            blocks: count,
            block_advance: block_step
                .wrapping_sub(rows.wrapping_sub(1).wrapping_mul(row_step))
                .wrapping_sub(padded_row),
            place: codes.as_mut_ptr().expose_provenance(),
            place_step: self.outputs.wrapping_mul(4),
            entry: (padded_row / 4).wrapping_neg() % WIDEN_UNITS,
        };
        // SAFETY: reads what the caller vouches for, in words, which may be unaligned on these cores. Writes `words` and
        // the address of an output for each of `count` blocks, at most what `target` has.
        unsafe { if self.plain { nervelet_widen_plain(&raw const frame) } else { nervelet_widen(&raw const frame) } };
        Ok(())
    }
}

/// Four output pixels a block, as many blocks at once as the scratch memory holds.
fn blocks(
    image: &Image<'_>,
    outputs: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    // Without padding or steps, pixels are one row.
    let flat = one_row(image.window);
    let image = &Image { window: &flat, ..*image };
    let [rows, columns] = image.window.output;
    let count = rows.wrapping_mul(columns);
    let depth = image.filter.depth;
    let (block, wide) = (depth.wrapping_mul(2).wrapping_add(1), depth.wrapping_add(8 + 2 * Scaling::WORDS));
    let (staging, rest) =
        scratch.split_at_mut_checked(packing::staging_words(image.window, &image.filter)).ok_or(OutOfBounds)?;
    let staging: &mut [i8] = bytemuck::cast_slice_mut(staging);
    let plain = own(layer) == Layout::RowPairs;
    let factor = if plain { offsets(layer) } else { TURNED };
    let mut widening = Widening { image, outputs, plain, factor, output };
    // Weights are widened in memory where that serves enough blocks.
    let room = rest.len().saturating_sub(wide) / block;
    let widens = !plain && room.min(count.div_ceil(4)) >= WIDE_BLOCKS;
    let (buffer, rest) = rest.split_at_mut_checked(if widens { wide } else { 0 }).ok_or(OutOfBounds)?;
    let room = (rest.len() / block).wrapping_mul(block);
    let last = count.checked_sub(4).ok_or(OutOfBounds)?;
    let mut pixel = 0;
    while pixel < count {
        let mut filled = 0;
        while pixel < count && filled < room {
            // The last block overlaps the one before rather than being a smaller one.
            let first = pixel.min(last);
            let target = rest.get_mut(filled..room).ok_or(OutOfBounds)?;
            let blocks = widening.blocks_from(first, staging, target)?;
            filled = filled.wrapping_add(blocks.wrapping_mul(block));
            pixel = first.wrapping_add(blocks.wrapping_mul(4));
        }
        let pixels = rest.get_mut(..filled).filter(|pixels| !pixels.is_empty()).ok_or(OutOfBounds)?;
        multiply(depth, outputs, layer, pixels, buffer)?;
    }
    Ok(())
}

/// Blocks from which on widened weights pay: a record's widening costs what it saves in as many.
const WIDE_BLOCKS: usize = 5;

/// All output channels of the blocks in `pixels`, each with the address of its output behind it.
fn multiply(depth: usize, outputs: usize, layer: &PackedLayer<'_>, pixels: &mut [u32], buffer: &mut [u32]) -> Result {
    let record = layer.packing.layout.record_words(depth);
    let (whole, overlapping) = layer.words.split_at_checked((outputs / 2).wrapping_mul(record)).ok_or(OutOfBounds)?;
    run(depth, outputs, whole, layer, pixels, buffer);
    if !overlapping.is_empty() {
        // An odd last channel: its record begins one channel earlier.
        for block in pixels.chunks_exact_mut(depth.wrapping_mul(2).wrapping_add(1)) {
            if let Some(place) = block.last_mut() {
                *place = place.wrapping_sub(1);
            }
        }
        run(depth, outputs, overlapping, layer, pixels, buffer);
    }
    Ok(())
}

fn run(depth: usize, outputs: usize, words: &[u32], layer: &PackedLayer<'_>, pixels: &mut [u32], buffer: &mut [u32]) {
    let Finish { tail, bounds } = Finish::of(layer);
    let wide = !buffer.is_empty();
    let weights_end = buffer.as_ptr_range().end.addr().wrapping_sub(8 * Scaling::WORDS);
    let pixels = pixels.as_mut_ptr_range();
    let stream = words.as_ptr_range();
    let frame = Matrix {
        stream: stream.start,
        stream_end: stream.end,
        pixels: pixels.start,
        pixels_end: pixels.end,
        stride: outputs,
        entry: (depth / 4).wrapping_neg() % MATRIX_UNITS,
        tail,
        buffer: if wide { buffer.as_mut_ptr().expose_provenance() } else { depth.wrapping_mul(2) },
        weights_end,
        bounds,
    };
    // SAFETY: `words` is a whole number of records, at least one (outputs >= 2), of `depth` weights for two channels
    // (a multiple of 4, at least 4), as the caller checked against the length of the stream; `pixels` is a whole
    // number of blocks, at least one, of `2 * depth` words and the address of an output. The kernel writes two bytes
    // for each record at that address and at three further multiples of `outputs`: the caller took the addresses from
    // slices of `4 * outputs` bytes, and two times the records is at most `outputs`; for the overlapping record the
    // address has advanced to the last channel and was set back by one. `buffer` takes the `depth + 14` words of a
    // widened record. All words are aligned. The kernel touches nothing else but its stack, and keeps the registers
    // that its callers own.
    unsafe {
        match own(layer) {
            Layout::RowPairs => nervelet_matrix_plain(&raw const frame),
            _ if wide => nervelet_matrix_wide(&raw const frame),
            _ => nervelet_matrix(&raw const frame),
        }
    }
}

/// One output pixel at a time: dense layers and very small images.
fn pixels(
    image: &Image<'_>,
    outputs: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let Filter { depth, padded_row, .. } = image.filter;
    let (staging, rest) = scratch.split_at_mut_checked(padded_row / 4).ok_or(OutOfBounds)?;
    let staging: &mut [i8] = bytemuck::cast_slice_mut(staging);
    let (inputs, _) = rest.split_at_mut_checked(depth / 2).ok_or(OutOfBounds)?;
    let [rows, columns] = image.window.output;
    for (pixel, codes) in (0..rows.wrapping_mul(columns)).zip(output.chunks_exact_mut(outputs)) {
        let origin = image.origin(pixel);
        for (row, target) in (0..image.filter.rows).zip(inputs.chunks_exact_mut(padded_row / 2)) {
            match image.rows(origin, row, 1) {
                Some(codes) => dense::spread(codes, target)?,
                None => {
                    image.stage(origin, row, staging)?;
                    dense::spread(staging, target)?;
                }
            }
        }
        dense::outputs(inputs, layer, codes)?;
    }
    Ok(())
}
