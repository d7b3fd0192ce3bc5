//! Row-major weights: depthwise windows that planes don't hold, and products of rows.

use super::super::{OutOfBounds, Requantization, Result, Window, reference};
use super::assembly::{self, Taps, nervelet_mve_dot, nervelet_mve_taps};

/// `sum((input + input_offset) * weights)` over pairs.
pub fn dot(input: &[i8], weights: &[i8], input_offset: i32) -> i32 {
    // SAFETY: reads as many codes of both as the shorter one has.
    unsafe { nervelet_mve_dot(input.as_ptr(), weights.as_ptr(), input.len().min(weights.len()), input_offset) }
}

/// Int8 depthwise convolution with as many outputs as inputs.
pub fn depthwise_conv_2d(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i8],
    weights: &[i8],
    requantization: &Requantization<'_>,
    output: &mut [i8],
) -> Result {
    let Requantization { bias, mantissas, exponents, input_offset, output_zero_point, range } = *requantization;
    let taps = window.kernel[0].saturating_mul(window.kernel[1]);
    let elements = |[rows, columns]: [usize; 2]| rows.checked_mul(columns)?.checked_mul(channels);
    // With an offset inputs have 9 bits. Few channels leave most lanes empty.
    let fits = channels >= 4
        && channels == outputs
        && [bias.len(), mantissas.len(), exponents.len()] == [channels; 3]
        && (-127..=128).contains(&input_offset)
        && elements(window.input) == Some(input.len())
        && taps.checked_mul(channels) == Some(weights.len());
    let step = window.dilation[1].wrapping_mul(channels);
    let image_row = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    for y in 0..window.output[0] {
        let (rows, top) = window.taps(0, y);
        for x in 0..window.output[1] {
            let (columns, left) = window.taps(1, x);
            if !fits || rows.is_empty() || columns.is_empty() {
                let channels = [channels, outputs];
                return reference::depthwise_conv_2d(window, channels, input, weights, requantization, output);
            }
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let first = top.wrapping_mul(window.input[1]).wrapping_add(left).wrapping_mul(channels);
            let tap = rows.start.wrapping_mul(window.kernel[1]).wrapping_add(columns.start).wrapping_mul(channels);
            let mut frame = Taps {
                input: input.as_ptr().wrapping_add(first),
                weights: weights.as_ptr().wrapping_add(tap),
                rows: rows.len(),
                columns: columns.len(),
                steps: [step, channels],
                advances: [
                    image_row.wrapping_sub(columns.len().wrapping_mul(step)),
                    window.kernel[1].wrapping_sub(columns.len()).wrapping_mul(channels),
                ],
                input_offset,
                channels,
                bias: bias.as_ptr(),
                mantissas: mantissas.as_ptr(),
                exponents: exponents.as_ptr(),
                output: pixel.as_mut_ptr(),
                zero_point: output_zero_point,
            };
            // SAFETY: reads all channels, at least one, of the taps that lie in the image, at least one, whose length is that
            // of the input, with their weights, biases, mantissas and exponents, and writes the codes of `pixel`.
            unsafe { nervelet_mve_taps(&raw mut frame) };
        }
    }
    assembly::clamp(output, range);
    Ok(())
}
