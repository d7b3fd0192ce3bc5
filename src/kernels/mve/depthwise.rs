//! Depthwise convolution: tiles of up to eight channels are spread over planes, in which the taps of a window lie within one
//! vector, and every output is a single vector product.

use super::super::packing::mve::{LANES, Layout, PITCH, PLANES, SLACK};
use super::super::{OutOfBounds, PackedLayer, Result, Window};
use super::assembly::{
    self, Planes, Spread, nervelet_mve_columns, nervelet_mve_planes, nervelet_mve_planes_2, nervelet_mve_spread,
    nervelet_mve_spread_few,
};
use super::own;

/// Outputs of a block, `[rows, columns]`, and the kernel that computes them.
struct Block {
    extent: [usize; 2],
    kernel: unsafe extern "C" fn(*const Planes),
}

/// Int8 depthwise convolution with packed weights and as many outputs as inputs.
pub fn depthwise_conv_2d(
    window: &Window,
    channels: usize,
    input: &[i8],
    layer: &PackedLayer<'_>,
    scratch: &mut [u32],
    output: &mut [i8],
) -> Result {
    let layout = own(layer);
    let filter = layer.packing.layout.filter(window.kernel[0], window.kernel[1]);
    let record = super::record_words(layer, filter.depth, channels)?;
    let block = match (layout, window.stride) {
        (Layout::Planes, [1, 1]) => Block { extent: [4, 2], kernel: nervelet_mve_planes },
        (Layout::Planes, _) => Block { extent: [2, 4], kernel: nervelet_mve_planes_2 },
        (Layout::Columns, _) => Block { extent: [8, 1], kernel: nervelet_mve_columns },
        _ => return Err(OutOfBounds),
    };
    // Distances from plane to plane have 16 bits.
    let plane = ((scratch.len() / PLANES * 4) & !(LANES - 1)).min(1 << 13);
    let room = plane.checked_sub(SLACK).ok_or(OutOfBounds)?;
    let columns = layout == Layout::Columns;
    // The most outputs of a tile that planes have room for.
    let most = match columns {
        true => [room.saturating_sub(window.kernel[0] - 1), 1],
        false => [block.extent[0], (room / PITCH).saturating_sub(3) / window.stride[1].max(1) + 1],
    };
    // As few as there can be, of one size.
    let tile = [0, 1].map(|axis| {
        let (outputs, most): (usize, usize) = (window.output[axis], most[axis]);
        outputs.div_ceil(outputs.div_ceil(most.max(1)).max(1))
    });
    if most[0] == 0 || tile[0] == 0 || tile[1] == 0 || (!columns && room < 3 * PITCH) {
        return Err(OutOfBounds);
    }
    let pitch = if columns { 1 } else { PITCH };
    let group = channels.min(PLANES);
    let (products, reach) = products(window, channels, layer, &block, tile, columns, plane)?;
    let mut tiles = Tiles { window, channels, group, input, layer, record, tile, plane, pitch, block, products, reach };
    let planes: &mut [i8] = bytemuck::cast_slice_mut(scratch);
    let mut row = 0;
    let mut filled = None;
    while row < window.output[0] {
        let mut column = 0;
        // The last tile of an axis may overlap the one before.
        let first_row = row.min(window.output[0].wrapping_sub(tile[0]));
        while column < window.output[1] {
            let first_column = column.min(window.output[1].wrapping_sub(tile[1]));
            tiles.compute([first_row, first_column], planes, &mut filled, output)?;
            column = first_column.wrapping_add(tile[1]);
        }
        row = first_row.wrapping_add(tile[0]);
    }
    Ok(())
}

