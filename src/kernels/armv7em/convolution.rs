//! Convolutions and dense layers as matrix products: pixels are widened into scratch memory, a few blocks of four at a
//! time or one by one, and all output channels are computed for them.

use super::super::image::{Image, Places};
use super::super::packing::armv7em::Layout;
use super::super::packing::{self, Filter, Records};
use super::super::scaling::Scaling;
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{
    Finish, Matrix, Widen, nervelet_matrix, nervelet_matrix_plain, nervelet_widen, nervelet_widen_plain, offsets,
};
use super::dense::{self, TURNED};
use super::own;

/// Units of 4 weights that the matrix kernels unroll, of 4 codes that widening does.
const MATRIX_UNITS: usize = 4;
const WIDEN_UNITS: usize = 4;
/// Blocks from which on widened weights pay: a record's widening costs what it saves in as many.
const WIDE_BLOCKS: usize = 3;

/// The routines of a layout.
struct Routines {
    widen: unsafe extern "C" fn(*const Widen),
    /// What the codes become; see `widen.s`.
    factor: u32,
    multiply: unsafe extern "C" fn(*const Matrix),
    /// Whether `multiply` may sign-extend a record's weights in memory.
    widens: bool,
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
    let routines = Routines { widen: nervelet_widen, factor: TURNED, multiply: nervelet_matrix, widens: true };
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
        widens: false,
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
    let [rows, columns] = image.window.output;
    let count = rows.wrapping_mul(columns);
    let depth = image.filter.depth;
    let (block, wide) = (depth.wrapping_mul(2).wrapping_add(1), depth.wrapping_add(8 + 2 * Scaling::WORDS));
    let (staging, rest) =
        scratch.split_at_mut_checked(packing::staging_words(image.window, &image.filter)).ok_or(OutOfBounds)?;
    let staging: &mut [i8] = bytemuck::cast_slice_mut(staging);
    // Weights are widened in memory where that serves enough blocks.
    let room = rest.len().saturating_sub(wide) / block;
    let widens = routines.widens && room.min(count.div_ceil(4)) >= WIDE_BLOCKS;
    let (buffer, rest) = rest.split_at_mut_checked(if widens { wide } else { 0 }).ok_or(OutOfBounds)?;
    let mut product = Product { depth, outputs, layer, routine: routines.multiply, buffer };
    let widening = Widening::new(routines, image, outputs)?;
    let room = (rest.len() / block).wrapping_mul(block);
    let last = count.checked_sub(4).ok_or(OutOfBounds)?;
    let mut pixel = 0;
    while pixel < count {
        let mut filled = 0;
        while pixel < count && filled < room {
            // The last block overlaps the one before rather than being a smaller one.
            let first = pixel.min(last);
            let target = rest.get_mut(filled..room).ok_or(OutOfBounds)?;
            let places = output.get_mut(first.wrapping_mul(outputs)..).ok_or(OutOfBounds)?;
            let blocks = widening.blocks_from(first, staging, target, places)?;
            filled = filled.wrapping_add(blocks.wrapping_mul(block));
            pixel = first.wrapping_add(blocks.wrapping_mul(4));
        }
        product.multiply(rest.get_mut(..filled).ok_or(OutOfBounds)?)?;
    }
    Ok(())
}

/// How blocks of four windows are widened.
struct Widening<'a> {
    routines: &'a Routines,
    image: &'a Image<'a>,
    outputs: usize,
    places: Places<'a>,
    /// Bytes from one pixel's window to the next one's.
    pixel_step: usize,
    /// Windows lie in the image, one `pixel_step` apart, from one row of pixels to the next as well.
    in_line: bool,
}

impl<'a> Widening<'a> {
    fn new(routines: &'a Routines, image: &'a Image<'a>, outputs: usize) -> core::result::Result<Self, OutOfBounds> {
        let Window { input, output, stride, padding, .. } = *image.window;
        let places = Places::new(image)?;
        let right = output[1].wrapping_sub(1).wrapping_mul(stride[1]);
        let in_line = stride[0].wrapping_mul(input[1]) == right.wrapping_add(stride[1])
            && padding[1] == 0
            && right < places.columns;
        Ok(Self { routines, image, outputs, places, pixel_step: stride[1].wrapping_mul(image.channels), in_line })
    }

