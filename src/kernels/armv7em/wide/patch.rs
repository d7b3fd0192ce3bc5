//! Output positions whose windows have the same taps in the image.

use core::ops::Range;

use super::super::super::{Code, OutOfBounds, Result, WideRequantization, Window};

/// Output positions whose windows have the same taps in the image.
pub struct Patch<'a> {
    window: &'a Window,
    /// Positions along both axes.
    pub extents: [usize; 2],
    /// The taps, along both axes.
    pub taps: [Range<usize>; 2],
    /// The first position and its first tap in the image.
    output: [usize; 2],
    input: [usize; 2],
}

/// Steps from one position to the next, along both axes, in inputs and outputs.
pub struct Steps {
    pub input: [usize; 2],
    pub output: [usize; 2],
}

impl<'a> Patch<'a> {
    /// Calls `work` with the patches of a window: all positions whose windows lie in the image are one.
    pub fn each(window: &'a Window, mut work: impl FnMut(&Self) -> Result) -> Result {
        for rows in runs(window, 0) {
            for columns in runs(window, 1) {
                let (row_taps, top) = window.taps(0, rows.start);
                let (column_taps, left) = window.taps(1, columns.start);
                work(&Self {
                    window,
                    extents: [rows.len(), columns.len()],
                    taps: [row_taps, column_taps],
                    output: [rows.start, columns.start],
                    input: [top, left],
                })?;
            }
        }
        Ok(())
    }

    /// Steps in an image of `channels` channels to one of `outputs`.
    pub fn steps(&self, channels: usize, outputs: usize) -> Steps {
        let Window { input, output, stride, .. } = self.window;
        let row = input[1].wrapping_mul(channels);
        Steps {
            input: [stride[0].wrapping_mul(row), stride[1].wrapping_mul(channels)],
            output: [output[1].wrapping_mul(outputs), outputs],
        }
    }

    /// The inputs from the first tap of the first position to the last one of the last, if there are taps.
    pub fn values<'x>(&self, channels: usize, input: &'x [i16]) -> Option<&'x [i16]> {
        let Window { input: image, dilation, stride, .. } = self.window;
        let row = image[1].wrapping_mul(channels);
        let mut reach = channels;
        for (axis, step) in [(0, row), (1, channels)] {
            let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
            let taps = if axis == 0 { self.taps[0].len() } else { self.taps[1].len() };
            let positions = pick(&self.extents).wrapping_sub(1).wrapping_mul(pick(stride));
            let inside = taps.checked_sub(1)?.wrapping_mul(pick(dilation));
            reach = reach.wrapping_add(positions.wrapping_add(inside).wrapping_mul(step));
        }
        let start = self.input[0].wrapping_mul(row).wrapping_add(self.input[1].wrapping_mul(channels));
        input.get(start..start.wrapping_add(reach))
    }

    /// The codes from the first position to the last.
    pub fn codes<'x>(&self, outputs: usize, output: &'x mut [i16]) -> Option<&'x mut [i16]> {
        let row = self.window.output[1].wrapping_mul(outputs);
        let at = |[y, x]: [usize; 2]| y.wrapping_mul(row).wrapping_add(x.wrapping_mul(outputs));
        let start = at(self.output);
        let reach = at(self.extents.map(|extent| extent.wrapping_sub(1))).wrapping_add(outputs);
        output.get_mut(start..start.wrapping_add(reach))
    }

    /// The codes of windows that lie outside the image.
    #[inline(never)]
    pub fn fill(&self, outputs: usize, requantization: &WideRequantization<'_>, output: &mut [i16]) -> Result {
        let row = self.window.output[1].wrapping_mul(outputs).max(1);
        for codes in self.codes(outputs, output).ok_or(OutOfBounds)?.chunks_mut(row) {
            for pixel in codes.chunks_exact_mut(outputs).take(self.extents[1]) {
                for (channel, code) in pixel.iter_mut().enumerate() {
                    *code = i16::saturate(requantization.finish(channel, requantization.start(channel)?)?);
                }
            }
        }
        Ok(())
    }
}

/// Positions along an axis whose windows have the same taps: those in the image together, the others one by one.
fn runs(window: &Window, axis: usize) -> impl Iterator<Item = Range<usize>> {
    let pick = |pair: &[usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
    let (count, kernel) = (pick(&window.output), pick(&window.kernel));
    let whole = |position: &usize| window.taps(axis, *position).0 == (0..kernel);
    let first = (0..count).find(whole).unwrap_or(count);
    let end = (first..count).rfind(whole).map_or(first, |last| last.wrapping_add(1));
    let one = |position: usize| position..position.wrapping_add(1);
    let inside = Some(first..end).filter(|inside| !inside.is_empty());
    (0..first).map(one).chain(inside).chain((end..count).map(one))
}