/// What the kernel is given for every group of channels of a tile but where it reads and writes, and the codes from the
/// first output of a tile to behind the last.
fn products(
    window: &Window,
    channels: usize,
    layer: &PackedLayer<'_>,
    block: &Block,
    tile: [usize; 2],
    down: bool,
    plane: usize,
) -> core::result::Result<(Planes, usize), OutOfBounds> {
    let Window { stride, kernel, output, .. } = *window;
    let group = channels.min(PLANES);
    let row_bytes = output[1].wrapping_mul(channels);
    let ([rows, columns], [block_rows, block_columns]) = (tile, block.extent.map(|outputs| outputs.max(1)));
    let reach = rows.wrapping_sub(1).wrapping_mul(row_bytes);
    let reach = reach.wrapping_add(columns.wrapping_sub(1).wrapping_mul(channels)).wrapping_add(group);
    // Blocks follow each other along one axis of the tile.
    let (length, block, step, output_step) = match down {
        true => (rows, block_rows, 1, row_bytes),
        false => (columns, block_columns, stride[1].wrapping_mul(PITCH), channels),
    };
    let last_block = length.saturating_sub(block);
    let end = match down {
        true => rows.wrapping_add(kernel[0]),
        false => columns.wrapping_sub(1).wrapping_mul(step).wrapping_add(3 * PITCH),
    };
    if end.wrapping_add(SLACK) > plane.wrapping_add(1) {
        return Err(OutOfBounds);
    }
    let (mut distances, mut mask) = ([0; 8], 0_u32);
    // Codes come out as the first and the fifth, the second and the sixth, and so on.
    for (lane, distance) in distances.iter_mut().enumerate() {
        let number = lane / 2 + lane % 2 * 4;
        let (row, column) = (number % block_rows, number / block_rows);
        if row < rows && column < columns {
            mask |= 3 << (2 * lane);
            let at = row.wrapping_mul(row_bytes).wrapping_add(column.wrapping_mul(channels));
            *distance = u16::try_from(at).map_err(|_| OutOfBounds)?;
        }
    }
    let frame = Planes {
        plane: core::ptr::null(),
        stream: core::ptr::null(),
        output: core::ptr::null_mut(),
        channels: group,
        blocks_before_last: length.div_ceil(block).wrapping_sub(1),
        output_step: block.wrapping_mul(output_step),
        last_plane: last_block.wrapping_mul(step),
        last_output: last_block.wrapping_mul(output_step),
        plane_step: plane,
        zero_point: layer.output_zero_point,
        mask,
        distances,
    };
    Ok((frame, reach))
}

/// The rows and columns of a tile that lie in the image.
type Inside = [core::ops::Range<usize>; 2];

/// A layer at work.
struct Tiles<'a> {
    window: &'a Window,
    channels: usize,
    /// Channels in the planes.
    group: usize,
    input: &'a [i8],
    layer: &'a PackedLayer<'a>,
    /// Words of a record.
    record: usize,
    /// Outputs of a tile, `[rows, columns]`.
    tile: [usize; 2],
    /// Bytes of a plane, at most 2^13.
    plane: usize,
    /// Bytes of a column of a plane, unless it has only one.
    pitch: usize,
    block: Block,
    products: Planes,
    /// Codes from the first output of a tile to behind the last.
    reach: usize,
}

