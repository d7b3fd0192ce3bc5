//! Depthwise convolution: tables of taps, one for all pixels whose window lies in the image and one made anew for each
//! pixel at the border, where a row of zero points stands for what is outside.

use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{Depthwise, Finish, nervelet_depthwise, offsets};

/// Pairs of taps that the kernel unrolls.
const PAIRS: usize = 8;

/// Int8 depthwise convolution with packed weights and as many outputs as inputs.
pub fn depthwise_conv_2d(
    window: &Window,
    channels: usize,
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let layout = layer.packing.layout;
    let taps = layout.filter(window.kernel[0], window.kernel[1]).depth;
    let record = layout.record_words(taps);
    if channels < 4 || taps == 0 || Some(layer.words.len()) != layout.records(channels).checked_mul(record) {
        return Err(OutOfBounds);
    }
    let (zeros, rest) = scratch.split_at_mut_checked(channels.div_ceil(4)).ok_or(OutOfBounds)?;
    let (inside, rest) = rest.split_at_mut_checked(taps).ok_or(OutOfBounds)?;
    let (border, _) = rest.split_at_mut_checked(taps).ok_or(OutOfBounds)?;
    zeros.fill(u32::from(layer.input_offset.wrapping_neg() as u8).wrapping_mul(0x0101_0101));
    let zeros: &[i8] = bytemuck::cast_slice(zeros);
    let run = Run { window, channels, input, layer, taps, record };

    // The taps of a window that lies in the image are at the same distances from its first one everywhere.
    let row_bytes = window.input[1].wrapping_mul(channels);
    run.fill(inside, |row, column| {
        let row = row.wrapping_mul(window.dilation[0]).wrapping_mul(row_bytes);
        Some(row.wrapping_add(column.wrapping_mul(window.dilation[1]).wrapping_mul(channels)))
    });
    let columns_inside = run.inside(1);
    let rows_inside = run.inside(0);
    let mut rows = output.chunks_exact_mut(window.output[1].wrapping_mul(channels).max(1));
    for y in 0..window.output[0] {
        let codes = rows.next().ok_or(OutOfBounds)?;
        let mut x = 0;
        while x < window.output[1] {
            let at = x.wrapping_mul(channels);
            if rows_inside.contains(&y) && columns_inside.contains(&x) {
                let count = columns_inside.end.wrapping_sub(x);
                let end = columns_inside.end.wrapping_mul(channels);
                run.pixels_inside([y, x], count, inside, codes.get_mut(at..end).ok_or(OutOfBounds)?)?;
                x = columns_inside.end;
            } else {
                let codes = codes.get_mut(at..at.wrapping_add(channels)).ok_or(OutOfBounds)?;
                run.pixel_at_border([y, x], zeros, border, codes)?;
                x = x.wrapping_add(1);
            }
        }
    }
    Ok(())
}

/// A layer at work.
struct Run<'a> {
    window: &'a Window,
    channels: usize,
    input: &'a [i8],
    layer: &'a PackedLayer<'a>,
    /// Taps with padding to an even number.
    taps: usize,
    /// Words of a record.
    record: usize,
}

