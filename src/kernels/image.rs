//! The input of a convolution as the rows of a matrix: one for each output pixel.

use super::packing::Filter;
use super::{OutOfBounds, Result, Window};

/// An image with the windows over it.
pub struct Image<'a> {
    pub window: &'a Window,
    pub channels: usize,
    pub input: &'a [i8],
    pub filter: Filter,
    /// Stands for what is outside the image.
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
        let Window { output, stride, padding, .. } = self.window;
        let columns = output[1].max(1);
        let row = (pixel / columns).wrapping_mul(stride[0]) as isize;
        let column = (pixel % columns).wrapping_mul(stride[1]) as isize;
        [row.wrapping_sub_unsigned(padding[0]), column.wrapping_sub_unsigned(padding[1])]
    }

    /// `rows` rows of a window from its row `first` on, if they lie in the image as they are. Elements behind a row meet
    /// weights of zero, but they have to be there.
    pub fn rows(&self, [top, left]: [isize; 2], first: usize, rows: usize) -> Option<&'a [i8]> {
        let Window { input, kernel, dilation, .. } = self.window;
        let top = top.checked_add_unsigned(first.wrapping_mul(dilation[0]))?;
        let (y, x) = (usize::try_from(top).ok()?, usize::try_from(left).ok()?);
        let reach = rows.wrapping_sub(1).wrapping_mul(dilation[0]);
        let one_step = dilation[1] == 1 || kernel[1] == 1;
        if y.checked_add(reach)? >= input[0] || x.checked_add(kernel[1])? > input[1] || !one_step {
            return None;
        }
        let at = y.wrapping_mul(input[1]).wrapping_add(x).wrapping_mul(self.channels);
        let length = reach.wrapping_mul(input[1]).wrapping_mul(self.channels).wrapping_add(self.filter.padded_row);
        self.input.get(at..at.wrapping_add(length))
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
}