impl Tiles<'_> {
    /// The input positions of a tile's axis, counted from its first, that lie in the image, and the first of them in the
    /// image.
    fn inside(&self, axis: usize, first: usize) -> (core::ops::Range<usize>, usize) {
        let pick = |pair: [usize; 2]| if axis == 0 { pair[0] } else { pair[1] };
        let (padding, extent) = (pick(self.window.padding), pick(self.window.input));
        let reach = pick(self.tile)
            .wrapping_sub(1)
            .wrapping_mul(pick(self.window.stride))
            .wrapping_add(pick(self.window.kernel));
        let origin = first.wrapping_mul(pick(self.window.stride));
        let start = padding.saturating_sub(origin).min(reach);
        let end = extent.wrapping_add(padding).saturating_sub(origin).min(reach).max(start);
        (start..end, origin.wrapping_add(start).saturating_sub(padding))
    }

    /// All channels of a tile. `filled` remembers where the planes hold the image and where zero points.
    fn compute(
        &mut self,
        [row, column]: [usize; 2],
        planes: &mut [i8],
        filled: &mut Option<Inside>,
        output: &mut [i8],
    ) -> Result {
        let (rows, top) = self.inside(0, row);
        let (columns, left) = self.inside(1, column);
        let inside = [rows.clone(), columns.clone()];
        if filled.as_ref() != Some(&inside) {
            assembly::fill(planes, self.layer.input_offset.wrapping_neg() as i8);
            *filled = Some(inside);
        }
        let (rows, columns, first_row, first_column) = (rows.len(), columns.len(), rows.start, columns.start);
        let is_beside = rows == 0 || columns == 0;
        let target = first_column.wrapping_mul(self.pitch).wrapping_add(first_row);
        let end = columns.wrapping_sub(1).wrapping_mul(self.pitch).wrapping_add(rows).wrapping_add(target);
        if planes.len() < self.plane.wrapping_mul(PLANES) || !is_beside && end > self.plane {
            return Err(OutOfBounds);
        }
        let corner = top.wrapping_mul(self.window.input[1]).wrapping_add(left).wrapping_mul(self.channels);
        let row_bytes = self.window.input[1].wrapping_mul(self.channels);
        let reach = rows.wrapping_sub(1).wrapping_mul(row_bytes);
        let reach = reach.wrapping_add(columns.wrapping_sub(1).wrapping_mul(self.channels)).wrapping_add(self.group);
        // The longer axis is the inner loop.
        let by_rows = rows > columns;
        let pick =
            |of_rows: usize, of_columns: usize| if by_rows { [of_rows, of_columns] } else { [of_columns, of_rows] };
        let [inner, outer] = pick(rows, columns);
        let [source_step, source_row] = pick(row_bytes, self.channels);
        let [target_step, target_row] = pick(1, self.pitch);
        let mut spread = Spread {
            source: core::ptr::null(),
            target: planes.as_mut_ptr().wrapping_add(target),
            source_step,
            target_step,
            pixels: inner,
            rows: outer,
            source_row,
            target_row,
            channels: self.group,
            planes: [0, 1, 2, 3, 4, 5, 6, 7].map(|plane: u16| plane.wrapping_mul(self.plane as u16)),
        };
        let start = row.wrapping_mul(self.window.output[1]).wrapping_add(column).wrapping_mul(self.channels);
        let mut channel = 0;
        while channel < self.channels {
            // The last channels may overlap the ones before.
            let first = channel.min(self.channels.wrapping_sub(self.group));
            if !is_beside {
                let at = corner.wrapping_add(first);
                spread.source = self.input.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?.as_ptr();
                // SAFETY: reads the group's bytes, up to eight, of each of `rows` by `columns` pixels, at least one, of which
                // the last ends the slice above. Writes a byte for each of them to eight planes, at the distance of its
                // row and column from `target`, of which the largest was checked above.
                unsafe {
                    match self.group {
                        PLANES => nervelet_mve_spread(&raw const spread),
                        _ => nervelet_mve_spread_few(&raw const spread),
                    }
                };
            }
            let at = start.wrapping_add(first);
            let codes = output.get_mut(at..at.wrapping_add(self.reach)).ok_or(OutOfBounds)?;
            let words = first.wrapping_mul(self.record);
            let words = words..words.wrapping_add(self.record.wrapping_mul(self.group));
            self.products.stream = self.layer.words.get(words).ok_or(OutOfBounds)?.as_ptr();
            self.products.plane = planes.as_ptr();
            self.products.output = codes.as_mut_ptr();
            // SAFETY: the stream has a record for each channel of the group. The vectors of each output begin where its window
            // does, in or up to `SLACK` bytes behind the columns of the tile, and end in the plane, as `products` has
            // checked. Codes are written for the outputs of the tile alone: those of a block that the mask holds, from
            // block to block, at last those that end with the tile.
            unsafe { (self.block.kernel)(&raw const self.products) };
            channel = first.wrapping_add(self.group);
        }
        Ok(())
    }
}
