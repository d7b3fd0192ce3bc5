//! Convolutions as matrix products: runs of pixels that are multiplied where they lie, or in rows that are copied into
//! their padding, or put together four at a time.

use super::super::packing::Filter;
use super::super::packing::mve::{LANES, LONGEST_PASS, Layout, SHORT, is_inside, passes, strip_bytes};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{self, Matrix, nervelet_mve_matrix_long, nervelet_mve_matrix_short};
use super::own;

/// Int8 convolution with packed weights.
pub fn conv_2d(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let Window { kernel: [rows, columns], dilation, stride, .. } = *window;
    let filter = layer.packing.layout.filter(rows, columns.wrapping_mul(channels));
    let record = super::record_words(layer, filter.depth, outputs)?;
    let image = Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 };
    let layout = own(layer);
    let product = Product { layer, outputs, record, filter };
    let scratch: &mut [i8] = bytemuck::cast_slice_mut(scratch);
    let row_codes = window.output[1].wrapping_mul(outputs);
    let row_bytes = window.input[1].wrapping_mul(channels);
    let step = stride[1].wrapping_mul(channels);
    let reach = filter.depth / rows.max(1);
    let by_rows = layout == Layout::RowPairs && reach <= LONGEST_PASS * LANES;
    let adjacent = (dilation[1] == 1 || columns == 1) && (rows == 1 || by_rows);

    if adjacent && is_inside(window) {
        // Where whole rows follow each other, they are one.
        let one_run =
            rows == 1 && columns == 1 && stride[0] == 1 && stride[1] == 1 && window.input[1] == window.output[1];
        let runs = if one_run { 1 } else { window.output[0] };
        let count = if one_run { window.output[0].wrapping_mul(window.output[1]) } else { window.output[1] };
        let row_step = row_bytes.wrapping_mul(dilation[0]);
        // The end of the vectors of the first pixel of a run.
        let first_end = rows.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach);
        for row in 0..runs {
            let at = row.wrapping_mul(stride[0]).wrapping_mul(row_bytes);
            let from = input.get(at..).ok_or(OutOfBounds)?;
            // The pixels whose last vector ends in the image; the others are put together.
            let whole =
                from.len().checked_sub(first_end).map_or(0, |room| (room / step.max(1)).wrapping_add(1)).min(count);
            let first = row.wrapping_mul(window.output[1]);
            if whole > 0 {
                let codes = slice(output, first, whole, outputs)?;
                product.run(from, step, whole, row_step, codes)?;
            }
            image.put_together(&product, first.wrapping_add(whole)..first.wrapping_add(count), scratch, output)?;
        }
        return Ok(());
    }
    let strip = strip_bytes(window, channels);
    if adjacent && layout == Layout::RowPairs && scratch.len() >= strip {
        let (strip, _) = scratch.split_at_mut_checked(strip).ok_or(OutOfBounds)?;
        let width = window.padded_input()[1].wrapping_mul(channels);
        assembly::fill(strip, image.zero_point);
        for (row, codes) in output.chunks_exact_mut(row_codes.max(1)).enumerate() {
            image.rows(row, width, strip)?;
            product.run(strip, step, window.output[1], width, codes)?;
        }
        return Ok(());
    }
    image.put_together(&product, 0..window.output[0].wrapping_mul(window.output[1]), scratch, output)
}

/// The codes of some pixels.
fn slice(
    output: &mut [i8],
    first: usize,
    count: usize,
    outputs: usize,
) -> core::result::Result<&mut [i8], OutOfBounds> {
    let start = first.wrapping_mul(outputs);
    output.get_mut(start..start.wrapping_add(count.wrapping_mul(outputs))).ok_or(OutOfBounds)
}

/// The input as the rows of a matrix: one for each output pixel.
struct Image<'a> {
    window: &'a Window,
    channels: usize,
    input: &'a [i8],
    filter: Filter,
    zero_point: i8,
}

