//! Windows that follow each other in an image.

use super::super::Window;
use super::super::image::Image;

/// The window as it is, or its pixels as one row where they follow each other in the image.
pub fn one_row(window: &Window) -> Window {
    let Window { input, output, kernel, stride, padding, .. } = *window;
    if kernel == [1; 2] && stride == [1; 2] && padding == [0; 2] && input == output {
        let row = [1, input[0].wrapping_mul(input[1])];
        return Window { input: row, output: row, ..*window };
    }
    *window
}

impl<'a> Image<'a> {
    /// Whether the windows of the four output pixels from `first` on lie in the image, one stride apart; then how many
    /// blocks of such pixels there are in the row, and what they read from the first byte to the last.
    pub fn run(&self, first: usize) -> Option<(usize, &'a [i8])> {
        let columns = self.window.output[1].max(1);
        let x = first % columns;
        let start = self.rows(self.origin(first), 0, self.filter.rows)?;
        // The last window of the row that ends in the image.
        let room = self.window.input[1].wrapping_add(self.window.padding[1]).checked_sub(self.window.kernel[1])?;
        let end = (room / self.window.stride[1].max(1)).wrapping_add(1).min(columns);
        let count = end.checked_sub(x)? / 4;
        let last =
            self.rows(self.origin(first.wrapping_add(count.checked_mul(4)?.checked_sub(1)?)), 0, self.filter.rows)?;
        let at = |part: &[i8]| part.as_ptr().addr().wrapping_sub(self.input.as_ptr().addr());
        self.input.get(at(start)..at(last).wrapping_add(last.len())).map(|codes| (count, codes))
    }
}
