//! Convolutions and dense layers as matrix products: pixels are widened into scratch memory, a few blocks of four at a
//! time or one by one, and all output channels are computed for them.

use super::super::image::Image;
use super::super::packing::armv7em::Layout;
use super::super::packing::{self, Filter, Records};
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
/// Blocks from which on widened weights pay: a record's widening costs what it saves in as many.
const WIDE_BLOCKS: usize = 5;

/// The routines of a layout.
struct Routines {
    widen: unsafe extern "C" fn(*const Widen),
    /// What the codes become; see `widen.s`.
    factor: u32,
    multiply: unsafe extern "C" fn(*const Matrix),
    /// The same for weights that are sign-extended in memory, if there is one.
    multiply_wide: Option<unsafe extern "C" fn(*const Matrix)>,
}

/// Int8 convolution with packed weights.
pub fn conv_2d(
    window: &Window,
    channels: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let image = image(Layout::SharedRowPairs, window, channels, input, layer)?;
    if !packing::in_blocks(window) {
        return pixels(&image, channels[1], layer, scratch, output);
    }
    let routines = Routines {
        widen: nervelet_widen,
        factor: TURNED,
        multiply: nervelet_matrix,
        multiply_wide: Some(nervelet_matrix_wide),
    };
    in_padding(&routines, &image, channels[1], layer, scratch, output)
}

/// The same for sums that need all bits.
pub fn conv_2d_plain(
    window: &Window,
    channels: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let image = image(Layout::RowPairs, window, channels, input, layer)?;
    let routines = Routines {
        widen: nervelet_widen_plain,
        factor: offsets(layer),
        multiply: nervelet_matrix_plain,
        multiply_wide: None,
    };
    in_padding(&routines, &image, channels[1], layer, scratch, output)
}

/// The windows over the image, for a stream of the length that they ask for.
fn image<'a>(
    layout: Layout,
    window: &'a Window,
    [channels, outputs]: [usize; 2],
    input: &'a [i8],
    layer: &PackedLayer<'_>,
) -> core::result::Result<Image<'a>, OutOfBounds> {
    let filter = layout.filter(window.kernel[0], window.kernel[1].wrapping_mul(channels));
    let words = outputs.div_ceil(2).checked_mul(layout.record_words(filter.depth));
    if own(layer) != layout || filter.depth == 0 || outputs < 2 || Some(layer.words.len()) != words {
        return Err(OutOfBounds);
    }
    Ok(Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 })
}

/// A small image is copied into its padding once, so that every window lies inside.
fn in_padding(
    routines: &Routines,
    image: &Image<'_>,
    outputs: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let Image { window, channels, .. } = *image;
    let words = packing::padded_image_words(window, channels);
    let room = scratch.len() >= own(layer).scratch_words(window, channels).wrapping_add(words);
    let (copy, scratch) = scratch.split_at_mut_checked(if room { words } else { 0 }).ok_or(OutOfBounds)?;
    if copy.is_empty() {
        return blocks(routines, image, outputs, layer, scratch, output);
    }
    let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
    let window = image.pad(copy)?;
    blocks(routines, &Image { window: &window, input: copy, ..*image }, outputs, layer, scratch, output)
}

/// Four output pixels a block, as many blocks at once as the scratch memory holds.
#[inline(never)]
fn blocks(
    routines: &Routines,
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
    // Weights are widened in memory where that serves enough blocks.
    let room = rest.len().saturating_sub(wide) / block;
    let wide_routine = routines.multiply_wide.filter(|_| room.min(count.div_ceil(4)) >= WIDE_BLOCKS);
    let (buffer, rest) = rest.split_at_mut_checked(if wide_routine.is_some() { wide } else { 0 }).ok_or(OutOfBounds)?;
    let mut product = Product { depth, outputs, layer, routine: wide_routine.unwrap_or(routines.multiply), buffer };
    let mut widening = Widening::new(routines, image, outputs, output);
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
        product.multiply(rest.get_mut(..filled).ok_or(OutOfBounds)?)?;
    }
    Ok(())
}

/// Where blocks of four windows are widened from and to.
struct Widening<'a> {
    routines: &'a Routines,
    image: &'a Image<'a>,
    outputs: usize,
    output: &'a mut [i8],
    /// The most that a window's first column in the image is, unless taps are apart.
    last_column: Option<usize>,
    /// Bytes from one pixel's window to the next one's, from one row of a window to the next, and of a window.
    pixel_step: usize,
    row_step: usize,
    reach: usize,
}