impl Image<'_> {
    /// Copies the input rows of an output row between the columns of padding of a strip, whose rows take `width` bytes.
    fn rows(&self, row: usize, width: usize, strip: &mut [i8]) -> Result {
        let Window { input: [rows, columns], stride, padding, dilation, .. } = *self.window;
        let row_bytes = columns.wrapping_mul(self.channels);
        let before = padding[1].wrapping_mul(self.channels).min(width);
        let bytes = row_bytes.min(width.wrapping_sub(before));
        for (tap, target) in strip.chunks_exact_mut(width.max(1)).enumerate().take(self.window.kernel[0]) {
            let (_, target) = target.split_at_mut_checked(before).ok_or(OutOfBounds)?;
            let (target, _) = target.split_at_mut_checked(bytes).ok_or(OutOfBounds)?;
            let y = row.wrapping_mul(stride[0]).wrapping_add(tap.wrapping_mul(dilation[0])).wrapping_sub(padding[0]);
            // Above the image the difference wraps to a large number.
            if y < rows {
                let at = y.wrapping_mul(row_bytes);
                assembly::copy(target, self.input.get(at..at.wrapping_add(bytes)).ok_or(OutOfBounds)?);
            } else {
                assembly::fill(target, self.zero_point);
            }
        }
        Ok(())
    }

    /// Computes pixels from copies of their windows, four at a time.
    fn put_together(
        &self,
        product: &Product<'_>,
        pixels: core::ops::Range<usize>,
        scratch: &mut [i8],
        output: &mut [i8],
    ) -> Result {
        let mut first = pixels.start;
        while first < pixels.end {
            let count = pixels.end.wrapping_sub(first).min(4);
            let depth = self.filter.depth;
            for (pixel, target) in (first..).zip(scratch.chunks_exact_mut(depth).take(count)) {
                self.window_of(pixel, target)?;
            }
            let codes = slice(output, first, count, product.outputs)?;
            let row = depth / self.filter.rows.max(1);
            product.run(scratch, depth, count, row, codes)?;
            first = first.wrapping_add(count);
        }
        Ok(())
    }

    /// Copies the window of a pixel.
    fn window_of(&self, pixel: usize, target: &mut [i8]) -> Result {
        let Window { input: [_, columns], kernel, dilation, output: [_, width], .. } = *self.window;
        let width = width.max(1);
        let (rows, top) = self.window.taps(0, pixel / width);
        let (across, left) = self.window.taps(1, pixel % width);
        if rows.len() != kernel[0] || across.len() != kernel[1] {
            assembly::fill(target, self.zero_point);
        }
        if rows.is_empty() || across.is_empty() {
            return Ok(());
        }
        let at = top.wrapping_mul(columns).wrapping_add(left).wrapping_mul(self.channels);
        let start =
            rows.start.wrapping_mul(self.filter.padded_row).wrapping_add(across.start.wrapping_mul(self.channels));
        let source_step = dilation[0].wrapping_mul(columns).wrapping_mul(self.channels);
        let steps = [self.filter.padded_row, source_step];
        let mut copy = |target_at: usize, source_at: usize, bytes: usize| {
            let target = target.get_mut(target_at..)?;
            assembly::copy_rows(target, self.input.get(source_at..)?, bytes, rows.len(), steps)
        };
        if dilation[1] == 1 {
            return copy(start, at, across.len().wrapping_mul(self.channels)).ok_or(OutOfBounds);
        }
        for tap in 0..across.len() {
            let source_at = at.wrapping_add(tap.wrapping_mul(dilation[1]).wrapping_mul(self.channels));
            copy(start.wrapping_add(tap.wrapping_mul(self.channels)), source_at, self.channels).ok_or(OutOfBounds)?;
        }
        Ok(())
    }
}

/// The matrix that pixels are multiplied with.
struct Product<'a> {
    layer: &'a PackedLayer<'a>,
    outputs: usize,
    /// Words of a record.
    record: usize,
    filter: Filter,
}

