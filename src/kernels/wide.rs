//! Layers on int16 activations with row-major int8 weights, for cores whose kernels have sums of 32 bits.
//!
//! Output pixels with the same taps inside the image are computed together, four at a time, wherever they lie: the inside
//! of an image, each of its borders, each corner. What the sums or the kernel's arithmetic could not hold takes the
//! reference.

#![expect(unsafe_code, reason = "cores have these kernels in assembly")]

use core::ops::Range;

use super::{Code, OutOfBounds, Result, WideRequantization, Window, reference};

/// The most products of a sum: a product is at most 2^22, and 480 of them with a bias below 2^27 stay below 2^31.
const MOST: usize = 480;
/// What biases are below.
const BIAS: i64 = 1 << 27;

/// What a core's kernel is given: all output channels of four pixels. The kernel may write to it.
#[repr(C)]
#[derive(Debug)]
pub struct Pixels {
    /// The first tap of each pixel, and where its codes go.
    pub pixels: [*const i16; 4],
    /// See above.
    pub outputs: [*mut i16; 4],
    /// The weights of the first tap.
    pub weights: *const i8,
    /// Rows of taps.
    pub rows: usize,
    /// Products of a row.
    pub row: usize,
    /// Bytes from the end of a row, rounded up to whole vectors, to the next one's start, in inputs and weights.
    pub steps: [usize; 2],
    /// Bytes from the end of the last row to the next channel's start.
    pub next_channel: usize,
    /// Of one channel the low word of an i64.
    pub bias: *const i64,
    /// Bytes from one bias to the next.
    pub bias_step: usize,
    /// Below `0x7FFF_0000`.
    pub mantissas: *const i32,
    /// In `-30..=-2`.
    pub exponents: *const i8,
    /// At least 1.
    pub channels: usize,
    /// For the kernel to use.
    pub unused: usize,
}

/// What a core's kernels are given for one pixel: fours of output channels. They may write to it.
#[repr(C)]
#[derive(Debug)]
pub struct Channels {
    /// The first channel's inputs, weights and code.
    pub input: *const i16,
    /// See above.
    pub weights: *const i8,
    /// See above.
    pub output: *mut i16,
    /// Of one channel the low word of an i64, then the next channel's after a number of bytes; four can be read.
    pub bias: *const i64,
    /// See above.
    pub bias_step: usize,
    /// As above.
    pub mantissas: *const i32,
    /// As above.
    pub exponents: *const i8,
    /// Taps of a row, or products of a dense layer.
    pub columns: usize,
    /// Rows of taps.
    pub rows: usize,
    /// Bytes from tap to tap, in inputs and weights.
    pub steps: [usize; 2],
    /// The same from behind a row to the next one's start.
    pub advances: [usize; 2],
    /// Fours of channels, at least 1.
    pub quads: usize,
    /// For the kernel to use.
    pub unused: usize,
}

/// A core's kernels.
#[derive(Debug, Clone, Copy)]
pub struct Kernels {
    /// Computes all channels of four pixels.
    pub pixels: unsafe extern "C" fn(*mut Pixels),
    /// What rows of products are rounded up to for that.
    pub lanes: usize,
    /// Computes fours of channels with inputs of their own.
    pub taps: unsafe extern "C" fn(*mut Channels),
    /// Computes fours of channels that share their inputs.
    pub dense: unsafe extern "C" fn(*mut Channels),
}

/// A core with such kernels.
pub trait Wide {
    /// They.
    const KERNELS: Kernels;
}

/// Elements of an image.
fn elements([rows, columns]: [usize; 2], channels: usize) -> Option<usize> {
    rows.checked_mul(columns)?.checked_mul(channels)
}

/// Whether sums of `count` products have the form of the kernel.
fn is_narrow(requantization: &WideRequantization<'_>, count: usize, channels: usize) -> bool {
    let WideRequantization { bias, mantissas, exponents, .. } = requantization;
    (1..=MOST).contains(&count)
        && channels > 0
        && (bias.is_empty() || bias.len() == channels)
        && bias.iter().all(|bias| (1 - BIAS..BIAS).contains(bias))
        && mantissas.len() == channels
        && mantissas.iter().all(|mantissa| *mantissa < 0x7FFF_0000)
        && exponents.len() == channels
        && exponents.iter().all(|exponent| (-30..=-2).contains(exponent))
}

/// Brings codes into the range of a fused activation.
fn clamp(output: &mut [i16], range: [i32; 2]) {
    if range != i16::RANGE {
        let [low, high] = range;
        output.iter_mut().for_each(|code| *code = i16::saturate(i32::from(*code).min(high).max(low)));
    }
}

/// Positions of one axis of the output that have the same taps in the image.
struct Run {
    positions: Range<usize>,
    taps: Range<usize>,
    /// The input coordinate of the first position's first tap.
    start: usize,
}

