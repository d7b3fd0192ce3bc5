//! Depthwise windows of any shape, channels in the lanes of vectors.

use super::super::packing::mve::LANES;
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{Lanes, nervelet_mve_lanes};
use super::windows::{Run, runs};

/// Int8 depthwise convolution with packed weights and as many outputs as inputs.
pub fn depthwise_conv_2d(
    window: &Window,
    channels: usize,
    input: &[i8],
    layer: &PackedLayer<'_>,
    output: &mut [i8],
) -> Result {
    let [height, width] = window.kernel;
    let taps = height.wrapping_mul(width);
    let record = super::record_words(layer, taps, channels)?;
    let weights = taps.wrapping_mul(LANES / 4);
    let codes = |[rows, columns]: [usize; 2]| rows.checked_mul(columns)?.checked_mul(channels);
    if record < weights || codes(window.input) != Some(input.len()) || codes(window.output) != Some(output.len()) {
        return Err(OutOfBounds);
    }
    let records_before_last = channels.div_ceil(LANES).wrapping_sub(1);
    // A filter of a single column is one row of taps, and runs go down an image of a single column.
    let pick = |swap: bool, [rows, columns]: [usize; 2]| if swap { [rows, columns] } else { [columns, rows] };
    let (is_column, down) = (width == 1, window.output[1] == 1);
    let [inner, _] = pick(is_column, window.kernel);
    let steps = [window.input[1].wrapping_mul(channels), channels];
    let [step, row_step] = pick(is_column, [0, 1].map(|axis| window.dilation[axis].wrapping_mul(steps[axis])));
    let [pixel_step, _] = pick(down, [0, 1].map(|axis| window.stride[axis].wrapping_mul(steps[axis])));
    let mut frame = Lanes {
        input: input.as_ptr(),
        output: output.as_mut_ptr(),
        weights: layer.words.as_ptr(),
        scales: layer.words.as_ptr().wrapping_add(weights),
        records_before_last,
        last_step: channels.wrapping_sub(records_before_last.wrapping_mul(LANES)),
        record_bytes: record.wrapping_mul(4),
        pixels: 0,
        pixel_step,
        channels,
        rows: 0,
        columns: 0,
        step,
        advance: 0,
        first_weights: 0,
        skipped_weights: 0,
        mask: (1_u32 << channels.min(LANES)).wrapping_sub(1),
        zero_point: layer.output_zero_point,
        input_zero_point: layer.input_offset.wrapping_neg(),
        skips: 0,
        skipped: [0; 3],
    };
    runs(window, usize::from(!down), |Run { first, pixels, rows, columns, corner }| {
        let ([mut width, mut height], [mut tap, mut tap_row], mut at) = (
            pick(is_column, [rows.len(), columns.len()]),
            pick(is_column, [rows.start, columns.start]),
            corner.wrapping_mul(channels),
        );
        if rows.is_empty() || columns.is_empty() {
            (width, height, tap, tap_row, at) = (0, 1, 0, 0, 0);
        }
        let before_last = height.wrapping_sub(1);
        let reach = before_last.wrapping_mul(row_step).wrapping_add(width.saturating_sub(1).wrapping_mul(step));
        let reach = reach.wrapping_add(pixels.wrapping_sub(1).wrapping_mul(pixel_step)).wrapping_add(channels);
        frame.input = input.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?.as_ptr();
        let start = first.wrapping_mul(channels);
        let codes = output.get_mut(start..start.wrapping_add(pixels.wrapping_mul(channels))).ok_or(OutOfBounds)?;
        frame.output = codes.as_mut_ptr();
        let before = tap_row.wrapping_mul(inner).wrapping_add(tap);
        let between = inner.wrapping_sub(width);
        let inside = before_last.wrapping_mul(inner).wrapping_add(width);
        (frame.pixels, frame.rows, frame.columns) = (pixels, height, width);
        frame.advance = row_step.wrapping_sub(width.wrapping_mul(step));
        frame.first_weights = before.wrapping_mul(LANES);
        frame.skipped_weights = between.wrapping_mul(LANES);
        frame.skips = if width.wrapping_mul(height) == taps { 0 } else { height.wrapping_add(1) };
        frame.skipped = [before, between, taps.wrapping_sub(before).wrapping_sub(inside)];
        frame.weights = layer.words.as_ptr();
        frame.scales = layer.words.as_ptr().wrapping_add(weights);
        frame.records_before_last = records_before_last;
        // SAFETY: the stream is `records_before_last + 1` records of 16 weights for each of `taps` taps, followed by 16 scales
        // of three words. The kernel reads all of them, of the pixels the channels of each record, those that `mask` holds,
        // and writes as many: the first record begins with the first channel, the last one ends with the last. It
        // reads the taps in the image, `width` in each of `height` rows, at least one row: all end in the slice above.
        // It writes all channels of as many pixels as `codes` has. No offset wraps, for all taps lie in an image
        // whose bytes were counted above.
        unsafe { nervelet_mve_lanes(&raw mut frame) };
        Ok(())
    })
}