impl Run<'_> {
    /// The output positions of an axis whose windows lie in the image.
    fn inside(&self, axis: usize) -> core::ops::Range<usize> {
        let pick = |pair: [usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let (stride, padding) = (pick(self.window.stride).max(1), pick(self.window.padding));
        let reach = pick(self.window.kernel).wrapping_sub(1).wrapping_mul(pick(self.window.dilation));
        let start = padding.div_ceil(stride);
        // The last origin whose window ends in the image, counted with the padding.
        let end = match pick(self.window.input).wrapping_add(padding).checked_sub(reach.wrapping_add(1)) {
            Some(last) => (last / stride).wrapping_add(1).min(pick(self.window.output)),
            None => 0,
        };
        start..end.max(start)
    }

    /// Writes a table of taps in order, the last one twice if their number is odd: its second weight is 0.
    fn fill(&self, table: &mut [u32], distance: impl Fn(usize, usize) -> Option<usize>) -> bool {
        let mut entries = table.iter_mut();
        let mut last = 0;
        let [rows, columns] = self.window.kernel;
        for row in 0..rows {
            for column in 0..columns {
                let (Some(entry), Some(distance)) = (entries.next(), distance(row, column)) else { return false };
                last = distance as u32;
                *entry = last;
            }
        }
        entries.for_each(|entry| *entry = last);
        true
    }

    /// A run of pixels of one row whose windows lie in the image.
    fn pixels_inside(&self, [y, x]: [usize; 2], count: usize, table: &[u32], codes: &mut [i8]) -> Result {
        let Window { stride, padding, dilation, kernel, input: [rows, columns], .. } = *self.window;
        let top = y.wrapping_mul(stride[0]).wrapping_sub(padding[0]);
        let left = x.wrapping_mul(stride[1]).wrapping_sub(padding[1]);
        let at = |row: usize, column: usize| row.wrapping_mul(columns).wrapping_add(column).wrapping_mul(self.channels);
        // The last tap of the last window, with all its channels: every address of the run is below its end.
        let bottom = top.wrapping_add(kernel[0].wrapping_sub(1).wrapping_mul(dilation[0]));
        let steps = count.wrapping_sub(1).wrapping_mul(stride[1]);
        let right = left.wrapping_add(kernel[1].wrapping_sub(1).wrapping_mul(dilation[1])).wrapping_add(steps);
        let fits = top < rows && bottom < rows && left < columns && right < columns && bottom >= top && right >= left;
        let end = at(bottom, right).wrapping_add(self.channels);
        let pixels = self.input.get(at(top, left)..end).filter(|_| fits).ok_or(OutOfBounds)?;
        let step = stride[1].wrapping_mul(self.channels);
        // SAFETY: the windows of `count` pixels lie in `pixels`, as the corner checked above proves.
        unsafe { self.call(pixels.as_ptr(), step, table, count, codes) }
    }

    /// A pixel with taps outside the image.
    fn pixel_at_border(&self, [y, x]: [usize; 2], zeros: &[i8], table: &mut [u32], codes: &mut [i8]) -> Result {
        let Window { stride, padding, dilation, input: [rows, columns], .. } = *self.window;
        let start = self.input.as_ptr();
        let zero = zeros.as_ptr().addr().wrapping_sub(start.addr());
        let filled = self.fill(table, |row, column| {
            let y = y.wrapping_mul(stride[0]).wrapping_add(row.wrapping_mul(dilation[0])).wrapping_sub(padding[0]);
            let x = x.wrapping_mul(stride[1]).wrapping_add(column.wrapping_mul(dilation[1])).wrapping_sub(padding[1]);
            // Above or left of the image the differences wrap to large numbers.
            if y >= rows || x >= columns {
                return Some(zero);
            }
            let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
            self.input.get(at..at.wrapping_add(self.channels)).map(|_| at)
        });
        if !filled || zeros.len() < self.channels {
            return Err(OutOfBounds);
        }
        // SAFETY: every distance in the table leads to `channels` bytes of the input or of the zeros.
        unsafe { self.call(start, 0, table, 1, codes) }
    }

    /// All channels of `count` pixels.
    ///
    /// # Safety
    /// `channels` bytes can be read at every distance of the table from every pixel of the run.
    unsafe fn call(&self, pixel: *const i8, step: usize, table: &[u32], count: usize, codes: &mut [i8]) -> Result {
        if count == 0 || table.len() != self.taps || Some(codes.len()) != count.checked_mul(self.channels) {
            return Err(OutOfBounds);
        }
        let quads = self.channels / 4;
        let (whole, overlapping) =
            self.layer.words.split_at_checked(quads.wrapping_mul(self.record)).ok_or(OutOfBounds)?;
        // A last record of channels that don't fill it begins earlier.
        let last = self.channels.wrapping_sub(4);
        for (words, channel) in [(whole, 0), (overlapping, last)] {
            if words.is_empty() {
                continue;
            }
            let Finish { tail, bounds } = Finish::of(self.layer);
            let (stream, table) = (words.as_ptr_range(), table.as_ptr_range());
            let written = words.len() / self.record * 4;
            let frame = Depthwise {
                stream: stream.start,
                stream_end: stream.end,
                table: table.start,
                table_end: table.end,
                pixel: pixel.wrapping_add(channel),
                pixel_step: step,
                output: codes.as_mut_ptr().wrapping_add(channel),
                output_skip: self.channels.wrapping_sub(written),
                pixels: count,
                entry: (self.taps / 2).wrapping_neg() % PAIRS,
                tail,
                offsets: offsets(self.layer),
                bounds,
            };
            // SAFETY: `words` is a whole number of records of `taps` weights, which is even and at least 2, for four
            // channels, as the caller checked against the length of the stream. The kernel reads the channels
            // `channel..channel + written` of each tap, at most `channels`, where the caller vouches for; it writes
            // as many bytes to each of `count` pixels of `codes`, whose length was checked above.
            unsafe { nervelet_depthwise(&raw const frame) };
        }
        Ok(())
    }
}