/// An axis of the output in runs.
fn runs(window: &Window, axis: usize) -> impl Iterator<Item = Run> {
    let end = if axis == 0 { window.output[0] } else { window.output[1] };
    let mut position = 0;
    core::iter::from_fn(move || {
        let first = position;
        let (taps, start) = window.taps(axis, first);
        while position < end && window.taps(axis, position).0 == taps {
            position = position.wrapping_add(1);
        }
        (first < position).then_some(Run { positions: first..position, taps, start })
    })
}

/// Int16 convolution, weights `[out][kernel_rows][kernel_columns][in]`.
pub fn conv_2d_i16<W: Wide>(
    window: &Window,
    [channels, outputs]: [usize; 2],
    groups: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let filter = window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(channels);
    let fits = groups == 1
        && window.dilation[1] == 1
        && is_narrow(requantization, filter, outputs)
        && elements(window.input, channels) == Some(input.len())
        && elements(window.output, outputs) == Some(output.len())
        && filter.checked_mul(outputs) == Some(weights.len());
    let computed = fits && {
        let layer = Layer { kernels: W::KERNELS, window, channels, outputs, input, weights, requantization };
        runs(window, 0).all(|rows| runs(window, 1).all(|columns| layer.region(&rows, &columns, output).is_some()))
    };
    if !computed {
        return reference::conv_2d_i16(window, [channels, outputs], groups, input, weights, requantization, output);
    }
    clamp(output, requantization.range);
    Ok(())
}

/// A convolution whose slices have the lengths that its window says.
struct Layer<'a> {
    kernels: Kernels,
    window: &'a Window,
    channels: usize,
    outputs: usize,
    input: &'a [i16],
    weights: &'a [i8],
    requantization: &'a WideRequantization<'a>,
}

impl Layer<'_> {
    /// All pixels of a rectangle, unless they have no taps.
    fn region(&self, rows: &Run, columns: &Run, output: &mut [i16]) -> Option<()> {
        let Self { window, channels, outputs, requantization, .. } = *self;
        let (height, width) = (rows.positions.len(), columns.positions.len());
        let (row, taps) = (columns.taps.len().wrapping_mul(channels), rows.taps.len());
        if taps == 0 || row == 0 {
            return None;
        }
        let padded = row.next_multiple_of(self.kernels.lanes.max(1));
        let kernel_row = window.kernel[1].wrapping_mul(channels);
        let filter = window.kernel[0].wrapping_mul(kernel_row);
        let image_row = window.input[1].wrapping_mul(channels);
        let (bias, bias_step) = bias_of(requantization, 0);
        let first_weight =
            rows.taps.start.wrapping_mul(kernel_row).wrapping_add(columns.taps.start.wrapping_mul(channels));
        let behind_last_row = taps.wrapping_sub(1).wrapping_mul(kernel_row).wrapping_add(padded);
        let count = height.wrapping_mul(width);
        let mut pixel = 0;
        while pixel < count {
            // The last block overlaps the one before; too few pixels are repeated.
            let first = pixel.min(count.saturating_sub(4));
            let (mut y, mut x) = (first / width, first % width);
            let mut frame = Pixels {
                pixels: [self.input.as_ptr(); 4],
                outputs: [output.as_mut_ptr(); 4],
                weights: self.weights.as_ptr().wrapping_add(first_weight),
                rows: taps,
                row,
                steps: [
                    window.dilation[0].wrapping_mul(image_row).wrapping_sub(padded).wrapping_mul(2),
                    kernel_row.wrapping_sub(padded),
                ],
                next_channel: filter.wrapping_sub(behind_last_row),
                bias,
                bias_step,
                mantissas: requantization.mantissas.as_ptr(),
                exponents: requantization.exponents.as_ptr(),
                channels: outputs,
                unused: 0,
            };
            for (input, output) in frame.pixels.iter_mut().zip(&mut frame.outputs) {
                let top = rows.start.wrapping_add(y.wrapping_mul(window.stride[0]));
                let left = columns.start.wrapping_add(x.wrapping_mul(window.stride[1]));
                *input = input.wrapping_add(top.wrapping_mul(image_row).wrapping_add(left.wrapping_mul(channels)));
                let place = rows.positions.start.wrapping_add(y).wrapping_mul(window.output[1]);
                *output = output
                    .wrapping_add(place.wrapping_add(columns.positions.start).wrapping_add(x).wrapping_mul(outputs));
                let last = y.wrapping_add(1) == height && x.wrapping_add(1) == width;
                if !last {
                    x = x.wrapping_add(1);
                    if x == width {
                        (y, x) = (y.wrapping_add(1), 0);
                    }
                }
            }
            // SAFETY: every pixel is one of the output, and its taps lie in the image, as `runs` found for all positions of a
            // run; so the kernel reads of each pixel `rows` rows of `row` elements of the input, whose length is that of the
            // image, and of the weights those of the same taps of `outputs` channels, of which there are as many. Of each channel
            // it reads a bias, a mantissa and an exponent, in their ranges, and writes a code of each pixel.
            unsafe { (self.kernels.pixels)(&raw mut frame) };
            pixel = first.wrapping_add(4);
        }
        Some(())
    }
}

