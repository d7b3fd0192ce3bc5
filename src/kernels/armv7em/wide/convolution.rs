//! Int16 convolutions: an output channel over blocks of four pixels, and single windows where there are fewer.

use core::mem::MaybeUninit;

use super::super::super::{OutOfBounds, Result, WideRequantization, Window, reference};
use super::assembly::{WideBlock, WideBlocks, nervelet_wide_blocks, nervelet_wide_blocks_ready, nervelet_wide_ready};
use super::patch::Patch;
use super::{exact, range};
use crate::fixed::Multiplier;

/// Pairs of inputs that the kernels unroll.
const PAIRS: usize = 4;
/// Blocks of one call.
const BLOCKS: usize = 16;
/// Weights of 16 bits in memory, and the blocks from which on making them pays.
const READY: usize = 192;
const READY_BLOCKS: usize = 3;

/// Int16 convolution, weights `[out][kernel_rows][kernel_columns][in]`.
pub fn conv_2d_i16(
    window: &Window,
    [channels, outputs]: [usize; 2],
    groups: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let rows_are_whole = window.dilation[1] == 1 || window.kernel[1] == 1;
    if groups != 1 || !rows_are_whole || channels == 0 || outputs == 0 {
        return reference::conv_2d_i16(window, [channels, outputs], groups, input, weights, requantization, output);
    }
    let window = &one_row(window);
    let row = window.kernel[1].wrapping_mul(channels);
    let filter = window.kernel[0].wrapping_mul(row);
    let input_row = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    Patch::each(window, |patch| {
        let [row_taps, column_taps] = &patch.taps;
        let Some(values) = patch.values(channels, input) else {
            return patch.fill(outputs, requantization, output);
        };
        let codes = patch.codes(outputs, output).ok_or(OutOfBounds)?;
        let first = row_taps.start.wrapping_mul(row).wrapping_add(column_taps.start.wrapping_mul(channels));
        let layer = Layer {
            rows: row_taps.len(),
            row: column_taps.len().wrapping_mul(channels),
            input_row,
            weight_row: row,
            filter,
            weights: weights.get(first..).ok_or(OutOfBounds)?,
            requantization,
        };
        // Along rows, or along columns where these alone have blocks.
        let steps = patch.steps(channels, outputs);
        let [rows, columns] = patch.extents;
        let by_rows = columns >= 4 || rows < 4;
        let flip = |[a, b]: [usize; 2]| if by_rows { [a, b] } else { [b, a] };
        let ([lines, pixels], input, output) = (flip([rows, columns]), flip(steps.input), flip(steps.output));
        let positions =
            |[a, b]: [usize; 2], [line, pixel]: [usize; 2]| line.wrapping_mul(a).wrapping_add(pixel.wrapping_mul(b));
        if pixels < 4 {
            for line in 0..lines {
                for pixel in 0..pixels {
                    let values = values.get(positions(input, [line, pixel])..).ok_or(OutOfBounds)?;
                    let at = positions(output, [line, pixel]);
                    let codes = codes.get_mut(at..at.wrapping_add(outputs)).ok_or(OutOfBounds)?;
                    layer.window(values, codes, false)?;
                }
            }
            return Ok(());
        }
        let mut blocks = [const { WideBlock { pixel: core::ptr::null(), output: core::ptr::null_mut() } }; BLOCKS];
        let mut count = 0;
        for line in 0..lines {
            let mut pixel = 0;
            while pixel < pixels {
                // The last block overlaps the one before.
                let at = [line, pixel.min(pixels.wrapping_sub(4))];
                if let Some(block) = blocks.get_mut(count) {
                    block.pixel = values.as_ptr().wrapping_add(positions(input, at));
                    block.output = codes.as_mut_ptr().wrapping_add(positions(output, at));
                }
                count = count.wrapping_add(1);
                pixel = pixel.wrapping_add(4);
                if count == BLOCKS || (pixel >= pixels && line.wrapping_add(1) == lines) {
                    // SAFETY: the first pixel of a block is at most the fourth from the end of a line, so that the
                    // last row of the last window ends with `values`, and its last output with `codes`.
                    unsafe { layer.blocks(blocks.get(..count).ok_or(OutOfBounds)?, [input[1], output[1]], outputs)? };
                    count = 0;
                }
            }
        }
        Ok(())
    })
}