impl<'a> Widening<'a> {
    fn new(routines: &'a Routines, image: &'a Image<'a>, outputs: usize, output: &'a mut [i8]) -> Self {
        let Window { input: [_, columns], kernel, dilation, stride, .. } = *image.window;
        let Filter { rows, padded_row, .. } = image.filter;
        let row_step = dilation[0].saturating_mul(columns).saturating_mul(image.channels);
        Self {
            routines,
            image,
            outputs,
            output,
            last_column: columns.checked_sub(kernel[1]).filter(|_| dilation[1] == 1 || kernel[1] == 1),
            pixel_step: stride[1].saturating_mul(image.channels),
            row_step,
            reach: rows.saturating_sub(1).saturating_mul(row_step).saturating_add(padded_row),
        }
    }

    /// Widens the block of the four output pixels from `first` on, and others behind it in their row, and writes behind
    /// each where its output goes; returns how many.
    fn blocks_from(
        &mut self,
        first: usize,
        staging: &mut [i8],
        target: &mut [u32],
    ) -> core::result::Result<usize, OutOfBounds> {
        let Self { image, outputs, row_step, pixel_step, .. } = *self;
        let Window { input: [_, columns], output, padding, stride, .. } = *image.window;
        let Filter { rows, padded_row, depth, .. } = image.filter;
        let origins = [0, 1, 2, 3].map(|pixel| image.origin(first.wrapping_add(pixel)));
        // Where the windows begin, counted from the image's start; far away if their columns leave the image. Rows that
        // leave it lie outside the input, too.
        let starts = origins.map(|[top, left]| {
            let inside = self.last_column.is_some_and(|last| left >= 0 && left.unsigned_abs() <= last);
            let start = top.wrapping_mul(columns as isize).wrapping_add(left) as usize;
            if inside { start.wrapping_mul(image.channels) } else { usize::MAX / 2 }
        });
        let codes = |start: usize, length: usize| image.input.get(start..start.wrapping_add(length));
        // Windows that lie in the image are widened with all of their rows, and so are the blocks that follow.
        let whole = starts.iter().all(|start| codes(*start, self.reach).is_some());
        let mut count = 1;
        if let (true, Some(last)) = (whole, self.last_column) {
            let inside = (last.wrapping_add(padding[1]) / stride[1].max(1)).wrapping_add(1).min(output[1]);
            let room = target.len() / depth.wrapping_mul(2).wrapping_add(1);
            count = (inside.saturating_sub(first % output[1].max(1)) / 4).min(room).max(1);
        }
        let last_start = count.wrapping_mul(4).wrapping_sub(1).saturating_mul(pixel_step);
        if count > 1 && codes(starts[0], last_start.saturating_add(self.reach)).is_none() {
            return Err(OutOfBounds);
        }
        let places = self.output.get_mut(first.wrapping_mul(outputs)..).ok_or(OutOfBounds)?;
        let block_step = pixel_step.wrapping_mul(4);
        let rows_at_once = if whole { rows } else { 1 };
        let words = rows_at_once.wrapping_mul(padded_row).wrapping_mul(2).wrapping_add(1);
        let row_reach = rows_at_once.wrapping_sub(1).wrapping_mul(row_step).wrapping_add(padded_row);
        for row in (0..rows).step_by(rows_at_once.max(1)) {
            let mut sources = starts.map(|start| {
                let codes = codes(start.wrapping_add(row.wrapping_mul(row_step)), padded_row);
                codes.map_or(core::ptr::null(), <[i8]>::as_ptr)
            });
            let slots = staging.chunks_exact_mut(padded_row.max(1));
            for ((source, origin), slot) in sources.iter_mut().zip(origins).zip(slots) {
                if source.is_null() {
                    image.stage(origin, row, slot)?;
                    *source = slot.as_ptr();
                }
            }
            // Each row has a place of its own behind it: the last one's is right.
            let target = target.get_mut(row.wrapping_mul(padded_row).wrapping_mul(2)..).ok_or(OutOfBounds)?;
            let sound = !sources.contains(&core::ptr::null())
                && padded_row >= 4
                && padded_row.is_multiple_of(4)
                && count.checked_mul(words).is_some_and(|words| words <= target.len())
                && count
                    .checked_mul(4)
                    .and_then(|pixels| pixels.checked_mul(outputs))
                    .is_some_and(|end| end <= places.len());
            if !sound {
                return Err(OutOfBounds);
            }
            let frame = Widen {
                sources,
                target: target.as_mut_ptr(),
                factor: self.routines.factor,
                row_bytes: padded_row.wrapping_mul(8),
                rows: rows_at_once,
                advance: row_step.wrapping_sub(padded_row),
                blocks: count,
                block_advance: block_step.wrapping_sub(row_reach),
                place: places.as_mut_ptr().expose_provenance(),
                place_step: outputs.wrapping_mul(4),
                entry: (padded_row / 4).wrapping_neg() % WIDEN_UNITS,
            };
            // SAFETY: reads words, which may be unaligned on these cores, of `padded_row` codes. Those are a row of a
            // window as it was cut from the input or as a slot of `staging` has it; if `whole`, all rows of the four
            // windows lie in the input, and with several blocks the window of the last pixel and so those before, each
            // `pixel_step` behind the one before. Writes `words` for each block, the last of them the place of four
            // pixels in `places`.
            unsafe { (self.routines.widen)(&raw const frame) };
        }
        Ok(count)
    }
}

