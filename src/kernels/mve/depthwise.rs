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
    let tile = [most[0].min(window.output[0]), most[1].min(window.output[1])];
    if tile[0] == 0 || tile[1] == 0 || (!columns && room < 3 * PITCH) {
        return Err(OutOfBounds);
    }
    let pitch = if columns { 1 } else { PITCH };
    let group = channels.min(PLANES);
    let tiles = Tiles { window, channels, group, input, layer, record, block, tile, plane, pitch, columns };
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
    block: Block,
    /// Outputs of a tile, `[rows, columns]`.
    tile: [usize; 2],
    /// Bytes of a plane.
    plane: usize,
    /// Bytes of a column of a plane, unless it has only one.
    pitch: usize,
    columns: bool,
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
        &self,
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
        let mut channel = 0;
        while channel < self.channels {
            // The last channels may overlap the ones before.
            let first = channel.min(self.channels.wrapping_sub(self.group));
            if !rows.is_empty() && !columns.is_empty() {
                let at = top.wrapping_mul(self.window.input[1]).wrapping_add(left).wrapping_mul(self.channels);
                let target = columns.start.wrapping_mul(self.pitch).wrapping_add(rows.start);
                self.spread(at.wrapping_add(first), [rows.len(), columns.len()], target, planes)?;
            }
            let at = row.wrapping_mul(self.window.output[1]).wrapping_add(column).wrapping_mul(self.channels);
            let codes = output.get_mut(at.wrapping_add(first)..).ok_or(OutOfBounds)?;
            self.products(first, planes, codes)?;
            channel = first.wrapping_add(self.group);
        }
        Ok(())
    }

    /// Spreads a group of channels of `rows` by `columns` pixels from input byte `at` on over the planes, from `target` on.
    fn spread(&self, at: usize, [rows, columns]: [usize; 2], target: usize, planes: &mut [i8]) -> Result {
        let row_bytes = self.window.input[1].wrapping_mul(self.channels);
        let reach = rows.wrapping_sub(1).wrapping_mul(row_bytes);
        let reach = reach.wrapping_add(columns.wrapping_sub(1).wrapping_mul(self.channels)).wrapping_add(self.group);
        let source = self.input.get(at..at.wrapping_add(reach)).ok_or(OutOfBounds)?;
        let end = columns.wrapping_sub(1).wrapping_mul(self.pitch).wrapping_add(rows).wrapping_add(target);
        if rows == 0 || columns == 0 || end > self.plane || planes.len() < self.plane.wrapping_mul(PLANES) {
            return Err(OutOfBounds);
        }
        let mut distances = [0; PLANES];
        for (plane, distance) in distances.iter_mut().enumerate() {
            *distance = u16::try_from(plane.wrapping_mul(self.plane)).map_err(|_| OutOfBounds)?;
        }
        // The longer axis is the inner loop.
        let by_rows = rows > columns;
        let pick =
            |of_rows: usize, of_columns: usize| if by_rows { [of_rows, of_columns] } else { [of_columns, of_rows] };
        let [inner, outer] = pick(rows, columns);
        let [source_step, source_row] = pick(row_bytes, self.channels);
        let [target_step, target_row] = pick(1, self.pitch);
        let frame = Spread {
            source: source.as_ptr(),
            target: planes.as_mut_ptr().wrapping_add(target),
            source_step,
            target_step,
            pixels: inner,
            rows: outer,
            source_row,
            target_row,
            channels: self.group,
            planes: distances,
        };
        // SAFETY: reads the group's bytes, up to eight, of each of `rows` by `columns` pixels, at least one; `source` ends behind the last.
        // Writes a byte for each of them to eight planes, at the distance of its row and column from `target`, of which
        // the largest was checked above.
        unsafe {
            match self.group {
                PLANES => nervelet_mve_spread(&raw const frame),
                _ => nervelet_mve_spread_few(&raw const frame),
            }
        };
        Ok(())
    }

    /// The outputs of a group of channels from `first` on; `codes` begin with the first of them.
    fn products(&self, first: usize, planes: &[i8], codes: &mut [i8]) -> Result {
        let Window { stride, kernel, output, .. } = *self.window;
        let row_bytes = output[1].wrapping_mul(self.channels);
        let [rows, columns] = self.tile;
        let [block_rows, block_columns] = self.block.extent;
        let last = rows.wrapping_sub(1).wrapping_mul(row_bytes);
        let last = last.wrapping_add(columns.wrapping_sub(1).wrapping_mul(self.channels)).wrapping_add(self.group);
        // Blocks follow each other along one axis of the tile.
        let (length, block, step) = match self.columns {
            true => (rows, block_rows, 1),
            false => (columns, block_columns, stride[1].wrapping_mul(PITCH)),
        };
        let last_block = length.saturating_sub(block);
        let end = match self.columns {
            true => rows.wrapping_add(kernel[0]),
            false => columns.wrapping_sub(1).wrapping_mul(step).wrapping_add(3 * PITCH),
        };
        let sound = end.wrapping_add(SLACK) <= self.plane.wrapping_add(1)
            && planes.len() >= self.plane.wrapping_mul(PLANES)
            && codes.len() >= last;
        if !sound {
            return Err(OutOfBounds);
        }
        let output_step = if self.columns { row_bytes } else { self.channels };
        let (mut distances, mut mask) = ([0; 8], 0_u32);
        // Codes come out as the first and the fifth, the second and the sixth, and so on.
        for (lane, distance) in distances.iter_mut().enumerate() {
            let number = lane / 2 + lane % 2 * 4;
            let (row, column) = (number % block_rows, number / block_rows);
            if row < rows && column < columns {
                mask |= 3 << (2 * lane);
                let at = row.wrapping_mul(row_bytes).wrapping_add(column.wrapping_mul(self.channels));
                *distance = u16::try_from(at).map_err(|_| OutOfBounds)?;
            }
        }
        let stream = self.layer.words.get(first.wrapping_mul(self.record)..).ok_or(OutOfBounds)?;
        if stream.len() < self.record.wrapping_mul(self.group) {
            return Err(OutOfBounds);
        }
        let frame = Planes {
            plane: planes.as_ptr(),
            stream: stream.as_ptr(),
            output: codes.as_mut_ptr(),
            channels: self.group,
            blocks_before_last: length.div_ceil(block).wrapping_sub(1),
            output_step: block.wrapping_mul(output_step),
            last_plane: last_block.wrapping_mul(step),
            last_output: last_block.wrapping_mul(output_step),
            plane_step: self.plane,
            zero_point: self.layer.output_zero_point,
            mask,
            distances,
        };
        // SAFETY: the stream has a record for each channel of the group. The vectors of each output begin where its window does, in or up to `SLACK`
        // bytes behind the columns of the tile, and end in the plane. Codes are written for the outputs of the tile alone:
        // those of a block that the mask holds, from block to block, at last those that end with the tile.
        unsafe { (self.block.kernel)(&raw const frame) };
        Ok(())
    }
}