/// The part of a layer's filters that meets the image.
pub struct Layer<'a> {
    /// Rows of taps, elements of a row, and elements from one row to the next in inputs and weights.
    pub rows: usize,
    pub row: usize,
    pub input_row: usize,
    pub weight_row: usize,
    /// Weights of an output channel.
    pub filter: usize,
    /// From the first tap of the first channel on.
    pub weights: &'a [i8],
    pub requantization: &'a WideRequantization<'a>,
}

impl Layer<'_> {
    /// Whether `outputs` channels have weights.
    pub fn reaches(&self, outputs: usize) -> bool {
        let last = outputs.checked_sub(1).and_then(|last| last.checked_mul(self.filter));
        let row = self.rows.checked_sub(1).and_then(|last| last.checked_mul(self.weight_row));
        let end = last.zip(row).and_then(|(last, row)| last.checked_add(row)?.checked_add(self.row));
        end.is_some_and(|end| end <= self.weights.len())
    }

    /// All output channels of blocks of pixels, which are `[inputs, outputs]` apart.
    ///
    /// # Safety
    /// From each pixel of the blocks on, `rows` rows of `row` elements can be read and `outputs` codes be written.
    unsafe fn blocks(&self, blocks: &[WideBlock], [input, output]: [usize; 2], outputs: usize) -> Result {
        let mut ready = [const { MaybeUninit::<u32>::uninit() }; READY / 2];
        let count = self.rows.wrapping_mul(self.row);
        let makes_ready = count <= READY && blocks.len() >= READY_BLOCKS;
        let width = if makes_ready { 2 } else { 1 };
        let table = blocks.as_ptr_range();
        let mut frame = WideBlocks {
            start: [0; 4],
            factor: 0,
            mantissa: 0,
            exponent: 0,
            exact,
            weights: ready.as_ptr().cast(),
            rows: self.rows,
            pairs: (self.row / 2).wrapping_mul(2).wrapping_mul(width),
            advance: self.input_row.wrapping_sub(self.row).wrapping_mul(2),
            skip: if makes_ready { 0 } else { self.weight_row.wrapping_sub(self.row) },
            blocks: table.start,
            blocks_end: table.end,
            stride: input.wrapping_mul(2),
            three_strides: input.wrapping_mul(6),
            channel: 0,
            output_stride: output.wrapping_mul(2),
            range: range(self.requantization),
            entry: (self.row / 2).wrapping_neg() % PAIRS,
            after: self.row % 2,
        };
        if !self.reaches(outputs) || blocks.is_empty() {
            return Err(OutOfBounds);
        }
        for channel in 0..outputs {
            frame.start = [self.requantization.start(channel)?; 4];
            let mantissa = *self.requantization.mantissas.get(channel).ok_or(OutOfBounds)?;
            let exponent = *self.requantization.exponents.get(channel).ok_or(OutOfBounds)?;
            (frame.mantissa, frame.exponent) = (mantissa, exponent.into());
            frame.factor = Multiplier { mantissa, exponent }.wide().of_high_product().unwrap_or(-1);
            frame.channel = channel.wrapping_mul(2);
            let weights = self.weights.as_ptr().wrapping_add(channel.wrapping_mul(self.filter));
            if makes_ready {
                let target: *mut i16 = ready.as_mut_ptr().cast();
                for number in 0..self.rows {
                    let from = weights.wrapping_add(number.wrapping_mul(self.weight_row));
                    let to = target.wrapping_add(number.wrapping_mul(self.row));
                    // SAFETY: reads `row` weights, which `reaches` says are there, and writes as many of the `count`
                    // elements that `ready` has room for.
                    unsafe { nervelet_wide_ready(from, self.row, to) };
                }
                frame.weights = target.cast();
                // SAFETY: as below, with weights from `ready`, which has all of them.
                unsafe { nervelet_wide_blocks_ready(&raw const frame) };
            } else {
                frame.weights = weights;
                // SAFETY: reads `rows` rows of `row` elements of the weights, as `reaches` says, and of each pixel, as
                // the caller vouches; there is at least one block. Writes one code of each pixel.
                unsafe { nervelet_wide_blocks(&raw const frame) };
            }
        }
        Ok(())
    }
}

/// The window as it is, or its pixels as one row where they follow each other in the image.
fn one_row(window: &Window) -> Window {
    let Window { input, output, kernel, stride, padding, .. } = *window;
    if kernel == [1; 2] && stride == [1; 2] && padding == [0; 2] && input == output {
        let row = [1, input[0].wrapping_mul(input[1])];
        return Window { input: row, output: row, ..*window };
    }
    *window
}
