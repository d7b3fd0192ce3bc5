//! Windows that follow each other in an image.

use super::super::Window;

/// The window as it is, or its pixels as one row where they follow each other in the image.
pub fn one_row(window: &Window) -> Window {
    let Window { input, output, kernel, stride, padding, .. } = *window;
    if kernel == [1; 2] && stride == [1; 2] && padding == [0; 2] && input == output {
        let row = [1, input[0].wrapping_mul(input[1])];
        return Window { input: row, output: row, ..*window };
    }
    *window
}
