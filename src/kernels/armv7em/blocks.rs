//! The two halves of a matrix product: pixels are widened into scratch memory, some blocks of four at a time, then all
//! output channels are computed for them.

use core::ops::Range;

use super::super::image::{Image, Places};
use super::super::packing::{self, Filter, Records};
use super::super::scaling::Scaling;
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{Finish, Matrix, Widen};
use super::own;

/// Units of 4 weights that the matrix kernels unroll, of 4 codes that widening does.
const MATRIX_UNITS: usize = 4;
const WIDEN_UNITS: usize = 4;
/// Blocks from which on widened weights pay: a record's widening costs what it saves in as many.
const WIDE_BLOCKS: usize = 3;

/// The routines of a layout.
pub struct Routines {
    pub widen: unsafe extern "C" fn(*const Widen),
    /// What the codes become; see `widen.s`.
    pub factor: u32,
    pub multiply: unsafe extern "C" fn(*const Matrix),
    /// Whether `multiply` may sign-extend a record's weights in memory.
    pub widens: bool,
}

/// Blocks of four pixels at work in scratch memory.
pub struct Blocks<'a> {
    /// How many pixels there is room for at once: a multiple of four.
    pub pixels: usize,
    /// Words of a block: its widened pixels and the address of its output.
    block: usize,
    staging: &'a mut [i8],
    blocks: &'a mut [u32],
    /// How much of `blocks` is in use.
    filled: usize,
    product: Product<'a>,
}

impl<'a> Blocks<'a> {
    /// Shares the scratch memory out.
    pub fn new(
        routines: &Routines,
        window: &Window,
        filter: &Filter,
        outputs: usize,
        layer: &'a PackedLayer<'a>,
        scratch: &'a mut [u32],
    ) -> core::result::Result<Self, OutOfBounds> {
        let depth = filter.depth;
        let (block, wide) = (depth.wrapping_mul(2).wrapping_add(1), depth.wrapping_add(8 + 2 * Scaling::WORDS));
        let staging = packing::staging_words(window, filter);
        let (staging, rest) = scratch.split_at_mut_checked(staging).ok_or(OutOfBounds)?;
        // Weights are widened in memory where that serves enough blocks.
        let room = rest.len().saturating_sub(wide) / block;
        let count = window.output[0].wrapping_mul(window.output[1]);
        let widens = routines.widens && room.min(count.div_ceil(4)) >= WIDE_BLOCKS;
        let (buffer, blocks) = rest.split_at_mut_checked(if widens { wide } else { 0 }).ok_or(OutOfBounds)?;
        Ok(Self {
            pixels: (blocks.len() / block).wrapping_mul(4),
            block,
            staging: bytemuck::cast_slice_mut(staging),
            blocks,
            filled: 0,
            product: Product { depth, outputs, layer, routine: routines.multiply, buffer },
        })
    }

    /// Widens the windows of `pixels`, four or more and no more than there is room for. A last block that lacks some overlaps
    /// the one before. The codes of the first pixel go to `output`, an address, and those of the others behind it.
    pub fn widen(&mut self, widening: &Widening<'_>, pixels: Range<usize>, output: usize) -> Result {
        let last = pixels.end.checked_sub(4).filter(|last| *last >= pixels.start).ok_or(OutOfBounds)?;
        let mut pixel = pixels.start;
        self.filled = 0;
        while pixel < pixels.end {
            let first = pixel.min(last);
            let target = self.blocks.get_mut(self.filled..).ok_or(OutOfBounds)?;
            let place = output.wrapping_add(first.wrapping_sub(pixels.start).wrapping_mul(self.product.outputs));
            let blocks = widening.blocks_from(first..pixels.end, self.staging, target, place)?;
            self.filled = self.filled.wrapping_add(blocks.wrapping_mul(self.block));
            pixel = first.wrapping_add(blocks.wrapping_mul(4));
        }
        Ok(())
    }

    /// Computes all output channels of the pixels that were widened last, whose places are the caller's to write.
    pub fn multiply(&mut self) -> Result {
        self.product.multiply(self.blocks.get_mut(..self.filled).ok_or(OutOfBounds)?)
    }
}

/// How blocks of four windows are widened.
pub struct Widening<'a> {
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
    /// How the windows over an image are.
    pub fn new(
        routines: &'a Routines,
        image: &'a Image<'a>,
        outputs: usize,
    ) -> core::result::Result<Self, OutOfBounds> {
        let Window { input, output, stride, padding, .. } = *image.window;
        let places = Places::new(image)?;
        let right = output[1].wrapping_sub(1).wrapping_mul(stride[1]);
        let in_line = stride[0].wrapping_mul(input[1]) == right.wrapping_add(stride[1])
            && padding[1] == 0
            && right < places.columns;
        Ok(Self { routines, image, outputs, places, pixel_step: stride[1].wrapping_mul(image.channels), in_line })
    }

    /// Widens the block of the first four of `pixels`, and others behind it where their windows follow, and writes behind
    /// each where its output goes, `place` for the first; returns how many.
    fn blocks_from(
        &self,
        pixels: Range<usize>,
        staging: &mut [i8],
        target: &mut [u32],
        place: usize,
    ) -> core::result::Result<usize, OutOfBounds> {
        let Self { image, pixel_step, places: Places { row_step, columns, whole: end, .. }, .. } = *self;
        let Filter { rows, padded_row, depth, .. } = image.filter;
        let (first, left) = (pixels.start, pixels.len());
        let (starts, whole) = self.places.of_four(first);
        // Windows that lie in the image are widened with all of their rows, and with the blocks that follow.
        let mut count = 1;
        if whole {
            let of_row = image.window.output[1].max(1);
            let (mut pixels, mut span) = (left, end.wrapping_sub(starts[0]));
            if !self.in_line {
                pixels = pixels.min(of_row.wrapping_sub(first % of_row));
                let [_, column] = image.origin(first);
                span = span.min(columns.wrapping_sub(column as usize).wrapping_mul(image.channels));
            }
            let pixels = pixels.min(span.div_ceil(pixel_step.max(1)));
            count = (pixels / 4).min(target.len() / depth.wrapping_mul(2).wrapping_add(1)).max(1);
        }
        let rows_at_once = if whole { rows } else { 1 };
        let words = rows_at_once.wrapping_mul(padded_row).wrapping_mul(2).wrapping_add(1);
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
            place,
            place_step: self.outputs.wrapping_mul(4),
            entry: (padded_row / 4).wrapping_neg() % WIDEN_UNITS,
        };
        if padded_row < 4 || !padded_row.is_multiple_of(4) || left / 4 < count {
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
        // for each record at that address and at three further multiples of `outputs`: the addresses are those of pixels
        // whose `outputs` bytes the caller of `widen` may write, and two times the records is at most `outputs`; for the overlapping record
        // the address has advanced to the last channel and was set back by one. `buffer` takes the `depth + 14` words of
        // a widened record. All words are aligned. The kernel touches nothing else but its stack, and keeps the
        // registers that its callers own.
        unsafe { (self.routine)(&raw const frame) };
        Ok(())
    }
}
