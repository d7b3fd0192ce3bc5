//! An image as the rows of a matrix, one for each output pixel.

use super::super::packing::Filter;
use super::super::{OutOfBounds, Result, Window};

/// The window as it is, or its pixels as one row where they follow each other in the image.
pub fn one_row(window: &Window) -> Window {
    let Window { input, output, kernel, stride, padding, .. } = *window;
    if kernel == [1; 2] && stride == [1; 2] && padding == [0; 2] && input == output {
        let row = [1, input[0].wrapping_mul(input[1])];
        return Window { input: row, output: row, ..*window };
    }
    *window
}

/// The input and the windows over it.
pub struct Image<'a> {
    pub window: &'a Window,
    pub channels: usize,
    pub input: &'a [i8],
    pub filter: Filter,
    pub zero_point: i8,
}

impl<'a> Image<'a> {
    /// Copies the image with its padding into `copy`; returns the window without.
    pub fn pad(&self, copy: &mut [i8]) -> core::result::Result<Window, OutOfBounds> {
        copy.fill(self.zero_point);
        let extents = self.window.padded_input();
        let row = extents[1].wrapping_mul(self.channels).max(1);
        let source = self.window.input[1].wrapping_mul(self.channels).max(1);
        let left = self.window.padding[1].wrapping_mul(self.channels);
        let rows = copy.chunks_exact_mut(row).skip(self.window.padding[0]);
        for (target, source) in rows.zip(self.input.chunks_exact(source)) {
            let target = target.get_mut(left..).ok_or(OutOfBounds)?;
            // Windows may end before the last columns.
            let length = target.len().min(source.len());
            target.iter_mut().zip(source.iter().take(length)).for_each(|(target, source)| *target = *source);
        }
        Ok(Window { input: extents, padding: [0; 2], ..*self.window })
    }

    /// Where the window of an output pixel begins: row and column of its first tap, negative in the padding.
    pub fn origin(&self, pixel: usize) -> [isize; 2] {
        let columns = self.window.output[1].max(1);
        let at = [pixel / columns, pixel % columns];
        let origin = |axis: usize| {
            let pick = |pair: [usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
            (pick(at).wrapping_mul(pick(self.window.stride)) as isize).wrapping_sub(pick(self.window.padding) as isize)
        };
        [origin(0), origin(1)]
    }

    /// One row of a window, padded to whole words, if it lies in the image as it is. Elements behind the row meet
    /// weights of zero, but they have to be there.
    pub fn row(&self, [top, left]: [isize; 2], row: usize) -> Option<&'a [i8]> {
        let [rows, columns] = self.window.input;
        let y = top.checked_add_unsigned(row.wrapping_mul(self.window.dilation[0]))?;
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(left).ok()?);
        let one_step = self.window.dilation[1] == 1 || self.window.kernel[1] == 1;
        if y >= rows || x.checked_add(self.window.kernel[1])? > columns || !one_step {
            return None;
        }
        let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
        self.input.get(at..at.wrapping_add(self.filter.padded_row))
    }

    /// Copies one row of a window; zero points, which count as 0, stand for what is outside the image.
    #[inline(never)]
    pub fn stage(&self, [top, left]: [isize; 2], row: usize, staging: &mut [i8]) -> Result {
        staging.fill(self.zero_point);
        let [rows, columns] = self.window.input;
        let y = top.wrapping_add_unsigned(row.wrapping_mul(self.window.dilation[0]));
        let Some(y) = usize::try_from(y).ok().filter(|y| *y < rows) else { return Ok(()) };
        let mut copy = |tap: usize, x: usize, count: usize| {
            let [tap, length] = [tap, count].map(|taps| taps.wrapping_mul(self.channels));
            let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
            let codes = self.input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
            staging.get_mut(tap..tap.wrapping_add(length)).ok_or(OutOfBounds)?.copy_from_slice(codes);
            Ok(())
        };
        let kernel = self.window.kernel[1];
        if self.window.dilation[1] == 1 {
            // Taps in the image follow each other.
            let first = left.min(0).unsigned_abs();
            let x = left.max(0).unsigned_abs();
            let count = kernel.saturating_sub(first).min(columns.saturating_sub(x));
            return if count == 0 { Ok(()) } else { copy(first, x, count) };
        }
        for tap in 0..kernel {
            let x = left.wrapping_add_unsigned(tap.wrapping_mul(self.window.dilation[1]));
            if let Some(x) = usize::try_from(x).ok().filter(|x| *x < columns) {
                copy(tap, x, 1)?;
            }
        }
        Ok(())
    }

    /// The window of an output pixel, from its first to its last word, if all of it lies in the image as it is.
    pub fn whole(&self, [top, left]: [isize; 2]) -> Option<&'a [i8]> {
        let [rows, columns] = self.window.input;
        let (y, x) = (usize::try_from(top).ok()?, usize::try_from(left).ok()?);
        let reach = self.filter.rows.wrapping_sub(1).wrapping_mul(self.window.dilation[0]);
        let one_step = self.window.dilation[1] == 1 || self.window.kernel[1] == 1;
        if y.checked_add(reach)? >= rows || x.checked_add(self.window.kernel[1])? > columns || !one_step {
            return None;
        }
        let at = y.wrapping_mul(columns).wrapping_add(x).wrapping_mul(self.channels);
        let length = reach.wrapping_mul(columns).wrapping_mul(self.channels).wrapping_add(self.filter.padded_row);
        self.input.get(at..at.wrapping_add(length))
    }

    /// Whether the windows of the four output pixels from `first` on lie in the image, one stride apart; then how many
    /// blocks of such pixels there are in the row, and what they read from the first byte to the last.
    pub fn run(&self, first: usize) -> Option<(usize, &'a [i8])> {
        let columns = self.window.output[1].max(1);
        let x = first % columns;
        let start = self.whole(self.origin(first))?;
        // The last window of the row that ends in the image.
        let room = self.window.input[1].wrapping_add(self.window.padding[1]).checked_sub(self.window.kernel[1])?;
        let end = (room / self.window.stride[1].max(1)).wrapping_add(1).min(columns);
        let count = end.checked_sub(x)? / 4;
        let last = self.whole(self.origin(first.wrapping_add(count.checked_mul(4)?.checked_sub(1)?)))?;
        let at = |part: &[i8]| part.as_ptr().addr().wrapping_sub(self.input.as_ptr().addr());
        self.input.get(at(start)..at(last).wrapping_add(last.len())).map(|codes| (count, codes))
    }
}
