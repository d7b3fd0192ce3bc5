//! Convolutions and dense layers as matrix products: pixels are widened into scratch memory, a few blocks of four at a
//! time or one by one, and all output channels are computed for them.

use super::super::image::Image;
use super::super::packing::armv7em::Layout;
use super::super::packing::{self, Filter, Records};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{nervelet_matrix, nervelet_matrix_plain, nervelet_widen, nervelet_widen_plain, offsets};
use super::blocks::{Blocks, Routines, Widening};
use super::dense::{self, TURNED};
use super::own;

/// Those for sums 256 times as large.
const SHARED: Routines = Routines { widen: nervelet_widen, factor: TURNED, multiply: nervelet_matrix, widens: true };

/// Int8 convolution with packed weights.
pub fn conv_2d(
    window: &Window,
    channels: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let image = image(Layout::SharedRowPairs, window, channels, input, layer)?;
    in_padding(&SHARED, &image, channels[1], layer, scratch, output)
}

/// A convolution of single pixels whose codes take the place of its inputs: pixels that others still need are widened
/// before their inputs are written over.
pub fn pointwise_in_place(
    window: &Window,
    channels: [usize; 2],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    codes: &mut [i8],
) -> Result {
    let [inputs, outputs] = channels;
    let count = window.output[0].wrapping_mul(window.output[1]);
    let filter = image(Layout::SharedRowPairs, window, channels, codes, layer)?.filter;
    if own(layer).in_place_words(window, channels).is_none_or(|words| scratch.len() < words) {
        return Err(OutOfBounds);
    }
    let mut blocks = Blocks::new(&SHARED, window, &filter, outputs, layer, scratch)?;
    let mut done = 0_usize;
    while done < count {
        let left = count.wrapping_sub(done);
        let mut taken = left.min(blocks.pixels);
        // What is left behind is none or a whole block: one that overlaps others would find their codes.
        if (1..4).contains(&left.wrapping_sub(taken)) {
            taken = taken.wrapping_sub(4);
        }
        // Fewer codes than inputs lie before those of later pixels, more of them behind those of earlier pixels.
        let start = if outputs > inputs { left.wrapping_sub(taken) } else { done };
        let pixels = start..start.wrapping_add(taken);
        done = done.wrapping_add(taken);
        let places = pixels.start.wrapping_mul(outputs)..pixels.end.wrapping_mul(outputs);
        let place = codes.get_mut(places).ok_or(OutOfBounds)?.as_mut_ptr().expose_provenance();
        let image = image(Layout::SharedRowPairs, window, channels, codes, layer)?;
        blocks.widen(&Widening::new(&SHARED, &image, outputs)?, pixels, place)?;
        blocks.multiply()?;
    }
    Ok(())
}

/// The same for sums that need all bits.
pub fn conv_2d_plain(
    window: &Window,
    channels: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let image = image(Layout::RowPairs, window, channels, input, layer)?;
    let routines = Routines {
        widen: nervelet_widen_plain,
        factor: offsets(layer),
        multiply: nervelet_matrix_plain,
        widens: false,
    };
    in_padding(&routines, &image, channels[1], layer, scratch, output)
}

/// The windows over the image, for a stream of the length that they ask for.
fn image<'a>(
    layout: Layout,
    window: &'a Window,
    [channels, outputs]: [usize; 2],
    input: &'a [i8],
    layer: &PackedLayer<'_>,
) -> core::result::Result<Image<'a>, OutOfBounds> {
    let filter = layout.filter(window.kernel[0], window.kernel[1].wrapping_mul(channels));
    let words = outputs.div_ceil(2).checked_mul(layout.record_words(filter.depth));
    if own(layer) != layout || filter.depth == 0 || outputs < 2 || Some(layer.words.len()) != words {
        return Err(OutOfBounds);
    }
    Ok(Image { window, channels, input, filter, zero_point: layer.input_offset.wrapping_neg() as i8 })
}

/// A small image is copied into its padding once, so that every window lies inside.
fn in_padding(
    routines: &Routines,
    image: &Image<'_>,
    outputs: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let Image { window, channels, .. } = *image;
    let words = packing::padded_image_words(window, channels);
    let room = scratch.len() >= own(layer).scratch_words(window, channels).wrapping_add(words);
    let (copy, scratch) = scratch.split_at_mut_checked(if room { words } else { 0 }).ok_or(OutOfBounds)?;
    if copy.is_empty() {
        return blocks(routines, image, outputs, layer, scratch, output);
    }
    let copy: &mut [i8] = bytemuck::cast_slice_mut(copy);
    let window = image.pad(copy)?;
    blocks(routines, &Image { window: &window, input: copy, ..*image }, outputs, layer, scratch, output)
}

/// Four output pixels a block, as many blocks at once as the scratch memory holds.
#[inline(never)]
fn blocks(
    routines: &Routines,
    image: &Image<'_>,
    outputs: usize,
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let [rows, columns] = image.window.output;
    let count = rows.wrapping_mul(columns);
    let mut blocks = Blocks::new(routines, image.window, &image.filter, outputs, layer, scratch)?;
    let widening = Widening::new(routines, image, outputs)?;
    let mut pixel = 0_usize;
    while pixel < count {
        let end = count.min(pixel.wrapping_add(blocks.pixels));
        // The last block overlaps the one before rather than being a smaller one.
        let pixels = pixel.min(end.checked_sub(4).ok_or(OutOfBounds)?)..end;
        let codes = pixels.start.wrapping_mul(outputs)..end.wrapping_mul(outputs);
        let codes = output.get_mut(codes).ok_or(OutOfBounds)?;
        blocks.widen(&widening, pixels, codes.as_mut_ptr().expose_provenance())?;
        blocks.multiply()?;
        pixel = end;
    }
    Ok(())
}

/// The same for fewer than four output pixels, one at a time.
pub fn conv_2d_pixels(
    window: &Window,
    channels: [usize; 2],
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let image = image(Layout::SharedPixels, window, channels, input, layer)?;
    let outputs = channels[1];
    let Filter { depth, padded_row, .. } = image.filter;
    let (staging, rest) = scratch.split_at_mut_checked(padded_row / 4).ok_or(OutOfBounds)?;
    let staging: &mut [i8] = bytemuck::cast_slice_mut(staging);
    let (inputs, _) = rest.split_at_mut_checked(depth / 2).ok_or(OutOfBounds)?;
    let [rows, columns] = image.window.output;
    for (pixel, codes) in (0..rows.wrapping_mul(columns)).zip(output.chunks_exact_mut(outputs.max(1))) {
        let origin = image.origin(pixel);
        for (row, target) in (0..image.filter.rows).zip(inputs.chunks_exact_mut((padded_row / 2).max(1))) {
            match image.rows(origin, row, 1) {
                Some(codes) => dense::spread(codes, target)?,
                None => {
                    image.stage(origin, row, staging)?;
                    dense::spread(staging, target)?;
                }
            }
        }
        dense::outputs(inputs, layer, codes)?;
    }
    Ok(())
}
