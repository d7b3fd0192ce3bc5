//! Int16 dense layers, and convolutions of single windows: all output channels, two at a time.

use core::mem::MaybeUninit;

use super::super::super::{OutOfBounds, Result, WideRequantization};
use super::assembly::{WideWindow, nervelet_wide_order, nervelet_wide_window, nervelet_wide_window_ordered};
use super::convolution::Layer;
use super::{NO_BIAS, exact, range};

/// Units of four inputs that the kernels unroll.
const UNITS: usize = 4;
/// Inputs that are put into the kernel's order, and the outputs from which on that pays.
const ORDERED: usize = 256;
const ORDERED_OUTPUTS: usize = 4;

/// Int16 dense layer over rows of `depth` inputs, weights `[out][depth]`.
pub fn fully_connected_i16(
    depth: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let depth = depth.max(1);
    let outputs = (weights.len() / depth).max(1);
    let layer = Layer { rows: 1, row: depth, input_row: 0, weight_row: depth, filter: depth, weights, requantization };
    if depth > ORDERED || outputs < ORDERED_OUTPUTS {
        let mut rows = input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs));
        return rows.try_for_each(|(row, codes)| layer.window(row, codes, false));
    }
    let mut ordered = [const { MaybeUninit::<u32>::uninit() }; ORDERED / 2];
    for (row, codes) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs)) {
        let target = ordered.as_mut_ptr().cast();
        // SAFETY: reads `depth` elements and writes as many, at most `ORDERED`, which are then the slice.
        let values = unsafe {
            nervelet_wide_order(row.as_ptr(), depth, target);
            core::slice::from_raw_parts(target, depth)
        };
        layer.window(values, codes, true)?;
    }
    Ok(())
}

impl Layer<'_> {
    /// All output channels of the window that begins with `values`; `ordered` are single rows with every whole four in
    /// the order 0 2 1 3, aligned to words.
    pub fn window(&self, values: &[i16], codes: &mut [i16], ordered: bool) -> Result {
        let outputs = codes.len();
        let WideRequantization { bias, mantissas, exponents, .. } = *self.requantization;
        if let [code] = codes {
            // Twice the same channel.
            let (Some(mantissa), Some(exponent)) = (mantissas.first(), exponents.first()) else {
                return Err(OutOfBounds);
            };
            let requantization = &WideRequantization {
                bias: &[self.requantization.start(0)?; 2],
                mantissas: &[*mantissa; 2],
                exponents: &[*exponent; 2],
                ..*self.requantization
            };
            let mut codes = [0; 2];
            Layer { filter: 0, requantization, ..*self }.window(values, &mut codes, ordered)?;
            [*code, _] = codes;
            return Ok(());
        }
        let reach = self.rows.wrapping_sub(1).wrapping_mul(self.input_row).wrapping_add(self.row);
        let lengths = [mantissas.len(), exponents.len(), if bias.is_empty() { outputs } else { bias.len() }];
        let sound = self.reaches(outputs) && reach <= values.len() && lengths.iter().all(|length| *length >= outputs);
        if !sound || outputs < 2 || (ordered && self.rows != 1) {
            return Err(OutOfBounds);
        }
        let (bias, mask) = match bias {
            [] => (NO_BIAS.as_ptr(), 0),
            _ => (bias.as_ptr(), usize::MAX),
        };
        let frame = WideWindow {
            bias,
            mask,
            mantissas: mantissas.as_ptr(),
            exponents: exponents.as_ptr(),
            weights: self.weights.as_ptr(),
            filter: self.filter,
            inputs: values.as_ptr(),
            rows: self.rows,
            units: self.row / 4 * 4,
            rest: self.row % 4,
            advance: self.input_row.wrapping_sub(self.row).wrapping_mul(2),
            skip: self.weight_row.wrapping_sub(self.row),
            output: codes.as_mut_ptr(),
            last: outputs.wrapping_sub(2),
            range: range(self.requantization),
            exact,
            entry: (self.row / 4).wrapping_neg() % UNITS,
        };
        // SAFETY: reads `rows` rows of `row` values and weights for `outputs` channels, two at a time, the
        // last two of which may overlap the ones before; their mantissas, exponents and biases are there, or the
        // two of `NO_BIAS`. Writes as many codes. Ordered values are read in aligned pairs of words.
        unsafe {
            if ordered {
                nervelet_wide_window_ordered(&raw const frame);
            } else {
                nervelet_wide_window(&raw const frame);
            }
        }
        Ok(())
    }
}
