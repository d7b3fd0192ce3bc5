//! Dense layers and very small images: inputs are widened, as many at a time as scratch memory holds, for the sums of a
//! group of channels.

use super::super::image::Image;
use super::super::packing::scalar::{SUMS, window_words};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{DENSE, Dense, Entry, Finish, nervelet_dense, nervelet_finish};

/// Words of a record's biases, which the chunk follows.
const BIASES: usize = 2;
/// Words before its weights.
const HEAD: usize = 3;
/// Words of its multipliers, which end it.
const MULTIPLIERS: usize = 4;

/// Int8 convolution with packed weights, pixel by pixel.
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
    let (copy, rest) = scratch.split_at_mut_checked(window_words(window, &filter)).ok_or(OutOfBounds)?;
    let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
    let (sums, segment) = rest.split_at_mut_checked(SUMS).ok_or(OutOfBounds)?;
    let sums: &mut [i32] = bytemuck::cast_slice_mut(sums);
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
        Pixel { layer, record, inputs }.all_channels(sums, segment, codes)?;
    }
    Ok(())
}

/// One row of a dense layer: a convolution of one pixel, without an image.
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
    let (layout, outputs) = (layer.packing.layout, output.len());
    let filter = layout.filter(1, input.len());
    let record = layout.record_words(filter.depth);
    if filter.depth == 0 || outputs < 2 || Some(layer.words.len()) != layout.records(outputs).checked_mul(record) {
        return Err(OutOfBounds);
    }
    let copied = if filter.depth == input.len() { 0 } else { filter.depth / 4 };
    let (copy, rest) = scratch.split_at_mut_checked(copied).ok_or(OutOfBounds)?;
    let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
    let (sums, segment) = rest.split_at_mut_checked(SUMS).ok_or(OutOfBounds)?;
    let inputs = if copied == 0 {
        input
    } else {
        // What is behind the row meets weights of zero.
        let (row, behind) = copy.split_at_mut_checked(input.len()).ok_or(OutOfBounds)?;
        row.copy_from_slice(input);
        behind.fill(0);
        &*copy
    };
    Pixel { layer, record, inputs }.all_channels(bytemuck::cast_slice_mut(sums), segment, output)
}

/// The inputs of one output pixel.
struct Pixel<'a> {
    layer: &'a PackedLayer<'a>,
    /// Words of a record.
    record: usize,
    inputs: &'a [i8],
}

impl Pixel<'_> {
    /// The codes of all channels.
    fn all_channels(&self, sums: &mut [i32], segment: &mut [u32], codes: &mut [i8]) -> Result {
        let whole = self.record.wrapping_mul(codes.len() / 2);
        let (words, overlapping) = self.layer.words.split_at_checked(whole).ok_or(OutOfBounds)?;
        self.channels(words, sums, segment, codes)?;
        // A last record of channels that don't fill it begins earlier.
        let last = codes.get_mut(codes.len().wrapping_sub(2)..).ok_or(OutOfBounds)?;
        self.channels(overlapping, sums, segment, last)
    }

    /// The codes of some records.
    fn channels(&self, words: &[u32], sums: &mut [i32], segment: &mut [u32], codes: &mut [i8]) -> Result {
        let group = SUMS / 2;
        if words.is_empty() {
            return Ok(());
        }
        // Of four inputs there are six words.
        let most = segment.len() / 6 * 4;
        let mut widened = 0;
        for (words, codes) in words.chunks(group.wrapping_mul(self.record)).zip(codes.chunks_mut(SUMS)) {
            let records = words.len() / self.record;
            let sums = sums.get_mut(..records.wrapping_mul(2)).ok_or(OutOfBounds)?;
            for (sums, record) in sums.chunks_exact_mut(2).zip(words.chunks_exact(self.record)) {
                sums.iter_mut().zip(record).for_each(|(sum, bias)| *sum = *bias as i32);
            }
            let mut first = 0;
            for inputs in self.inputs.chunks(most.max(1)) {
                let target = segment.get_mut(..inputs.len() / 4 * 6).ok_or(OutOfBounds)?;
                // If all inputs fit at once, they stay for all groups.
                if widened != self.inputs.len() {
                    widen(inputs, target);
                    widened = inputs.len();
                }
                self.add(words, first, target, sums)?;
                first = first.wrapping_add(inputs.len());
            }
            self.finish(words, sums, codes)?;
        }
        Ok(())
    }

    /// Adds the products of the inputs from `first` on, widened in `inputs`, to the sums of some records.
    fn add(&self, words: &[u32], first: usize, inputs: &[u32], sums: &mut [i32]) -> Result {
        let count = inputs.len() / 6 * 4;
        let start = HEAD.wrapping_add(first / 2);
        let fits = count > 0
            && first.is_multiple_of(4)
            && start.wrapping_add(count / 2).wrapping_add(MULTIPLIERS) <= self.record
            && !sums.is_empty()
            && sums.len() / 2 == words.len() / self.record;
        if !fits {
            return Err(OutOfBounds);
        }
        let Entry { skip, start: constants } = DENSE.entry(count);
        let weights = words.as_ptr().wrapping_add(start);
        let bytes = count.wrapping_mul(2);
        let frame = Dense {
            weights,
            weights_end: weights.wrapping_add(words.len()),
            inputs: inputs.as_ptr(),
            sums: sums.as_mut_ptr(),
            bytes,
            step: self.record.wrapping_mul(4).wrapping_sub(bytes),
            skip,
            start: constants,
            chunk: start.wrapping_sub(BIASES).wrapping_mul(4),
            unused: 0,
        };
        // SAFETY: for each two of `sums`, at least two, there is a record in `words`; of each the kernel reads the
        // chunk, a word before the weights, and the weights for `count` inputs from `first` on (a multiple of 4, at
        // least 4), which end before its multipliers, as checked above. It reads all of `inputs`, six words for each
        // four of `count`, and reads and writes all of `sums`.
        unsafe { nervelet_dense(&raw const frame) };
        Ok(())
    }

    /// Makes codes of the sums of some records.
    fn finish(&self, words: &[u32], sums: &[i32], codes: &mut [i8]) -> Result {
        let start = self.record.checked_sub(MULTIPLIERS).ok_or(OutOfBounds)?;
        // An odd number of channels leaves a code to the overlapping record.
        if sums.is_empty() || codes.len() < sums.len() || sums.len() / 2 != words.len() / self.record {
            return Err(OutOfBounds);
        }
        let range = sums.as_ptr_range();
        let frame = Finish {
            sums: range.start,
            sums_end: range.end,
            multipliers: words.as_ptr().wrapping_add(start),
            output: codes.as_mut_ptr(),
            zero_point: self.layer.output_zero_point,
            step: start.wrapping_mul(4),
        };
        // SAFETY: reads the last four words of a record of `words` for each two of `sums`, of which there are two or
        // more, and writes as many bytes of `codes` as there are sums.
        unsafe { nervelet_finish(&raw const frame) };
        Ok(())
    }
}

/// Widens inputs: of each four the words of two and what their sum starts with, twice.
fn widen(inputs: &[i8], target: &mut [u32]) {
    let (fours, _) = inputs.as_chunks::<4>();
    let (sixes, _) = target.as_chunks_mut::<6>();
    for (four, six) in fours.iter().zip(sixes) {
        let [a, b, c, d] = four.map(i32::from);
        let first = 32_768_i32.wrapping_sub(a.wrapping_add(b).wrapping_mul(0x0080_0080));
        let second = c.wrapping_add(d).wrapping_mul(-0x0080_0080);
        *six = [a, b, first, c, d, second].map(i32::cast_unsigned);
    }
}
