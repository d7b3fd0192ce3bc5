//! Dense layers and very small images: inputs are widened, all at once or as many as scratch memory holds, for the sums of
//! a group of channels.

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
    let image = Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 };
    let (copy, scratch) = scratch.split_at_mut_checked(window_words(window, &filter)).ok_or(OutOfBounds)?;
    let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
    let pixels = window.output[0].wrapping_mul(window.output[1]);
    for (pixel, codes) in (0..pixels).zip(output.chunks_exact_mut(outputs.max(1))) {
        let origin = image.origin(pixel);
        let inputs = if copy.is_empty() {
            image.rows(origin, 0, 1).ok_or(OutOfBounds)?
        } else {
            for (row, target) in (0..filter.rows).zip(copy.chunks_exact_mut(filter.padded_row.max(1))) {
                image.stage(origin, row, target)?;
            }
            &*copy
        };
        in_segments(inputs, layer, scratch, codes)?;
    }
    Ok(())
}

/// One row of a dense layer: a convolution of one pixel, without an image.
#[inline(always)]
pub fn fully_connected(input: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], output: &mut [i8]) -> Result {
    let (units, outputs) = (input.len().wrapping_add(3) / 4, output.len());
    let record = record_words(layer, units, outputs)?;
    let Some(widened) = scratch.get_mut(SUMS..).filter(|segment| segment.len() >= units.wrapping_mul(UNIT)) else {
        return in_segments(input, layer, scratch, output);
    };
    let stream = layer.words.as_ptr();
    let inputs = widened.as_mut_ptr();
    let Entry { skip, start } = DENSE.entry(units.wrapping_mul(4));
    let frame = Dense {
        stream,
        stream_end: stream.wrapping_add((outputs / 2).wrapping_mul(record)),
        inputs,
        inputs_end: inputs.wrapping_add(units.wrapping_mul(UNIT)),
        offset: 0,
        behind: 0,
        output: output.as_mut_ptr(),
        zero_point: layer.output_zero_point,
        sums: [core::ptr::null_mut(); 2],
        odd: (outputs % 2).wrapping_mul(record).wrapping_mul(4),
        skip,
        start: start[0],
    };
    // SAFETY: `widened` has six words for each four inputs and for what is left. For each two outputs, of which there are two
    // or more, and for an odd last one with the one before it, there is a record with weights for all of these, which the
    // kernel reads; it writes the codes of all outputs.
    unsafe {
        nervelet_dense_widen(input.as_ptr(), input.len(), inputs);
        nervelet_dense(&raw const frame);
    }
    Ok(())
}

/// The words of a record with weights for `units` fours of inputs, if a layer has them for each two of its outputs.
#[inline(always)]
fn record_words(layer: &PackedLayer<'_>, units: usize, outputs: usize) -> core::result::Result<usize, OutOfBounds> {
    let record = units.wrapping_mul(2).wrapping_add(HEAD + MULTIPLIERS);
    let fits = units > 0 && outputs >= 2 && Some(layer.words.len()) == product(outputs.div_ceil(2), record);
    fits.then_some(record).ok_or(OutOfBounds)
}

/// The same with as many inputs at a time as scratch memory holds, and, if that is not all, as many outputs as its sums.
#[inline(never)]
fn in_segments(inputs: &[i8], layer: &PackedLayer<'_>, scratch: &mut [u32], codes: &mut [i8]) -> Result {
    let (units, outputs) = (inputs.len().div_ceil(4), codes.len());
    let record = record_words(layer, units, outputs)?;
    let (sums, segment) = scratch.split_at_mut_checked(SUMS).ok_or(OutOfBounds)?;
    let most = segment.len() / UNIT;
    if most == 0 {
        return Err(OutOfBounds);
    }
    let group = if most < units { SUMS } else { outputs };
    let mut first = 0_usize;
    while first < outputs {
        let end = first.wrapping_add(group).min(outputs);
        // A last channel alone comes with the one before it.
        let start = if end.wrapping_sub(first) == 1 { first.wrapping_sub(1) } else { first };
        let count = end.wrapping_sub(start);
        let stream = layer.words.as_ptr().wrapping_add((start.wrapping_add(1) / 2).wrapping_mul(record));
        let mut done = 0_usize;
        for inputs in inputs.chunks(most.wrapping_mul(4)) {
            let part = inputs.len().wrapping_add(3) / 4;
            let left = units.wrapping_sub(done).wrapping_sub(part);
            let place = |goes_on: bool| if goes_on { sums.as_ptr().cast_mut() } else { core::ptr::null_mut() };
            let widened = segment.as_mut_ptr();
            let Entry { skip, start: offsets } = DENSE.entry(part.wrapping_mul(4));
            let frame = Dense {
                stream,
                stream_end: stream.wrapping_add((count / 2).wrapping_mul(record)),
                inputs: widened,
                inputs_end: widened.wrapping_add(part.wrapping_mul(UNIT)),
                offset: done.wrapping_mul(8),
                behind: left.wrapping_mul(8),
                output: codes.as_mut_ptr().wrapping_add(start),
                zero_point: layer.output_zero_point,
                sums: [done > 0, left > 0].map(place),
                odd: (count % 2).wrapping_mul(record).wrapping_mul(4),
                skip,
                start: offsets[0],
            };
            // SAFETY: `segment` has six words for each four of these inputs and for what is left. For each two of `count` outputs, two
            // or more, from an even one on or the last two, and for an odd last one with the one before it, the layer has a
            // record from `stream` on. Of a record the kernel reads what comes before its weights, those of these inputs,
            // `offset` bytes behind the first, and its multipliers, `behind` bytes behind these: that is all of the record.
            // Where inputs are a part there are at most as many outputs as `sums` has words; else the kernel does not touch them.
            // It writes the codes of these outputs.
            unsafe {
                nervelet_dense_widen(inputs.as_ptr(), inputs.len(), widened);
                nervelet_dense(&raw const frame);
            }
            done = done.wrapping_add(part);
        }
        first = end;
    }
    Ok(())
}

/// The product, unless it is too large: most are small, where this takes no long multiplication.
#[inline(always)]
fn product(a: usize, b: usize) -> Option<usize> {
    if (a | b) < 1 << 16 { Some(a.wrapping_mul(b)) } else { a.checked_mul(b) }
}