/// A product of widened pixels with all records.
struct Product<'a> {
    depth: usize,
    outputs: usize,
    layer: &'a PackedLayer<'a>,
    routine: unsafe extern "C" fn(*const Matrix),
    /// Where the weights of a record are widened, if they are.
    buffer: &'a mut [u32],
}

impl Product<'_> {
    /// All output channels of the blocks in `pixels`, each with the address of its output behind it.
    fn multiply(&mut self, pixels: &mut [u32]) -> Result {
        let record = own(self.layer).record_words(self.depth);
        let whole = (self.outputs / 2).wrapping_mul(record);
        let (whole, overlapping) = self.layer.words.split_at_checked(whole).ok_or(OutOfBounds)?;
        self.run(whole, pixels)?;
        if overlapping.is_empty() {
            return Ok(());
        }
        // An odd last channel: its record begins one channel earlier.
        for block in pixels.chunks_exact_mut(self.depth.wrapping_mul(2).wrapping_add(1)) {
            if let Some(place) = block.last_mut() {
                *place = place.wrapping_sub(1);
            }
        }
        self.run(overlapping, pixels)
    }

    #[inline(never)]
    fn run(&mut self, words: &[u32], pixels: &mut [u32]) -> Result {
        if pixels.is_empty() {
            return Err(OutOfBounds);
        }
        let Finish { tail, bounds } = Finish::of(self.layer);
        let (stream, pixels) = (words.as_ptr_range(), pixels.as_mut_ptr_range());
        let wide = !self.buffer.is_empty();
        let buffer = self.buffer.as_mut_ptr_range();
        let frame = Matrix {
            stream: stream.start,
            stream_end: stream.end,
            pixels: pixels.start,
            pixels_end: pixels.end,
            stride: self.outputs,
            entry: (self.depth / 4).wrapping_neg() % MATRIX_UNITS,
            tail,
            buffer: if wide { buffer.start.expose_provenance() } else { self.depth.wrapping_mul(2) },
            weights_end: buffer.end.addr().wrapping_sub(8 * Scaling::WORDS),
            bounds,
        };
        // SAFETY: `words` is a whole number of records, at least one (outputs >= 2), of `depth` weights for two channels
        // (a multiple of 4, at least 4), as `image` checked against the length of the stream; `pixels` is a whole
        // number of blocks, at least one, of `2 * depth` words and the address of an output. The kernel writes two bytes
        // for each record at that address and at three further multiples of `outputs`: `blocks_from` took the addresses
        // from slices of `4 * outputs` bytes, and two times the records is at most `outputs`; for the overlapping record
        // the address has advanced to the last channel and was set back by one. `buffer` takes the `depth + 14` words of
        // a widened record. All words are aligned. The kernel touches nothing else but its stack, and keeps the
        // registers that its callers own.
        unsafe { (self.routine)(&raw const frame) };
        Ok(())
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
