//! Bilinear resizing of an image.
//!
//! Codes are weighted in integers with 10 fractional bits an axis and rounded once, halves away from zero (TensorFlow
//! Lite's RESIZE_BILINEAR); f32 values in f32.

use super::super::{Code, OutOfBounds, Result};

/// The extents of input and output, `[rows, columns]`, and the channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extents {
    /// Of the input.
    pub input: [usize; 2],
    /// Of the output.
    pub output: [usize; 2],
    /// Of both.
    pub channels: usize,
}

impl Extents {
    /// Writes what `blend` makes of the four neighbours of every output element; `locate` gives for an output
    /// coordinate along an axis the two input coordinates around it, and a weight for the blend.
    #[inline(always)]
    fn blend<T: Copy, W: Copy>(
        &self,
        input: &[T],
        output: &mut [T],
        locate: impl Fn(usize, usize) -> (usize, usize, W),
        blend: impl Fn([T; 4], W, W) -> T,
    ) -> Result {
        let mut pixels = output.chunks_exact_mut(self.channels.max(1));
        for row in 0..self.output[0] {
            let (above, below, row_weight) = locate(0, row);
            for column in 0..self.output[1] {
                let (left, right, column_weight) = locate(1, column);
                let at = |y: usize, x: usize, channel: usize| {
                    let pixel = y.wrapping_mul(self.input[1]).wrapping_add(x);
                    input.get(pixel.wrapping_mul(self.channels).wrapping_add(channel)).copied().ok_or(OutOfBounds)
                };
                for (channel, value) in pixels.next().ok_or(OutOfBounds)?.iter_mut().enumerate() {
                    let corners = [
                        at(above, left, channel)?,
                        at(above, right, channel)?,
                        at(below, left, channel)?,
                        at(below, right, channel)?,
                    ];
                    *value = blend(corners, row_weight, column_weight);
                }
            }
        }
        Ok(())
    }
}

/// Where output coordinates fall between input coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampling {
    /// The corner elements of input and output meet.
    pub align_corners: bool,
    /// Coordinates are those of the elements' centres.
    pub half_pixel_centers: bool,
}

/// Input and output extents between which the step is measured.
fn steps(sampling: Sampling, input: usize, output: usize) -> (usize, usize) {
    if sampling.align_corners && output > 1 {
        (input.saturating_sub(1), output.saturating_sub(1))
    } else {
        (input, output.max(1))
    }
}

/// Resizes codes.
pub fn resize_bilinear<C: Code>(extents: &Extents, sampling: Sampling, input: &[C], output: &mut [C]) -> Result {
    let locate = |axis: usize, position: usize| {
        let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let last = pick(&extents.input).saturating_sub(1) as i64;
        let (from, to) = steps(sampling, pick(&extents.input), pick(&extents.output));
        let step = (((from as i64) << 10) + to as i64 / 2) / to as i64;
        let centre = if sampling.half_pixel_centers { step / 2 - 512 } else { 0 };
        let scaled = (position as i64).wrapping_mul(step).wrapping_add(centre);
        // The division truncates: just above the first element is the first element.
        let lower = (scaled / 1024).clamp(0, last);
        let upper = (scaled + 1023).div_euclid(1024).clamp(0, last);
        (lower as usize, upper as usize, scaled - (lower << 10))
    };
    extents.blend(input, output, locate, |corners, row, column| {
        let [a, b, c, d] = corners.map(|code| i64::from(code.widen()));
        let sum = (1024 - row) * ((1024 - column) * a + column * b) + row * ((1024 - column) * c + column * d);
        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
        C::saturate(((sum + half) / (1 << 20)) as i32)
    })
}

/// Resizes f32 values.
pub fn resize_bilinear_f32(extents: &Extents, sampling: Sampling, input: &[f32], output: &mut [f32]) -> Result {
    let locate = |axis: usize, position: usize| {
        let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let last = pick(&extents.input).saturating_sub(1);
        let (from, to) = steps(sampling, pick(&extents.input), pick(&extents.output));
        let step = from as f32 / to as f32;
        let at = position as f32;
        let at = if sampling.half_pixel_centers { (at + 0.5) * step - 0.5 } else { at * step };
        // `as` sends what is below 0 to 0.
        let lower = (libm::floorf(at) as usize).min(last);
        let upper = (libm::ceilf(at) as usize).min(last);
        (lower, upper, at - lower as f32)
    };
    extents.blend(input, output, locate, |[a, b, c, d], row, column| {
        (1.0 - row) * ((1.0 - column) * a + column * b) + row * ((1.0 - column) * c + column * d)
    })
}
