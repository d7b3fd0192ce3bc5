//! Convolutions and dense layers as matrix products: pixels are widened into scratch memory, a few blocks of four at a
//! time or one by one, and all output channels are computed for them.

use super::super::packing::armv7em::Layout;
use super::super::packing::{self, Filter};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{
    Dense, Finish, Matrix, nervelet_dense, nervelet_matrix_narrow, nervelet_matrix_wide, nervelet_widen_4, offsets,
};

/// Units of 4 weights that the matrix kernels unroll, of 8 that the dense kernel does.
const MATRIX_UNITS: usize = 8;
const DENSE_UNITS: usize = 16;

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
    let packing::Layout::Armv7em(own) = layout;
    let filter = layout.filter(window.kernel[0], window.kernel[1].wrapping_mul(channels));
    let record = layout.record_words(filter.depth);
    if filter.depth == 0 || outputs < 2 || Some(layer.words.len()) != layout.records(outputs).checked_mul(record) {
        return Err(OutOfBounds);
    }
    let image = Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 };
    // A small image is copied into its padding once, so that every window lies inside.
    let padded = packing::padded_image_words(window, channels);
    if own == Layout::RowPairs && padded > 0 && scratch.len() >= layout.scratch_words(window, channels) + padded {
        let (copy, scratch) = scratch.split_at_mut_checked(padded).ok_or(OutOfBounds)?;
        let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
        let window = image.pad(copy)?;
        let image = Image { window: &window, input: copy, ..image };
        return blocks(&image, outputs, layer, scratch, output);
    }
    match own {
        Layout::RowPairs => blocks(&image, outputs, layer, scratch, output),
        Layout::DenseRowPairs => pixels(&image, outputs, layer, scratch, output),
        Layout::DepthwiseQuads | Layout::DepthwiseColumns => Err(OutOfBounds),
    }
}

/// The input as the rows of a matrix: one for each output pixel.
struct Image<'a> {
    window: &'a Window,
    channels: usize,
    input: &'a [i8],
    filter: Filter,
    zero_point: i8,
}

impl<'a> Image<'a> {
    /// Copies the image with its padding into `copy`; returns the window without.
    fn pad(&self, copy: &mut [i8]) -> core::result::Result<Window, OutOfBounds> {
        copy.fill(self.zero_point);
        let extents = self.window.padded_input();
        let row = extents[1].wrapping_mul(self.channels).max(1);
        let source = self.window.input[1].wrapping_mul(self.channels).max(1);
        let left = self.window.padding[1].wrapping_mul(self.channels);
        let rows = copy.chunks_exact_mut(row).skip(self.window.padding[0]);
        for (target, source) in rows.zip(self.input.chunks_exact(source)) {
            let target = target.get_mut(left..).ok_or(OutOfBounds)?;
            // Windows may end before the last columns.
            let length = target.len().min(source.len());
            target.iter_mut().zip(source.iter().take(length)).for_each(|(target, source)| *target = *source);
        }
        Ok(Window { input: extents, padding: [0; 2], ..*self.window })
    }