/// Bytes between neighbouring biases, and none where there are none.
fn bias_of(requantization: &WideRequantization<'_>, channel: usize) -> (*const i64, usize) {
    static NONE: [i64; 4] = [0; 4];
    match requantization.bias {
        [] => (NONE.as_ptr(), 0),
        bias => (bias.as_ptr().wrapping_add(channel), size_of::<i64>()),
    }
}

impl Channels {
    /// What all channels of a pixel have in common, from some channel on; `taps` products each.
    fn new(requantization: &WideRequantization<'_>, first: usize, taps: usize) -> Self {
        let (bias, bias_step) = bias_of(requantization, first);
        Self {
            input: core::ptr::null(),
            weights: core::ptr::null(),
            output: core::ptr::null_mut(),
            bias,
            bias_step,
            mantissas: requantization.mantissas.as_ptr().wrapping_add(first),
            exponents: requantization.exponents.as_ptr().wrapping_add(first),
            columns: taps,
            rows: 1,
            steps: [0; 2],
            advances: [0; 2],
            quads: 1,
            unused: 0,
        }
    }
}

/// The first channel and the number of fours: all that are whole, and four more that end with the last channel.
fn quads(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let rest = if channels.is_multiple_of(4) { None } else { Some((channels.wrapping_sub(4), 1)) };
    core::iter::once((0, channels / 4)).chain(rest)
}

/// Int16 depthwise convolution with as many outputs as inputs.
pub fn depthwise_conv_2d_i16<W: Wide>(
    window: &Window,
    [channels, outputs]: [usize; 2],
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let taps = window.kernel[0].saturating_mul(window.kernel[1]);
    let fits = channels >= 4
        && channels == outputs
        && is_narrow(requantization, taps, channels)
        && elements(window.input, channels) == Some(input.len())
        && taps.checked_mul(channels) == Some(weights.len());
    let image_row = window.dilation[0].wrapping_mul(window.input[1]).wrapping_mul(channels);
    let step = window.dilation[1].wrapping_mul(channels);
    let mut pixels = output.chunks_exact_mut(channels.max(1));
    for y in 0..window.output[0] {
        let (rows, top) = window.taps(0, y);
        for x in 0..window.output[1] {
            let (columns, left) = window.taps(1, x);
            if !fits || rows.is_empty() || columns.is_empty() {
                return reference::depthwise_conv_2d_i16(
                    window,
                    [channels, outputs],
                    input,
                    weights,
                    requantization,
                    output,
                );
            }
            let pixel = pixels.next().ok_or(OutOfBounds)?;
            let corner = top.wrapping_mul(window.input[1]).wrapping_add(left).wrapping_mul(channels);
            let tap = rows.start.wrapping_mul(window.kernel[1]).wrapping_add(columns.start).wrapping_mul(channels);
            for (first, quads) in quads(channels) {
                let mut frame = Channels {
                    input: input.as_ptr().wrapping_add(corner.wrapping_add(first)),
                    weights: weights.as_ptr().wrapping_add(tap.wrapping_add(first)),
                    output: pixel.as_mut_ptr().wrapping_add(first),
                    rows: rows.len(),
                    steps: [step.wrapping_mul(2), channels],
                    advances: [
                        image_row.wrapping_sub(columns.len().wrapping_mul(step)).wrapping_mul(2),
                        window.kernel[1].wrapping_sub(columns.len()).wrapping_mul(channels),
                    ],
                    quads,
                    ..Channels::new(requantization, first, columns.len())
                };
                // SAFETY: reads the taps that lie in the image, whose length is that of the input, and their weights, four
                // channels of each from one of `channels` on, and as many biases, mantissas and exponents, in their ranges;
                // writes the codes of these channels. There is at least one quad, and one tap.
                unsafe { (W::KERNELS.taps)(&raw mut frame) };
            }
        }
    }
    clamp(output, requantization.range);
    Ok(())
}

/// Int16 dense layer over rows of `depth` inputs, weights `[out][depth]`.
pub fn fully_connected_i16<W: Wide>(
    depth: usize,
    input: &[i16],
    weights: &[i8],
    requantization: &WideRequantization<'_>,
    output: &mut [i16],
) -> Result {
    let outputs = weights.len() / depth.max(1);
    if outputs < 4 || !is_narrow(requantization, depth, outputs) {
        return reference::fully_connected_i16(depth, input, weights, requantization, output);
    }
    for (row, codes) in input.chunks_exact(depth).zip(output.chunks_exact_mut(outputs)) {
        for (first, quads) in quads(outputs) {
            let mut frame = Channels {
                input: row.as_ptr(),
                weights: weights.as_ptr().wrapping_add(first.wrapping_mul(depth)),
                output: codes.as_mut_ptr().wrapping_add(first),
                quads,
                ..Channels::new(requantization, first, depth)
            };
            // SAFETY: reads `depth` inputs and as many weights for each of four channels of `outputs` a quad, of which there is
            // at least one, with their biases, mantissas and exponents, in their ranges; writes the codes of these channels.
            unsafe { (W::KERNELS.dense)(&raw mut frame) };
        }
    }
    clamp(output, requantization.range);
    Ok(())
}
