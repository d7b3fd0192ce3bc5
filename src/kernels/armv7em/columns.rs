//! Depthwise 3 x 3 with stride 1: bands of rows and columns of four channels are packed into planes, then every
//! channel of a plane is computed.

use super::super::packing::Records;
use super::super::packing::armv7em::{COLUMN_PAIRS, COLUMN_ROWS, Layout};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{
    Columns, Finish, Pack, four_times, nervelet_columns_move, nervelet_columns_pack, nervelet_columns_run, offsets,
};
use super::own;

/// Words of a record: biases, six words of weights for each channel, scales.
const RECORD: usize = 40;

/// Int8 depthwise 3 x 3 convolution with packed weights and as many outputs as inputs.
pub fn depthwise_conv_2d(
    window: &Window,
    channels: usize,
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let [output_rows, output_columns] = window.output;
    let (columns, planes) = planes(window, channels, layer, scratch, [input.len(), output.len()])?;
    let finish = Finish::of(layer);
    for (number, words) in layer.words.chunks_exact(RECORD).enumerate() {
        let channel = layer.packing.layout.first_channel(number, channels);
        let mut top = 0;
        while top < output_rows {
            // At least four rows stay for the last band.
            let rows = match output_rows.wrapping_sub(top) {
                left @ ..=COLUMN_ROWS => left,
                left if left < 28 => 20,
                _ => 24,
            };
            let mut left = 0;
            while left < output_columns {
                let count = columns.wrapping_sub(2).min(output_columns.wrapping_sub(left));
                let band = Band { window, channels, layer, channel, start: [top, left], rows, columns: count };
                // With a single band, columns outside the image stay as the first record left them.
                let clean = number > 0 && rows == output_rows && count == output_columns;
                if left > 0 {
                    // All bands but the last have as many columns: the last two of these are the first two now.
                    let plane = columns.wrapping_mul(COLUMN_PAIRS);
                    let from = columns.wrapping_sub(2).wrapping_mul(COLUMN_PAIRS);
                    // SAFETY: moves two columns of each of the four planes, which have `columns`, at least 3, of them.
                    unsafe { nervelet_columns_move(planes.as_mut_ptr(), from.wrapping_mul(4), plane.wrapping_mul(4)) };
                }
                band.pack(input, planes, if left > 0 { 2 } else { 0 }, clean)?;
                band.run(words, &finish, planes, output)?;
                left = left.wrapping_add(count);
            }
            top = top.wrapping_add(rows);
        }
    }
    Ok(())
}

/// The same with codes that take the place of the inputs: four channels are packed before they are written over.
pub fn depthwise_in_place(
    window: &Window,
    channels: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    codes: &mut [i8],
) -> Result {
    let [rows, columns] = window.output;
    let in_place = own(layer).in_place_words(window, [channels; 2]);
    let (of_planes, planes) = planes(window, channels, layer, scratch, [codes.len(); 2])?;
    if in_place.is_none() || of_planes < columns.wrapping_add(2) {
        return Err(OutOfBounds);
    }
    let finish = Finish::of(layer);
    for (number, words) in layer.words.chunks_exact(RECORD).enumerate() {
        let channel = number.wrapping_mul(4);
        let band = Band { window, channels, layer, channel, start: [0; 2], rows, columns };
        band.pack(codes, planes, 0, number > 0)?;
        band.run(words, &finish, planes, codes)?;
    }
    Ok(())
}

/// The columns of a band, with two more than it has outputs, and its planes in scratch memory; checks the layer.
fn planes<'s>(
    window: &Window,
    channels: usize,
    layer: &PackedLayer<'_>,
    scratch: &'s mut [u32],
    [inputs, outputs]: [usize; 2],
) -> core::result::Result<(usize, &'s mut [u32]), OutOfBounds> {
    let layout = Layout::DepthwiseColumns;
    let elements = |[rows, columns]: [usize; 2]| rows.wrapping_mul(columns).wrapping_mul(channels);
    let columns = (scratch.len() / (4 * COLUMN_PAIRS)).min(window.output[1].wrapping_add(2));
    let sound = own(layer) == layout
        && layout.computes(window)
        && channels >= 4
        && Some(layer.words.len()) == channels.div_ceil(layout.lanes()).checked_mul(RECORD)
        && elements(window.input) == inputs
        && elements(window.output) == outputs
        && columns > 2;
    let planes = scratch.get_mut(..columns.wrapping_mul(4 * COLUMN_PAIRS)).filter(|_| sound).ok_or(OutOfBounds)?;
    Ok((columns, planes))
}

/// A band of output rows and columns of four channels.
struct Band<'a> {
    window: &'a Window,
    channels: usize,
    layer: &'a PackedLayer<'a>,
    /// The first of the four.
    channel: usize,
    /// The first row and column.
    start: [usize; 2],
    rows: usize,
    columns: usize,
}

