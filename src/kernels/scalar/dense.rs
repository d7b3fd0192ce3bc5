//! Dense layers and very small images: inputs are widened, all at once or as many as scratch memory holds, for the sums of
//! a group of channels.

use core::ops::Range;

use super::super::image::Image;
use super::super::packing::scalar::{SUMS, window_words};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{DENSE, Dense, Entry, nervelet_dense, nervelet_dense_widen};

/// Words before a record's weights: biases and the chunk.
const HEAD: usize = 3;
/// Words of its multipliers, which end it.
const MULTIPLIERS: usize = 4;
/// Words of four widened inputs.
const UNIT: usize = 6;

/// Int8 convolution with packed weights, pixel by pixel.
pub fn conv_2d(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let filter = layer.packing.layout.filter(window.kernel[0], window.kernel[1].wrapping_mul(channels));
    let channel_pairs = ChannelPairs::of(layer, filter.depth, outputs)?;
    let image = Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 };
    let (copy, scratch) = scratch.split_at_mut_checked(window_words(window, &filter)).ok_or(OutOfBounds)?;
    let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
    let pixels = window.output[0].wrapping_mul(window.output[1]);
    for (pixel, codes) in (0..pixels).zip(output.chunks_exact_mut(outputs)) {
        let origin = image.origin(pixel);
        let inputs = if copy.is_empty() {
            image.rows(origin, 0, 1).ok_or(OutOfBounds)?
        } else {
            for (row, target) in (0..filter.rows).zip(copy.chunks_exact_mut(filter.padded_row.max(1))) {
                image.stage(origin, row, target)?;
            }
            &*copy
        };
        channel_pairs.pixel(inputs, scratch, codes)?;
    }
    Ok(())
}

/// One row of a dense layer: a convolution of one pixel, without an image.
#[inline(always)]
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
    ChannelPairs::of(layer, input.len().wrapping_add(3) & !3, output.len())?.pixel(input, scratch, output)
}

/// Records of two channels.
struct ChannelPairs<'a> {
    layer: &'a PackedLayer<'a>,
    /// Words of a record.
    record: usize,
    outputs: usize,
}

impl<'a> ChannelPairs<'a> {
    /// The records of a layer, if they have `depth` weights for each output.
    #[inline(always)]
    fn of(layer: &'a PackedLayer<'a>, depth: usize, outputs: usize) -> core::result::Result<Self, OutOfBounds> {
        let record = (depth / 2).wrapping_add(HEAD + MULTIPLIERS);
        if depth == 0 || outputs < 2 || Some(layer.words.len()) != product(outputs.div_ceil(2), record) {
            return Err(OutOfBounds);
        }
        Ok(Self { layer, record, outputs })
    }

    /// The codes of one pixel from its inputs, with zeros behind them.
    #[inline(always)]
    fn pixel(&self, inputs: &[i8], scratch: &mut [u32], codes: &mut [i8]) -> Result {
        let units = inputs.len().div_ceil(4);
        let (sums, segment) = scratch.split_at_mut_checked(SUMS).ok_or(OutOfBounds)?;
        if segment.len() < units.wrapping_mul(UNIT) {
            return self.in_segments(inputs, sums, segment, codes);
        }
        widen(inputs, segment)?;
        self.multiply(0..self.outputs, 0..units, segment, &mut [], [false; 2], codes)
    }

    /// The same with as many inputs at a time as `segment` holds, and as many outputs as `sums` does.
    #[inline(never)]
    fn in_segments(&self, inputs: &[i8], sums: &mut [u32], segment: &mut [u32], codes: &mut [i8]) -> Result {
        let (units, most) = (inputs.len().div_ceil(4), segment.len() / UNIT);
        let mut first = 0_usize;
        while most > 0 && first < self.outputs {
            let end = first.wrapping_add(SUMS).min(self.outputs);
            // A last channel alone comes with the one before it.
            let outputs = if end.wrapping_sub(first) == 1 { first.wrapping_sub(1)..end } else { first..end };
            let mut start = 0_usize;
            for inputs in inputs.chunks(most.wrapping_mul(4)) {
                let part = start..start.wrapping_add(most).min(units);
                start = part.end;
                widen(inputs, segment)?;
                let goes_on = [part.start > 0, part.end < units];
                self.multiply(outputs.clone(), part, segment, sums, goes_on, codes)?;
            }
            first = end;
        }
        if most > 0 { Ok(()) } else { Err(OutOfBounds) }
    }

