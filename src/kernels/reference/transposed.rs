//! Transposed convolution: every output element gathers the input elements whose window covers it.
//!
//! The window is that of the convolution it transposes: its `input` is the output here and the other way round.

use super::super::{Code, FloatOutput, OutOfBounds, Requantization, Result, WideRequantization, Window};
use super::wide::dot_wide;

/// Sums over the taps of every output element: `dot(sum, input, weights)` over the input channels of each tap.
#[allow(clippy::too_many_arguments, reason = "a kernel's operands and what types differ in")]
#[inline(always)]
fn gather<X, W, A: Copy, O>(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[X],
    weights: &[W],
    output: &mut [O],
    start: impl Fn(usize) -> core::result::Result<A, OutOfBounds>,
    dot: impl Fn(A, &[X], &[W]) -> A,
    finish: impl Fn(usize, A) -> core::result::Result<O, OutOfBounds>,
) -> Result {
    let mut pixels = output.chunks_exact_mut(outputs.max(1));
    for row in 0..window.input[0] {
        for column in 0..window.input[1] {
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            for (channel, value) in pixel.iter_mut().enumerate() {
                let mut sum = start(channel)?;
                for (y, row_tap) in sources(window, 0, row) {
                    for (x, column_tap) in sources(window, 1, column) {
                        let at = y.wrapping_mul(window.output[1]).wrapping_add(x).wrapping_mul(channels);
                        let filter = channel.wrapping_mul(window.kernel[0]).wrapping_add(row_tap);
                        let filter = filter.wrapping_mul(window.kernel[1]).wrapping_add(column_tap);
                        let filter = filter.wrapping_mul(channels);
                        let input = input.get(at..at.wrapping_add(channels)).ok_or(OutOfBounds)?;
                        let weights = weights.get(filter..filter.wrapping_add(channels)).ok_or(OutOfBounds)?;
                        sum = dot(sum, input, weights);
                    }
                }
                *value = finish(channel, sum)?;
            }
        }
    }
    Ok(())
}

/// The input coordinates along an axis that reach an output coordinate, each with its tap.
fn sources(window: &Window, axis: usize, position: usize) -> impl Iterator<Item = (usize, usize)> {
    let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
    let (stride, dilation) = (pick(&window.stride).max(1), pick(&window.dilation));
    let (extent, padded) = (pick(&window.output), position.wrapping_add(pick(&window.padding)));
    (0..pick(&window.kernel)).filter_map(move |tap| {
        let distance = padded.checked_sub(tap.wrapping_mul(dilation))?;
        let source = distance / stride;
        (distance.is_multiple_of(stride) && source < extent).then_some((source, tap))
    })
}

/// Int8 transposed convolution, weights `[out][kernel_rows][kernel_columns][in]`.
pub fn transpose_conv_2d(
    window: &Window,
    channels: [usize; 2],
    input: &[i8],
    weights: &[i8],
    requantization: &Requantization<'_>,
    output: &mut [i8],
) -> Result {
    let start = |channel| requantization.start(channel);
    let dot = |sum: i32, x: &[i8], w: &[i8]| sum.wrapping_add(super::dot(x, w, requantization.input_offset));
    gather(window, channels, input, weights, output, start, dot, |channel, sum| requantization.finish(channel, sum))
}

/// Int16 transposed convolution with int8 weights.
pub fn transpose_conv_2d_i16(
    window: &Window,
    channels: [usize; 2],
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let start = |channel| requantization.start(channel);
    let finish = |channel, sum| requantization.finish(channel, sum).map(i16::saturate);
    gather(window, channels, input, weights, output, start, dot_wide, finish)
}

/// F32 transposed convolution.
pub fn transpose_conv_2d_f32(
    window: &Window,
    channels: [usize; 2],
    input: &[f32],
    weights: &[f32],
    finish: &FloatOutput<'_>,
    output: &mut [f32],
) -> Result {
    let dot = |sum: f32, x: &[f32], w: &[f32]| x.iter().zip(w).fold(sum, |sum, (x, w)| sum + x * w);
    gather(window, channels, input, weights, output, |_| Ok(0.0), dot, |channel, sum| Ok(finish.finish(channel, sum)))
}
