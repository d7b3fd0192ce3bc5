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
        let extents = self.window.padded_input();
        let [top, left] = self.window.padding;
        let origin = [(top as isize).wrapping_neg(), (left as isize).wrapping_neg()];
        // One window over all of it.
        let all = Image { window: &Window { kernel: extents, dilation: [1; 2], ..*self.window }, ..*self };
        let rows = copy.chunks_exact_mut(extents[1].wrapping_mul(self.channels).max(1));
        for (row, target) in rows.take(extents[0]).enumerate() {
            all.stage(origin, row, target)?;
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
        // Taps beside each other are copied together.
        let [kernel, dilation] = [self.window.kernel[1], self.window.dilation[1]];
        let together = if dilation == 1 { kernel } else { 1 };
        let mut tap = 0_usize;
        while tap < kernel {
            let x = left.wrapping_add_unsigned(tap.wrapping_mul(dilation));
            let outside = x.min(0).unsigned_abs();
            let x = x.max(0).unsigned_abs();
            let count = together.saturating_sub(outside).min(columns.saturating_sub(x));
            if count > 0 {
                let bytes = |pixels: usize| pixels.wrapping_mul(self.channels);
                let at = bytes(y.wrapping_mul(columns).wrapping_add(x));
                let (first, length) = (bytes(tap.wrapping_add(outside)), bytes(count));
                let codes = self.input.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?;
                staging.get_mut(first..first.wrapping_add(length)).ok_or(OutOfBounds)?.copy_from_slice(codes);
            }
            tap = tap.wrapping_add(together);
        }
        Ok(())
    }
}

/// Where the windows over an image begin in it, and which of them lie in it as they are.
pub struct Places<'a> {
    image: &'a Image<'a>,
    /// Bytes from one row of a window to the next.
    pub row_step: usize,
    /// Columns of the image in which a window begins whose columns lie in it as they are.
    pub columns: usize,
    /// Places in the image before which a whole window begins that ends in it.
    pub whole: usize,
    /// The same for a row of a window; rows that leave the image are not before it.
    pub row: usize,
}

impl<'a> Places<'a> {
    /// The places of an image.
    pub fn new(image: &'a Image<'a>) -> core::result::Result<Self, OutOfBounds> {
        let Window { input, kernel, dilation, .. } = *image.window;
        let Filter { rows, padded_row, .. } = image.filter;
        let row = input[1].checked_mul(image.channels).ok_or(OutOfBounds)?;
        if row.checked_mul(input[0]).is_none_or(|bytes| bytes > image.input.len()) {
            return Err(OutOfBounds);
        }
        let one_step = dilation[1] == 1 || kernel[1] == 1;
        let reach = rows.wrapping_sub(1).saturating_mul(dilation[0]);
        let before = |reach: usize| image.input.len().wrapping_add(1).saturating_sub(reach.wrapping_add(padded_row));
        Ok(Self {
            image,
            row_step: dilation[0].wrapping_mul(row),
            columns: if one_step { input[1].wrapping_add(1).saturating_sub(kernel[1]) } else { 0 },
            // Fewer rows than the image has are fewer bytes: their product does not wrap.
            whole: if reach < input[0] { before(reach.wrapping_mul(row)) } else { 0 },
            row: before(0),
        })
    }

    /// Where the windows of the four output pixels from `first` on begin, far away if their columns leave the image, and
    /// whether all of them lie in it.
    pub fn of_four(&self, first: usize) -> ([usize; 4], bool) {
        let mut starts = [usize::MAX / 2; 4];
        let mut whole = true;
        for (start, pixel) in starts.iter_mut().zip(first..) {
            let [top, left] = self.image.origin(pixel);
            if (left as usize) < self.columns {
                let at = top.wrapping_mul(self.image.window.input[1] as isize).wrapping_add(left) as usize;
                *start = at.wrapping_mul(self.image.channels);
            }
            whole &= *start < self.whole;
        }
        (starts, whole)
    }
}
