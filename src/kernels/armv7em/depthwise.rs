//! Depthwise convolution: tables of taps, one for all pixels whose window lies in the image and one made anew for each
//! pixel at the border, where a row of zero points stands for what is outside.

use core::ops::Range;

use super::super::packing::Records;
use super::super::packing::armv7em::Layout;
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{Depthwise, Finish, four_times, nervelet_depthwise, offsets};
use super::own;

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
    let layout = Layout::DepthwiseQuads;
    let taps = layout.filter(window.kernel[0], window.kernel[1]).depth;
    let record = layout.record_words(taps);
    let words = channels.div_ceil(layout.lanes()).checked_mul(record);
    if own(layer) != layout || channels < 4 || taps == 0 || Some(layer.words.len()) != words {
        return Err(OutOfBounds);
    }
    let (zeros, rest) = scratch.split_at_mut_checked(channels.div_ceil(4)).ok_or(OutOfBounds)?;
    let (inside, rest) = rest.split_at_mut_checked(taps).ok_or(OutOfBounds)?;
    let (border, _) = rest.split_at_mut_checked(taps).ok_or(OutOfBounds)?;
    zeros.fill(four_times(layer.input_offset.wrapping_neg()));
    let zeros: &[i8] = bytemuck::cast_slice(zeros);
    let parts = parts(channels, layer, [taps, record])?;
    let mut run = Run { window, channels, input, taps, parts };

    // The taps of a window that lies in the image are at the same distances from its first one everywhere.
    let row_bytes = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    // A pair's second weight is 0 where their number is odd.
    inside.fill(0);
    for (row, entries) in inside.chunks_exact_mut(window.kernel[1].max(1)).take(window.kernel[0]).enumerate() {
        for (column, entry) in entries.iter_mut().enumerate() {
            let column = column.wrapping_mul(window.dilation[1]).wrapping_mul(channels);
            *entry = row.wrapping_mul(row_bytes).wrapping_add(column) as u32;
        }
    }
    let columns_inside = run.inside(1);
    let rows_inside = run.inside(0);
    let mut rows = output.chunks_exact_mut(window.output[1].wrapping_mul(channels).max(1));
    for y in 0..window.output[0] {
        let codes = rows.next().ok_or(OutOfBounds)?;
        let row_taps = run.taps(0, y, &rows_inside);
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
                let column_taps = run.taps(1, x, &columns_inside);
                run.pixel_at_border([&row_taps, &column_taps], zeros, border, codes)?;
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
    /// Taps with padding to an even number.
    taps: usize,
    /// What the kernel is given for whole records, and for a last one that overlaps them.
    parts: [Depthwise; 2],
}

impl Run<'_> {
    /// The output positions of an axis whose windows lie in the image.
    fn inside(&self, axis: usize) -> Range<usize> {
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

    /// The taps in the image at a position, and where the first of them lies; those `inside` have all.
    fn taps(&self, axis: usize, position: usize, inside: &Range<usize>) -> (Range<usize>, usize) {
        if !inside.contains(&position) {
            return self.window.taps(axis, position);
        }
        let pick = |pair: [usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let start = position.wrapping_mul(pick(self.window.stride)).wrapping_sub(pick(self.window.padding));
        (0..pick(self.window.kernel), start)
    }

    /// A run of pixels of one row whose windows lie in the image.
    fn pixels_inside(&mut self, [y, x]: [usize; 2], count: usize, table: &[u32], codes: &mut [i8]) -> Result {
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
    fn pixel_at_border(
        &mut self,
        [(row_taps, top), (column_taps, left)]: [&(Range<usize>, usize); 2],
        zeros: &[i8],
        table: &mut [u32],
        codes: &mut [i8],
    ) -> Result {
        let Window { dilation, input: [_, columns], kernel, .. } = *self.window;
        let start = self.input.as_ptr();
        let zero = zeros.as_ptr().addr().wrapping_sub(start.addr()) as u32;
        let step = dilation[1].wrapping_mul(self.channels);
        let row_step = dilation[0].wrapping_mul(columns).wrapping_mul(self.channels);
        let at = top.wrapping_mul(columns).wrapping_add(*left).wrapping_mul(self.channels);
        let steps = [row_taps.len(), column_taps.len()].map(|taps| taps.saturating_sub(1));
        let last = at.wrapping_add(steps[0].wrapping_mul(row_step)).wrapping_add(steps[1].wrapping_mul(step));
        let inside = self.input.get(last..last.wrapping_add(self.channels)).is_some();
        if zeros.len() < self.channels || !(inside || row_taps.is_empty() || column_taps.is_empty()) {
            return Err(OutOfBounds);
        }
        table.fill(zero);
        let mut place = at;
        for entries in table.chunks_exact_mut(kernel[1].max(1)).skip(row_taps.start).take(row_taps.len()) {
            let mut distance = place;
            for entry in entries.iter_mut().skip(column_taps.start).take(column_taps.len()) {
                *entry = distance as u32;
                distance = distance.wrapping_add(step);
            }
            place = place.wrapping_add(row_step);
        }
        // SAFETY: every distance in the table leads to `channels` bytes of the zeros, or of the input up to the last
        // tap in the image.
        unsafe { self.call(start, 0, table, 1, codes) }
    }

    /// All channels of `count` pixels.
    ///
    /// # Safety
    /// `channels` bytes can be read at every distance of the table from every pixel of the run.
    unsafe fn call(&mut self, pixel: *const i8, step: usize, table: &[u32], count: usize, codes: &mut [i8]) -> Result {
        if count == 0 || table.len() != self.taps || Some(codes.len()) != count.checked_mul(self.channels) {
            return Err(OutOfBounds);
        }
        let table = table.as_ptr_range();
        for (frame, channel) in self.parts.iter_mut().zip([0, self.channels.wrapping_sub(4)]) {
            if frame.stream == frame.stream_end {
                continue;
            }
            (frame.table, frame.table_end) = (table.start, table.end);
            (frame.pixel, frame.pixel_step, frame.pixels) = (pixel.wrapping_add(channel), step, count);
            frame.output = codes.as_mut_ptr().wrapping_add(channel);
            // SAFETY: the stream is a whole number of records of `taps` weights, which is even and at least 2, for four
            // channels, as `parts` cut it. The kernel reads the channels that they are for, from `channel` on and at
            // most `channels`, at each tap, where the caller vouches for; it writes as many bytes to each of `count`
            // pixels of `codes`, whose length was checked above.
            unsafe { nervelet_depthwise(&raw const *frame) };
        }
        Ok(())
    }
}

/// The frames of all whole records, and of a last one that begins earlier because its channels don't fill it; what
/// differs from run to run is missing.
fn parts(
    channels: usize,
    layer: &PackedLayer<'_>,
    [taps, record]: [usize; 2],
) -> core::result::Result<[Depthwise; 2], OutOfBounds> {
    let (whole, last) = layer.words.split_at_checked((channels / 4).wrapping_mul(record)).ok_or(OutOfBounds)?;
    let Finish { tail, bounds } = Finish::of(layer);
    Ok([(whole, channels & !3), (last, 4)].map(|(words, written)| {
        let stream = words.as_ptr_range();
        Depthwise {
            stream: stream.start,
            stream_end: stream.end,
            table: stream.start,
            table_end: stream.start,
            pixel: core::ptr::null(),
            pixel_step: 0,
            output: core::ptr::null_mut(),
            output_skip: channels.wrapping_sub(written),
            pixels: 0,
            entry: (taps / 2).wrapping_neg() % PAIRS,
            tail,
            offsets: offsets(layer),
            bounds,
        }
    }))
}