    /// Where the window of an output pixel begins: row and column of its first tap, negative in the padding.
    fn origin(&self, pixel: usize) -> [isize; 2] {
        let columns = self.window.output[1].max(1);
        let at = [pixel / columns, pixel % columns];
        let origin = |axis: usize| {
            let pick = |pair: [usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
            (pick(at).wrapping_mul(pick(self.window.stride)) as isize).wrapping_sub(pick(self.window.padding) as isize)
        };
        [origin(0), origin(1)]
    }

    /// One row of a window, padded to whole words, if it lies in the image as it is. Elements behind the row meet
    /// weights of zero, but they have to be there.
    fn row(&self, [top, left]: [isize; 2], row: usize) -> Option<&'a [i8]> {
        let [rows, columns] = self.window.input;
        let y = top.checked_add_unsigned(row.wrapping_mul(self.window.dilation[0]))?;
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(left).ok()?);
        let one_step = self.window.dilation[1] == 1 || self.window.kernel[1] == 1;
        if y >= rows || x.checked_add(self.window.kernel[1])? > columns || !one_step {
            return None;
        }
        let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
        self.input.get(at..at.wrapping_add(self.filter.padded_row))
    }

    /// Copies one row of a window tap by tap; zero points, which count as 0, stand for what is outside the image.
    #[inline(never)]
    fn stage(&self, [top, left]: [isize; 2], row: usize, staging: &mut [i8]) -> Result {
        staging.fill(self.zero_point);
        let [rows, columns] = self.window.input;
        let y = top.wrapping_add_unsigned(row.wrapping_mul(self.window.dilation[0]));
        let Some(y) = usize::try_from(y).ok().filter(|y| *y < rows) else { return Ok(()) };
        for (tap, target) in (0..self.window.kernel[1]).zip(staging.chunks_exact_mut(self.channels.max(1))) {
            let x = left.wrapping_add_unsigned(tap.wrapping_mul(self.window.dilation[1]));
            let Some(x) = usize::try_from(x).ok().filter(|x| *x < columns) else { continue };
            let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
            let codes = self.input.get(at..at.wrapping_add(target.len())).ok_or(OutOfBounds)?;
            target.copy_from_slice(codes);
        }
        Ok(())
    }

    /// The window of an output pixel, from its first to its last word, if all of it lies in the image as it is.
    fn whole(&self, [top, left]: [isize; 2]) -> Option<&'a [i8]> {
        let [rows, columns] = self.window.input;
        let (y, x) = (usize::try_from(top).ok()?, usize::try_from(left).ok()?);
        let reach = self.filter.rows.wrapping_sub(1).wrapping_mul(self.window.dilation[0]);
        let one_step = self.window.dilation[1] == 1 || self.window.kernel[1] == 1;
        if y.checked_add(reach)? >= rows || x.checked_add(self.window.kernel[1])? > columns || !one_step {
            return None;
        }
        let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
        let length = reach.wrapping_mul(columns).wrapping_mul(self.channels).wrapping_add(self.filter.padded_row);
        self.input.get(at..at.wrapping_add(length))
    }

    /// Widens the windows of four neighbouring output pixels; `staging` holds four rows, `target` four windows.
    fn widen_block(&self, first: usize, staging: &mut [i8], offsets: u32, target: &mut [u32]) -> Result {
        let padded = self.filter.padded_row;
        let origins = [0, 1, 2, 3].map(|pixel| self.origin(first.wrapping_add(pixel)));
        let windows = origins.map(|origin| self.whole(origin));
        if let [Some(a), Some(b), Some(c), Some(d)] = windows {
            let step = self.window.dilation[0].wrapping_mul(self.window.input[1]).wrapping_mul(self.channels);
            return widen_4([a, b, c, d], [self.filter.rows, padded], step, offsets, target);
        }
        for (row, target) in (0..self.filter.rows).zip(target.chunks_exact_mut(padded.wrapping_mul(2))) {
            let mut rows = origins.map(|origin| self.row(origin, row));
            for ((row_of, origin), slot) in rows.iter().zip(origins).zip(staging.chunks_exact_mut(padded)) {
                if row_of.is_none() {
                    self.stage(origin, row, slot)?;
                }
            }
            for (row_of, slot) in rows.iter_mut().zip(staging.chunks_exact(padded)) {
                row_of.get_or_insert(slot);
            }
            widen_4(rows.map(Option::unwrap_or_default), [1, padded], 0, offsets, target)?;
        }
        Ok(())
    }
}

/// Widens four windows of `rows` rows of `codes` codes, `step` apart, into `target`: two words for each code of one.
fn widen_4(windows: [&[i8]; 4], [rows, codes]: [usize; 2], step: usize, offsets: u32, target: &mut [u32]) -> Result {
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
    // it, and writes `8 * units` words a row, the length of `target`; `units` and `rows` are at least 1. Loads of
    // single words may be unaligned on these cores.
    unsafe { nervelet_widen_4(&raw const sources, target.as_mut_ptr(), codes / 4, offsets, rows, step) };
    Ok(())
}

