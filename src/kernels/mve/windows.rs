//! How kernels walk an image: pixels beside each other whose windows have the same taps in it are one run.

use core::ops::Range;

use super::super::{Result, Window};

/// Output pixels one after the other along an axis.
pub struct Run {
    /// The first of them, counted from the first of the output, and their number.
    pub first: usize,
    pub pixels: usize,
    /// Their taps that lie in the image, none for windows beside it.
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// The input pixel under the first of these taps, for the first of the pixels.
    pub corner: usize,
}

/// Gives all runs along an axis of an image.
#[inline(always)]
pub fn runs(window: &Window, axis: usize, mut each: impl FnMut(Run) -> Result) -> Result {
    let pick = |pair: [usize; 2], of: usize| if of == 0 { pair[0] } else { pair[1] };
    let across = 1 - axis.min(1);
    let [along, lines] = [axis, across].map(|of| pick(window.output, of));
    let (kernel, dilation, stride) =
        (pick(window.kernel, axis), pick(window.dilation, axis), pick(window.stride, axis).max(1));
    let reach = kernel.wrapping_sub(1).wrapping_mul(dilation).wrapping_add(1);
    let index = |line: usize, position: usize, width: usize| match axis {
        0 => position.wrapping_mul(width).wrapping_add(line),
        _ => line.wrapping_mul(width).wrapping_add(position),
    };
    for line in 0..lines {
        let (taps_across, corner_across) = window.taps(across, line);
        let mut position = 0;
        while position < along {
            let (taps, corner) = window.taps(axis, position);
            let mut pixels = 1;
            if taps.len() == kernel {
                // Windows in the image follow each other up to the last.
                let room = pick(window.input, axis).wrapping_sub(corner).saturating_sub(reach);
                pixels = (room / stride).wrapping_add(1).min(along.wrapping_sub(position));
            }
            let taps_across = taps_across.clone();
            let (rows, columns) = if axis == 0 { (taps, taps_across) } else { (taps_across, taps) };
            each(Run {
                first: index(line, position, window.output[1]),
                pixels,
                rows,
                columns,
                corner: index(corner_across, corner, window.input[1]),
            })?;
            position = position.wrapping_add(pixels);
        }
    }
    Ok(())
}