    /// Widens the block of the four output pixels from `first` on, and others behind it where their windows follow, and
    /// writes behind each where its output goes, which is in `output`; returns how many.
    fn blocks_from(
        &self,
        first: usize,
        staging: &mut [i8],
        target: &mut [u32],
        output: &mut [i8],
    ) -> core::result::Result<usize, OutOfBounds> {
        let Self { image, pixel_step, places: Places { row_step, columns, whole: end, .. }, .. } = *self;
        let Filter { rows, padded_row, depth, .. } = image.filter;
        let (starts, whole) = self.places.of_four(first);
        // Windows that lie in the image are widened with all of their rows, and with the blocks that follow.
        let mut count = 1;
        if whole {
            let of_row = image.window.output[1].max(1);
            let (mut pixels, mut span) = (output.len() / self.outputs.max(1), end.wrapping_sub(starts[0]));
            if !self.in_line {
                pixels = of_row.wrapping_sub(first % of_row);
                let [_, left] = image.origin(first);
                span = span.min(columns.wrapping_sub(left as usize).wrapping_mul(image.channels));
            }
            let pixels = pixels.min(span.div_ceil(pixel_step.max(1)));
            count = (pixels / 4).min(target.len() / depth.wrapping_mul(2).wrapping_add(1)).max(1);
        }
        let rows_at_once = if whole { rows } else { 1 };
        let words = rows_at_once.wrapping_mul(padded_row).wrapping_mul(2).wrapping_add(1);
        let place_step = self.outputs.wrapping_mul(4);
        let mut frame = Widen {
            sources: [core::ptr::null(); 4],
            target: core::ptr::null_mut(),
            factor: self.routines.factor,
            row_bytes: padded_row.wrapping_mul(8),
            rows: rows_at_once,
            advance: row_step.wrapping_sub(padded_row),
            blocks: count,
            block_advance: pixel_step
                .wrapping_mul(4)
                .wrapping_sub(rows_at_once.wrapping_sub(1).wrapping_mul(row_step))
                .wrapping_sub(padded_row),
            place: output.as_mut_ptr().expose_provenance(),
            place_step,
            entry: (padded_row / 4).wrapping_neg() % WIDEN_UNITS,
        };
        if padded_row < 4 || !padded_row.is_multiple_of(4) || output.len() / place_step.max(1) < count {
            return Err(OutOfBounds);
        }
        for row in (0..rows).step_by(rows_at_once.max(1)) {
            for (number, (source, start)) in frame.sources.iter_mut().zip(starts).enumerate() {
                let at = start.wrapping_add(row.wrapping_mul(row_step));
                *source = image.input.as_ptr().wrapping_add(at);
                if at >= self.places.row {
                    let slot = number.wrapping_mul(padded_row);
                    let slot = staging.get_mut(slot..slot.wrapping_add(padded_row)).ok_or(OutOfBounds)?;
                    image.stage(image.origin(first.wrapping_add(number)), row, slot)?;
                    *source = slot.as_ptr();
                }
            }
            // Each row has a place of its own behind it: the last one's is right.
            let target = target.get_mut(row.wrapping_mul(padded_row).wrapping_mul(2)..).ok_or(OutOfBounds)?;
            if target.len() / words.max(1) < count {
                return Err(OutOfBounds);
            }
            frame.target = target.as_mut_ptr();
            // SAFETY: reads words, which may be unaligned on these cores, of `padded_row` codes: a row of a window, which
            // ends in the input as its place says, or a slot of `staging`. With several rows at once, the four windows
            // end in the input, as their places say; so they do with several blocks, of which the last pixel's window
            // begins less than `span` behind the first one: all these steps are less than the image and don't wrap. Writes
            // `words` for each of `count` blocks, the last of them the place of four pixels in `output`.
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
            record: buffer.start,
            weights_end: buffer.end.wrapping_sub(2 * Scaling::WORDS),
            bytes: if wide { 0 } else { self.depth.wrapping_mul(2) },
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
#[inline(never)]
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
    for (pixel, codes) in (0..rows.wrapping_mul(columns)).zip(output.chunks_exact_mut(outputs.max(1))) {
        let origin = image.origin(pixel);
        for (row, target) in (0..image.filter.rows).zip(inputs.chunks_exact_mut((padded_row / 2).max(1))) {
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