    /// Multiplies some fours of inputs, which were widened, with their weights for some outputs. The first output is an even
    /// one, or the last but one. Sums come from `sums` and go there where a layer `goes_on` before and behind these inputs.
    #[inline(always)]
    fn multiply(
        &self,
        outputs: Range<usize>,
        units: Range<usize>,
        widened: &[u32],
        sums: &mut [u32],
        goes_on: [bool; 2],
        codes: &mut [i8],
    ) -> Result {
        let records = outputs.len().div_ceil(2);
        let first = outputs.start.div_ceil(2).wrapping_mul(self.record);
        let words = self.layer.words.get(first..).ok_or(OutOfBounds)?;
        let weights = units.end.wrapping_mul(2).wrapping_add(HEAD + MULTIPLIERS);
        let fits = units.start < units.end
            && units.end <= self.record
            && weights <= self.record
            && widened.len() >= units.len().wrapping_mul(UNIT)
            && outputs.len() >= 2
            && outputs.end <= codes.len()
            && words.len() >= records.wrapping_mul(self.record)
            && (goes_on == [false; 2] || sums.len() >= records.wrapping_mul(2));
        if !fits {
            return Err(OutOfBounds);
        }
        let inputs = widened.as_ptr();
        let stream = words.as_ptr();
        let sums = goes_on.map(|goes_on| if goes_on { sums.as_mut_ptr() } else { core::ptr::null_mut() });
        let Entry { skip, start } = DENSE.entry(units.len().wrapping_mul(4));
        let frame = Dense {
            stream,
            stream_end: stream.wrapping_add((outputs.len() / 2).wrapping_mul(self.record)),
            inputs,
            inputs_end: inputs.wrapping_add(units.len().wrapping_mul(UNIT)),
            offset: units.start.wrapping_mul(8),
            behind: self.record.wrapping_sub(weights).wrapping_mul(4),
            output: codes.as_mut_ptr().wrapping_add(outputs.start),
            zero_point: self.layer.output_zero_point,
            sums,
            odd: (outputs.len() % 2).wrapping_mul(self.record).wrapping_mul(4),
            skip,
            start: start[0],
        };
        // SAFETY: for each two of `outputs`, and for an odd last one with the one before it, there is a record from `stream`
        // on; there are two outputs or more. Of a record the kernel reads what comes before its weights, those of `units`,
        // `offset` bytes behind the first, and its multipliers, `behind` bytes behind these: that is all of the record.
        // It reads six words for each unit, and two sums for each record where they come from `sums`, which it writes
        // where they go there; else it writes the codes of `outputs`, which are in `codes`.
        unsafe { nervelet_dense(&raw const frame) };
        Ok(())
    }
}

/// The product, unless it is too large: most are small, where this takes no long multiplication.
#[inline(always)]
pub fn product(a: usize, b: usize) -> Option<usize> {
    if (a | b) < 1 << 16 { Some(a.wrapping_mul(b)) } else { a.checked_mul(b) }
}

/// Widens inputs: of each four, the last ones with zeros behind, the words of two and what their sum starts with, twice.
#[inline(always)]
fn widen(inputs: &[i8], target: &mut [u32]) -> Result {
    if target.len() < inputs.len().div_ceil(4).wrapping_mul(UNIT) {
        return Err(OutOfBounds);
    }
    // SAFETY: reads all of `inputs` and writes six words for each four of them and for what is left.
    unsafe { nervelet_dense_widen(inputs.as_ptr(), inputs.len(), target.as_mut_ptr()) };
    Ok(())
}
