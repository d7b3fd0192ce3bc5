//! Int16 depthwise convolution with int8 weights: four channels at a time, along lines of pixels.

use super::super::super::{OutOfBounds, Result, WideRequantization, Window, reference};
use super::assembly::{WideLine, nervelet_wide_line};
use super::patch::Patch;
use super::{NO_BIAS, exact, range};
use crate::fixed::Multiplier;

/// The most taps of a sum of 32 bits: a product is at most 2^22, and 512 of them reach 2^31.
const MOST: usize = 511;

/// Int16 depthwise convolution, weights `[kernel_rows][kernel_columns][channels * multiplier]`.
pub fn depthwise_conv_2d_i16(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let taps = window.kernel[0].saturating_mul(window.kernel[1]);
    if channels != outputs || channels < 4 || taps > MOST {
        return reference::depthwise_conv_2d_i16(window, [channels, outputs], input, weights, requantization, output);
    }
    Patch::each(window, |patch| {
        let [row_taps, column_taps] = &patch.taps;
        let Some(values) = patch.values(channels, input) else {
            return patch.fill(channels, requantization, output);
        };
        let codes = patch.codes(channels, output).ok_or(OutOfBounds)?;
        // From the first tap to the last one's last channel.
        let tap = row_taps.start.wrapping_mul(window.kernel[1]).wrapping_add(column_taps.start);
        let last = row_taps.end.wrapping_sub(1).wrapping_mul(window.kernel[1]).wrapping_add(column_taps.end);
        let weights = weights.get(tap.wrapping_mul(channels)..last.wrapping_mul(channels)).ok_or(OutOfBounds)?;
        // Along rows, or along columns where these are longer.
        let steps = patch.steps(channels, channels);
        let [rows, columns] = patch.extents;
        let ([lines, pixels], [across, along]) =
            if columns >= rows { ([rows, columns], [0, 1]) } else { ([columns, rows], [1, 0]) };
        let pick = |pair: &[usize; 2], axis: usize| if axis == 0 { pair[0] } else { pair[1] };
        let input_step = window.dilation[1].wrapping_mul(channels);
        let input_row = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
        let mut frame = WideLine {
            start: [0; 4],
            factors: [0; 4],
            exact: None,
            bias: NO_BIAS.as_ptr(),
            mantissas: [].as_ptr(),
            exponents: [].as_ptr(),
            inputs: values.as_ptr(),
            weights: weights.as_ptr(),
            columns: column_taps.len(),
            rows: row_taps.len(),
            input_step: input_step.wrapping_mul(2),
            weight_step: channels,
            input_advance: input_row.wrapping_sub(column_taps.len().wrapping_mul(input_step)).wrapping_mul(2),
            weight_advance: window.kernel[1].wrapping_sub(column_taps.len()).wrapping_mul(channels),
            pixel_step: pick(&steps.input, along).wrapping_mul(2),
            pixels,
            output: codes.as_mut_ptr(),
            output_step: pick(&steps.output, along).wrapping_mul(2),
            range: range(requantization),
        };
        let mut channel = 0;
        while channel < channels {
            // The last four channels may overlap the ones before.
            let quad = channel.min(channels.wrapping_sub(4));
            frame.set_channels(requantization, quad, taps)?;
            frame.weights = weights.as_ptr().wrapping_add(quad);
            for line in 0..lines {
                let at = line.wrapping_mul(pick(&steps.input, across)).wrapping_add(quad);
                frame.inputs = values.as_ptr().wrapping_add(at);
                let at = line.wrapping_mul(pick(&steps.output, across)).wrapping_add(quad);
                frame.output = codes.as_mut_ptr().wrapping_add(at);
                // SAFETY: reads four inputs and four weights from `quad <= channels - 4` on at each tap of each pixel,
                // the last of which end with `values` and `weights`; there is at least one tap and one pixel. Writes
                // four codes from `quad` on for each pixel, the last of which end with `codes`. The four biases,
                // mantissas and exponents are those that `set_channels` cut.
                unsafe { nervelet_wide_line(&raw const frame) };
            }
            channel = quad.wrapping_add(4);
        }
        Ok(())
    })
}

impl WideLine {
    /// Takes the scales and biases of four channels whose sums have at most `taps` products.
    fn set_channels(&mut self, requantization: &WideRequantization<'_>, quad: usize, taps: usize) -> Result {
        let four = quad..quad.wrapping_add(4);
        let mantissas = requantization.mantissas.get(four.clone()).ok_or(OutOfBounds)?;
        let exponents = requantization.exponents.get(four.clone()).ok_or(OutOfBounds)?;
        let bias = if requantization.bias.is_empty() { Some(&NO_BIAS[..]) } else { requantization.bias.get(four) };
        let bias = bias.ok_or(OutOfBounds)?;
        (self.bias, self.mantissas, self.exponents) = (bias.as_ptr(), mantissas.as_ptr(), exponents.as_ptr());
        // Below 2^31, whatever the inputs.
        let room = (1_u64 << 31).wrapping_sub((taps as u64) << 22);
        let mut fits = true;
        let channels = mantissas.iter().zip(exponents).zip(bias);
        for (((mantissa, exponent), bias), (start, factor)) in
            channels.zip(self.start.iter_mut().zip(&mut self.factors))
        {
            let scale = Multiplier { mantissa: *mantissa, exponent: *exponent }.wide().of_high_product();
            fits &= scale.is_some() && bias.unsigned_abs() < room;
            (*start, *factor) = (*bias as i32, scale.unwrap_or(0));
        }
        self.exact = if fits { None } else { Some(exact) };
        if !fits {
            self.start = [0; 4];
        }
        Ok(())
    }
}
