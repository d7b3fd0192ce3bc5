//! Packed layers whose codes take the place of their inputs, on any machine.

use super::super::packing::PackedLayer;
use super::super::{OutOfBounds, Result, Window};
use super::packed::{conv_2d_packed, depthwise_code};

/// A convolution of single pixels; `scratch` takes the inputs of one.
pub fn pointwise_in_place(
    window: &Window,
    [inputs, outputs]: [usize; 2],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    codes: &mut [i8],
) -> Result {
    let scratch: &mut [i8] = bytemuck::cast_slice_mut(scratch);
    let pixel_inputs = scratch.get_mut(..inputs).ok_or(OutOfBounds)?;
    let count = window.output[0].wrapping_mul(window.output[1]);
    for step in 0..count {
        // Fewer codes than inputs lie before those of later pixels, more of them behind those of earlier pixels.
        let pixel = if outputs > inputs { count.wrapping_sub(step).wrapping_sub(1) } else { step };
        let of = |channels: usize| {
            let start = pixel.wrapping_mul(channels);
            start..start.wrapping_add(channels)
        };
        pixel_inputs.copy_from_slice(codes.get(of(inputs)).ok_or(OutOfBounds)?);
        let codes = codes.get_mut(of(outputs)).ok_or(OutOfBounds)?;
        conv_2d_packed(&Window::pixel(), [inputs, outputs], pixel_inputs, layer, codes)?;
    }
    Ok(())
}

/// A depthwise convolution with as many outputs as inputs; `scratch` takes the inputs of one channel.
pub fn depthwise_in_place(
    window: &Window,
    channels: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    codes: &mut [i8],
) -> Result {
    let scratch: &mut [i8] = bytemuck::cast_slice_mut(scratch);
    let plane = scratch.get_mut(..window.input[0].wrapping_mul(window.input[1])).ok_or(OutOfBounds)?;
    for channel in 0..channels {
        for (x, pixel) in plane.iter_mut().zip(codes.chunks_exact(channels)) {
            *x = *pixel.get(channel).ok_or(OutOfBounds)?;
        }
        let mut pixels = codes.chunks_exact_mut(channels);
        for row in 0..window.output[0] {
            for column in 0..window.output[1] {
                let code = pixels.next().and_then(|pixel| pixel.get_mut(channel)).ok_or(OutOfBounds)?;
                *code = depthwise_code(window, [row, column], [channel, channels], layer, |at| plane.get(at).copied())?;
            }
        }
    }
    Ok(())
}