impl Band<'_> {
    /// Fills the planes with the pairs of rows of `columns + 2` columns but the first `kept`; those outside the image
    /// unless `clean`.
    fn pack(&self, input: &[i8], planes: &mut [u32], kept: usize, clean: bool) -> Result {
        let [rows, columns] = self.window.input;
        let [top, left] = self.start;
        let pairs = self.rows.wrapping_add(3) / 2;
        // Above the image there is at most one row, in the first band.
        let above = self.window.padding[0].saturating_sub(top);
        let first = top.wrapping_add(above).wrapping_sub(self.window.padding[0]);
        let inside = pairs.wrapping_mul(2).wrapping_sub(above).min(rows.checked_sub(first).ok_or(OutOfBounds)?);
        let whole = inside.checked_sub(above).ok_or(OutOfBounds)? / 2;
        let behind = pairs.checked_sub(whole.wrapping_add(above)).ok_or(OutOfBounds)?;
        let odd = inside.wrapping_sub(above) % 2;
        if behind > 1 || pairs > COLUMN_PAIRS || above > 1 {
            return Err(OutOfBounds);
        }
        // The band's columns that are in the image, from the first that is not kept.
        let padding = self.window.padding[1].saturating_sub(left);
        let count = self.columns.wrapping_add(2);
        let start = padding.max(kept);
        let end = columns.wrapping_add(self.window.padding[1]).saturating_sub(left).min(count);
        let plane = planes.len() / 4;
        if !clean && (start > kept || end < count) {
            for plane in planes.chunks_exact_mut(plane.max(1)) {
                plane.get_mut(kept.wrapping_mul(COLUMN_PAIRS)..).ok_or(OutOfBounds)?.fill(0);
            }
        }
        let Some(steps) = end.checked_sub(start).and_then(|columns| columns.checked_sub(1)) else { return Ok(()) };
        let row = columns.wrapping_mul(self.channels);
        let x = left.wrapping_add(start).wrapping_sub(self.window.padding[1]);
        let source = first.wrapping_mul(row).wrapping_add(x.wrapping_mul(self.channels)).wrapping_add(self.channel);
        let behind_source = source
            .wrapping_add(inside.wrapping_sub(1).wrapping_mul(row))
            .wrapping_add(steps.wrapping_mul(self.channels))
            .wrapping_add(4);
        let source = input.get(source..behind_source).filter(|_| inside > 0).ok_or(OutOfBounds)?;
        let target = start.wrapping_mul(COLUMN_PAIRS);
        let behind_target = target
            .wrapping_add(plane.wrapping_mul(3))
            .wrapping_add(steps.wrapping_mul(COLUMN_PAIRS))
            .wrapping_add(pairs);
        let target = planes.get_mut(target..behind_target).ok_or(OutOfBounds)?;
        let mut frame = Pack {
            source: source.as_ptr(),
            target: target.as_mut_ptr(),
            channels: self.channels,
            columns: steps.wrapping_add(1),
            pairs: whole,
            row,
            plane: plane.wrapping_mul(4),
            offsets: offsets(self.layer),
            zeros: four_times(self.layer.input_offset.wrapping_neg()),
            top: above,
            bottom: if behind == 0 { 0 } else { 2_usize.wrapping_sub(odd) },
        };
        // SAFETY: reads four bytes in each of `inside` rows of `steps + 1` columns, `channels` apart: one for the pair with
        // padding above, two for each whole pair, one for the pair with padding below if `odd`, and no more; `source` ends
        // behind the last. Writes `pairs` words for each column, `COLUMN_PAIRS` apart, at `target` and in three further
        // planes; `target` ends behind the last.
        unsafe { nervelet_columns_pack(&raw mut frame) };
        Ok(())
    }

    /// Computes the four channels.
    fn run(&self, words: &[u32], finish: &Finish, planes: &[u32], output: &mut [i8]) -> Result {
        let row = self.window.output[1].wrapping_mul(self.channels);
        let plane = planes.len() / 4;
        let [top, left] = self.start;
        let start = top.wrapping_mul(row).wrapping_add(left.wrapping_mul(self.channels)).wrapping_add(self.channel);
        let reach = self.rows.wrapping_sub(1).wrapping_mul(row);
        let reach = reach.wrapping_add(self.columns.wrapping_sub(1).wrapping_mul(self.channels));
        let codes = output.get_mut(start..start.wrapping_add(reach).wrapping_add(4)).ok_or(OutOfBounds)?;
        // The pairs that a column's rows need.
        let pairs = self.rows.wrapping_add(3) / 2;
        let last = self.columns.wrapping_add(1).wrapping_mul(COLUMN_PAIRS).wrapping_add(pairs);
        if words.len() != RECORD || plane < last || self.columns == 0 || self.rows < 4 {
            return Err(OutOfBounds);
        }
        let frame = Columns {
            stream: words.as_ptr(),
            plane: planes.as_ptr(),
            output: codes.as_mut_ptr(),
            plane_step: plane.wrapping_mul(4),
            channels: self.channels,
            row,
            // Two rows are a pair, a pair is four bytes.
            steps: (self.rows & !3).wrapping_mul(2),
            rest: self.rows & 3,
            columns: self.columns,
            tail: finish.tail,
            bounds: finish.bounds,
        };
        // SAFETY: reads the `RECORD` words of a record; of each of the four planes and of each of its `columns + 2` columns,
        // `COLUMN_PAIRS` words apart, the first `pairs`, the last of which is `last - 1`. Writes one byte for each of the
        // four channels to each of `rows` rows, at least 4, and of `columns` columns, the last of which are the last four
        // bytes of `codes`.
        unsafe { nervelet_columns_run(&raw const frame) };
        Ok(())
    }
}
