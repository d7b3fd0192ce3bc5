//! The window parameters that convolutions and pools share.

use bytemuck::AnyBitPattern;
use serde::{Deserialize, Serialize};

use super::{Error, Tensor};
use crate::kernels::{OutOfBounds, Window};

/// The most of any of a window's numbers.
const MOST: usize = 65_535;

/// A sliding window as the file holds it; pairs are `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct WindowParameters {
    /// Extent of the kernel.
    pub kernel: [u32; 2],
    /// Input steps between two outputs.
    pub stride: [u32; 2],
    /// Input steps between two taps.
    pub dilation: [u32; 2],
    /// Padding above and to the left.
    pub padding: [u32; 2],
}

impl WindowParameters {
    /// The kernel's window between two tensors `[1, rows, columns, channels]`, with their channels.
    pub fn over(&self, input: &Tensor, output: &Tensor) -> Result<(Window, [usize; 2]), OutOfBounds> {
        let [_, rows, columns, channels] = input.nhwc().ok_or(OutOfBounds)?;
        let [_, output_rows, output_columns, outputs] = output.nhwc().ok_or(OutOfBounds)?;
        let window = Window {
            input: [rows, columns],
            output: [output_rows, output_columns],
            kernel: pair(self.kernel),
            stride: pair(self.stride),
            dilation: pair(self.dilation),
            padding: pair(self.padding),
        };
        Ok((window, [channels, outputs]))
    }

    /// As [`WindowParameters::over`], checked: batch 1, no zero extent, padding below the kernel's reach, every
    /// output position with a tap inside the image.
    pub fn verify(&self, input: &Tensor, output: &Tensor) -> Result<(Window, [usize; 2]), Error> {
        let (window, channels) = self.over(input, output).map_err(|_| Error::Shape)?;
        let batches = [input.nhwc(), output.nhwc()].map(|extents| extents.map(|[batch, ..]| batch));
        if batches != [Some(1); 2] {
            return Err(Error::Shape);
        }
        for axis in [0, 1] {
            let pick = |pair: &[usize; 2]| pair.get(axis).copied().unwrap_or(0);
            let (kernel, stride, dilation) = (pick(&window.kernel), pick(&window.stride), pick(&window.dilation));
            let largest = kernel.max(stride).max(dilation).max(pick(&window.padding));
            if kernel == 0 || stride == 0 || dilation == 0 || largest > MOST {
                return Err(Error::Shape);
            }
            let reach = (kernel - 1).saturating_mul(dilation);
            // The last window starts inside the image or the padding before it, and ends where at least one tap is in.
            let last = pick(&window.output).saturating_sub(1).saturating_mul(stride);
            if pick(&window.padding) > reach || last >= pick(&window.input).saturating_add(pick(&window.padding)) {
                return Err(Error::Shape);
            }
        }
        Ok((window, channels))
    }
}

fn pair([rows, columns]: [u32; 2]) -> [usize; 2] {
    [rows as usize, columns as usize]
}
