//! Depthwise convolution: a table tells where each tap of four pixels lies, made once for all blocks of four inside a
//! row and anew for each at the border, where a row of zero points stands for what is outside.

use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{Depthwise, TAPS, nervelet_depthwise};

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
    let [rows, columns] = window.kernel;
    let (taps, depth) = (rows.wrapping_mul(columns), layout.filter(rows, columns).depth);
    let count = window.output[0].wrapping_mul(window.output[1]);
    let sound = taps > 0
        && channels > 0
        && Some(layer.words.len()) == channels.checked_mul(layout.record_words(depth))
        && input.len() == window.input[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let (zeros, rest) = scratch.split_at_mut_checked(channels.div_ceil(4)).filter(|_| sound).ok_or(OutOfBounds)?;
    zeros.fill(u32::from(layer.input_offset.wrapping_neg() as u8).wrapping_mul(0x0101_0101));
    let zeros: &[i8] = bytemuck::cast_slice(zeros);
    let (inside, rest) = rest.split_at_mut_checked(taps.wrapping_mul(4)).ok_or(OutOfBounds)?;
    let (border, rest) = rest.split_at_mut_checked(taps.wrapping_mul(4)).ok_or(OutOfBounds)?;
    let run = Run { window, channels, input, layer, taps, padding: depth.wrapping_sub(taps) };
    let outside = zeros.as_ptr().addr().wrapping_sub(input.as_ptr().addr());
    let at_border = |place: Option<usize>| Some(place.unwrap_or(outside));
    let Some(last) = count.checked_sub(4) else {
        // Fewer pixels than a block: the last one fills it up.
        let block: &mut [i8] = bytemuck::cast_slice_mut(rest.get_mut(..channels).ok_or(OutOfBounds)?);
        run.fill([0, 1, 2, 3].map(|pixel| count.saturating_sub(1).min(pixel)), border, at_border)?;
        run.call(0, border, block)?;
        output.iter_mut().zip(block).for_each(|(code, computed)| *code = *computed);
        return Ok(());
    };
    let mut pixel = 0;
    let mut known = false;
    while pixel < count {
        let first = pixel.min(last);
        let block = [0, 1, 2, 3].map(|pixel| first.wrapping_add(pixel));
        let start = first.wrapping_mul(channels);
        let codes = output.get_mut(start..start.wrapping_add(channels.wrapping_mul(4))).ok_or(OutOfBounds)?;
        match run.inside(first) {
            Some(at) => {
                // Distances are the same from the first tap of any block that lies in one row.
                if !known {
                    run.fill(block, inside, |place| place.map(|place| place.wrapping_sub(at)))?;
                    known = true;
                }
                run.call(at, inside, codes)?;
            }
            None => {
                run.fill(block, border, at_border)?;
                run.call(0, border, codes)?;
            }
        }
        pixel = first.wrapping_add(4);
    }
    Ok(())
}

/// A layer at work.
struct Run<'a> {
    window: &'a Window,
    channels: usize,
    input: &'a [i8],
    layer: &'a PackedLayer<'a>,
    taps: usize,
    /// Weights behind those of the taps.
    padding: usize,
}

impl Run<'_> {
    /// The input's row and column of an output pixel's first tap; they wrap above and left of the image.
    fn origin(&self, pixel: usize) -> [usize; 2] {
        let Window { output, stride, padding, .. } = self.window;
        let columns = output[1].max(1);
        let row = (pixel / columns).wrapping_mul(stride[0]).wrapping_sub(padding[0]);
        [row, (pixel % columns).wrapping_mul(stride[1]).wrapping_sub(padding[1])]
    }

    /// Where the first channel of a pixel of the image lies.
    fn place(&self, y: usize, x: usize) -> Option<usize> {
        let [rows, columns] = self.window.input;
        let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
        (y < rows && x < columns).then_some(at)
    }

    /// Where the first tap of a block lies, if its four pixels are in one row and all their taps in the image.
    fn inside(&self, first: usize) -> Option<usize> {
        let Window { output, kernel, dilation, .. } = self.window;
        let last = first.wrapping_add(3);
        let columns = output[1].max(1);
        let ([top, left], [bottom, right]) = (self.origin(first), self.origin(last));
        let reach = |axis: usize| -> usize {
            let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
            pick(kernel).wrapping_sub(1).wrapping_mul(pick(dilation))
        };
        let end = self.place(bottom.wrapping_add(reach(0)), right.wrapping_add(reach(1)));
        let start = self.place(top, left);
        start.filter(|_| first / columns == last / columns && end.is_some())
    }

    /// Writes a table: of every tap the distances of four pixels.
    fn fill(&self, pixels: [usize; 4], table: &mut [u32], distance: impl Fn(Option<usize>) -> Option<usize>) -> Result {
        let Window { kernel: [rows, columns], dilation, .. } = *self.window;
        let origins = pixels.map(|pixel| self.origin(pixel));
        let (entries, _) = table.as_chunks_mut::<4>();
        let mut entries = entries.iter_mut();
        for row in 0..rows {
            for column in 0..columns {
                let entry = entries.next().ok_or(OutOfBounds)?;
                for (entry, [top, left]) in entry.iter_mut().zip(origins) {
                    let y = top.wrapping_add(row.wrapping_mul(dilation[0]));
                    let x = left.wrapping_add(column.wrapping_mul(dilation[1]));
                    *entry = distance(self.place(y, x)).ok_or(OutOfBounds)? as u32;
                }
            }
        }
        Ok(())
    }

    /// All channels of a block whose table has distances from `at`.
    fn call(&self, at: usize, table: &[u32], codes: &mut [i8]) -> Result {
        let stream = self.layer.words.as_ptr_range();
        if table.len() != self.taps.wrapping_mul(4) || codes.len() != self.channels.wrapping_mul(4) {
            return Err(OutOfBounds);
        }
        let table = table.as_ptr_range();
        let frame = Depthwise {
            stream: stream.start,
            stream_end: stream.end,
            table: table.start,
            table_end: table.end,
            input: self.input.as_ptr().wrapping_add(at),
            output: codes.as_mut_ptr(),
            stride: self.channels,
            zero_point: self.layer.output_zero_point,
            skip: (TAPS - self.taps % TAPS) % TAPS,
            padding: self.padding,
            unused: 0,
        };
        // SAFETY: the stream is a record for each of `channels`, at least one, with `taps` weights and `padding` bytes
        // behind them, as the caller checked against its length. Every distance of the table leads from `at` to
        // `channels` bytes of the input or of the zeros: inside, the first and the last tap of the block lie in the
        // image, hence all of them; at the border each was looked up. Of every record a byte is written to each of
        // four rows of `channels` bytes, which `codes` has.
        unsafe { nervelet_depthwise(&raw const frame) };
        Ok(())
    }
}