impl Product<'_> {
    /// Multiplies `count` pixels that lie `step` bytes apart from the start of `pixels`, their rows `row_step` bytes apart.
    fn run(&self, pixels: &[i8], step: usize, count: usize, row_step: usize, codes: &mut [i8]) -> Result {
        let Filter { rows, depth, .. } = self.filter;
        let rows = if own(self.layer) == Layout::RowPairs { rows } else { 1 };
        let reach = depth / rows.max(1);
        let end = rows.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(reach);
        let end = count.wrapping_sub(1).wrapping_mul(step).wrapping_add(end);
        if count == 0 || rows == 0 || end > pixels.len() || Some(codes.len()) != count.checked_mul(self.outputs) {
            return Err(OutOfBounds);
        }
        // Runs of fewer than four pixels repeat the last, others end with four of which some are computed again.
        let whole = count / 4;
        if whole > 0 {
            // SAFETY: the pixels and codes of `whole` blocks of four were checked above.
            unsafe { self.blocks(pixels.as_ptr(), step, 3, whole, row_step, codes.as_mut_ptr())? };
        }
        if !count.is_multiple_of(4) {
            let first = count.saturating_sub(4);
            let from = pixels.get(first.wrapping_mul(step)..).ok_or(OutOfBounds)?;
            let codes = codes.get_mut(first.wrapping_mul(self.outputs)..).ok_or(OutOfBounds)?;
            // SAFETY: as above: four pixels, or as many as there are.
            unsafe { self.blocks(from.as_ptr(), step, count.wrapping_sub(1).min(3), 1, row_step, codes.as_mut_ptr())? };
        }
        Ok(())
    }

    /// All channels of blocks of four pixels, or of one block that repeats its pixel `last` after it.
    ///
    /// # Safety
    /// The pixels are there: the vectors of each at `row_step` from row to row, `step` from pixel to pixel; and so are
    /// `outputs` codes for each.
    unsafe fn blocks(
        &self,
        pixel: *const i8,
        step: usize,
        last: usize,
        blocks: usize,
        row_step: usize,
        output: *mut i8,
    ) -> Result {
        let Filter { rows, depth, .. } = self.filter;
        let short = own(self.layer) == Layout::FlatPairs && depth <= SHORT * LANES;
        let rows = if own(self.layer) == Layout::RowPairs { rows } else { 1 };
        let row = depth / rows.max(1);
        let [passes, vectors] = passes(row / LANES);
        // A row of several passes is the only one, or follows the one before.
        let pass = vectors.wrapping_mul(LANES);
        let advance = if passes == 1 { row_step.wrapping_sub(pass) } else { 0 };
        let advances = rows.wrapping_mul(passes).wrapping_sub(1);
        if passes > 1 && rows > 1 && row_step != row {
            return Err(OutOfBounds);
        }
        let place = |pixel: usize| pixel.min(last).wrapping_mul(self.outputs);
        let mut distances = [0; 8];
        for (lane, distance) in distances.iter_mut().enumerate() {
            *distance = u16::try_from(place(lane / 2).wrapping_add(lane % 2)).map_err(|_| OutOfBounds)?;
        }
        // A last record of channels that don't fill it begins earlier.
        let pairs = self.outputs / 2;
        let (even, overlapping) =
            self.layer.words.split_at_checked(pairs.wrapping_mul(self.record)).ok_or(OutOfBounds)?;
        for (words, channel) in [(even, 0), (overlapping, self.outputs.wrapping_sub(2))] {
            if words.is_empty() {
                continue;
            }
            let written = words.len() / self.record * 2;
            let stream = words.as_ptr_range();
            let frame = Matrix {
                pixels: [0, 1, 2, 3].map(|at: usize| pixel.wrapping_add(at.min(last).wrapping_mul(step))),
                stream: stream.start,
                stream_end: stream.end,
                output: output.wrapping_add(channel),
                vectors: if short { vectors.wrapping_sub(1) } else { vectors },
                advance,
                back: advances.wrapping_mul(advance.wrapping_add(pass)).wrapping_add(pass),
                any_shift: u32::from(!self.layer.packing.shifts_right),
                zero_point: self.layer.output_zero_point,
                blocks,
                step: step.wrapping_mul(4),
                output_step: self.outputs.wrapping_mul(4).wrapping_sub(written),
                weights_bytes: depth.wrapping_mul(2),
                distances,
            };
            // SAFETY: `words` is a whole number of records of two channels with `depth` weights in `rows * passes` passes
            // of `vectors` vectors, at most those that a kernel unrolls. It reads the pixels that the caller vouches
            // for and writes two codes a record to each of them.
            unsafe {
                if short {
                    nervelet_mve_matrix_short(&raw const frame);
                } else {
                    nervelet_mve_matrix_long(&raw const frame);
                }
            }
        }
        Ok(())
    }
}