/// Four output pixels a block, as many blocks at once as the scratch memory holds.
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
    let (block, wide) = (depth.wrapping_mul(2).wrapping_add(1), depth.wrapping_add(12));
    let (staging, rest) =
        scratch.split_at_mut_checked(packing::staging_words(image.window, &image.filter)).ok_or(OutOfBounds)?;
    let staging: &mut [i8] = bytemuck::cast_slice_mut(staging);
    // Weights are widened in memory where that serves two blocks or more.
    let room = rest.len().saturating_sub(wide) / block;
    let (buffer, rest) = rest.split_at_mut_checked(if room >= 2 { wide } else { 0 }).ok_or(OutOfBounds)?;
    let last = count.checked_sub(4).ok_or(OutOfBounds)?;
    let offsets = offsets(layer);
    let mut pixel = 0;
    while pixel < count {
        let mut filled = 0;
        for target in rest.chunks_exact_mut(block) {
            if pixel >= count {
                break;
            }
            // The last block overlaps the one before rather than being a smaller one.
            let first = pixel.min(last);
            let (place, target) = target.split_last_mut().ok_or(OutOfBounds)?;
            image.widen_block(first, staging, offsets, target)?;
            let start = first.wrapping_mul(outputs);
            let codes = output.get_mut(start..start.wrapping_add(outputs.wrapping_mul(4))).ok_or(OutOfBounds)?;
            *place = codes.as_mut_ptr().expose_provenance() as u32;
            filled += 1;
            pixel = first.wrapping_add(4);
        }
        let pixels = rest.get_mut(..block.wrapping_mul(filled)).ok_or(OutOfBounds)?;
        multiply(depth, outputs, layer, pixels, buffer)?;
    }
    Ok(())
}

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
    let Finish { tail, zero_point, bounds } = Finish::of(layer);
    let several = pixels.len() > depth.wrapping_mul(2).wrapping_add(1) && !buffer.is_empty();
    let weights_end = buffer.as_ptr_range().end.addr().wrapping_sub(16);
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
        zero_point,
        buffer: if several { buffer.as_mut_ptr().expose_provenance() } else { depth.wrapping_mul(2) },
        weights_end,
        bounds,
    };
    // SAFETY: `words` is a whole number of records, at least one (outputs >= 2), of `depth` weights for two channels
    // (a multiple of 4, at least 4), as the caller checked against the length of the stream; `pixels` is a whole
    // number of blocks, at least one, of `2 * depth` words and the address of an output. The kernel writes two bytes
    // for each record at that address and at three further multiples of `outputs`: the caller took the addresses from
    // slices of `4 * outputs` bytes, and two times the records is at most `outputs`; for the overlapping record the
    // address has advanced to the last channel and was set back by one. `buffer` takes the `depth + 12` words of a
    // widened record. All words are aligned. The kernel touches nothing else but its stack, and keeps the registers
    // that its callers own.
    unsafe { if several { nervelet_matrix_wide(&raw const frame) } else { nervelet_matrix_narrow(&raw const frame) } }
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
    // What is behind the last row meets weights of zero, but it has to be a number.
    inputs.iter_mut().skip(image.filter.rows.wrapping_mul(padded_row) / 2).for_each(|word| *word = 0);
    let [rows, columns] = image.window.output;
    for (pixel, codes) in (0..rows.wrapping_mul(columns)).zip(output.chunks_exact_mut(outputs)) {
        let origin = image.origin(pixel);
        for (row, target) in (0..image.filter.rows).zip(inputs.chunks_exact_mut(padded_row / 2)) {
            match image.row(origin, row) {
                Some(codes) => super::dot::spread(codes, target),
                None => {
                    image.stage(origin, row, staging)?;
                    super::dot::spread(staging, target);
                }
            }
        }
        let record = layer.packing.layout.record_words(depth);
        let (whole, overlapping) =
            layer.words.split_at_checked((outputs / 2).wrapping_mul(record)).ok_or(OutOfBounds)?;
        run_dense(depth, whole, layer, inputs, codes.get_mut(..outputs & !1).ok_or(OutOfBounds)?);
        if !overlapping.is_empty() {
            let codes = codes.get_mut(outputs.wrapping_sub(2)..).ok_or(OutOfBounds)?;
            run_dense(depth, overlapping, layer, inputs, codes);
        }
    }
    Ok(())
}

fn run_dense(depth: usize, words: &[u32], layer: &PackedLayer<'_>, inputs: &[u32], codes: &mut [i8]) {
    let Finish { tail, zero_point, bounds } = Finish::of(layer);
    let (inputs, codes) = (inputs.as_ptr_range(), codes.as_mut_ptr_range());
    let frame = Dense {
        stream: words.as_ptr(),
        output: codes.start,
        output_end: codes.end,
        inputs: inputs.start,
        inputs_end: inputs.end,
        entry: (depth / 8).wrapping_neg() % DENSE_UNITS,
        tail,
        zero_point,
        bounds,
    };
    // SAFETY: `words` holds one record of `depth` weights for two channels (a multiple of 8, at least 8) for each two
    // bytes of `codes`, an even number and at least two, as the caller cut both; `inputs` is `depth / 2` words.
    unsafe { nervelet_dense(&raw const frame) };
}
