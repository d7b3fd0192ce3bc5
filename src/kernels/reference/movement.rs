//! Moves elements: by an affine map of the output's index, along an axis by a table, or along time through a history.

use serde::{Deserialize, Serialize};

use super::super::{OutOfBounds, Result};

/// Output element `[i0, .., i5]` is input element `offset + i0 * strides[0] + .. + i5 * strides[5]`.
///
/// Transpositions, slices with any step, splits, tilings, and moves between space and depth are all of this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IndexMap {
    /// The extents of the output, read over six axes; unused leading ones are 1.
    pub extents: [u32; 6],
    /// Input elements between neighbours of each axis; negative to walk backwards, 0 to repeat.
    pub strides: [i32; 6],
    /// The input element of the output's first.
    pub offset: u32,
}

impl IndexMap {
    /// The number of output elements, and the smallest and largest input element; saturate.
    pub fn reach(&self) -> (usize, i64, i64) {
        let mut reach = (1_usize, i64::from(self.offset), i64::from(self.offset));
        for (extent, stride) in self.extents.iter().zip(&self.strides) {
            let span = i64::from(extent.saturating_sub(1)).saturating_mul((*stride).into());
            reach.0 = reach.0.saturating_mul(*extent as usize);
            reach.1 = reach.1.saturating_add(span.min(0));
            reach.2 = reach.2.saturating_add(span.max(0));
        }
        reach
    }
}

/// Writes the output of an index map.
pub fn rearrange<T: Copy>(map: &IndexMap, input: &[T], output: &mut [T]) -> Result {
    let [outer_extents @ .., row] = map.extents;
    let [outer_strides @ .., step] = map.strides;
    let mut index = [0_u32; 5];
    // Two's complement: a negative stride is a large one that wraps.
    let mut start = map.offset;
    for row in output.chunks_exact_mut((row as usize).max(1)) {
        if step == 1 {
            let end = (start as usize).wrapping_add(row.len());
            row.copy_from_slice(input.get(start as usize..end).ok_or(OutOfBounds)?);
        } else {
            let mut at = start;
            for element in row {
                *element = *input.get(at as usize).ok_or(OutOfBounds)?;
                at = at.wrapping_add_signed(step);
            }
        }
        for ((index, extent), stride) in index.iter_mut().zip(&outer_extents).zip(&outer_strides).rev() {
            *index = index.wrapping_add(1);
            start = start.wrapping_add_signed(*stride);
            if *index < *extent {
                break;
            }
            start = start.wrapping_sub(extent.wrapping_mul(*stride as u32));
            *index = 0;
        }
    }
    Ok(())
}

/// Row `j` of each output block is row `rows[j]` of the input's block of `count` rows of `length` elements.
pub fn gather<T: Copy>(count: usize, length: usize, rows: &[u32], input: &[T], output: &mut [T]) -> Result {
    let (length, block) = (length.max(1), length.wrapping_mul(count).max(1));
    let blocks = output.chunks_exact_mut(length.wrapping_mul(rows.len()).max(1));
    for (source, target) in input.chunks_exact(block).zip(blocks) {
        for (row, target) in rows.iter().zip(target.chunks_exact_mut(length)) {
            let at = (*row as usize).wrapping_mul(length);
            target.copy_from_slice(source.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?);
        }
    }
    Ok(())
}

/// Rows of `length` bytes of a table by indices. Negative ones count from the end; those outside take the nearest row.
pub fn embedding(length: usize, indices: &[i32], table: &[u8], output: &mut [u8]) -> Result {
    let length = length.max(1);
    let count = i64::try_from(table.len() / length).map_err(|_| OutOfBounds)?;
    for (index, target) in indices.iter().zip(output.chunks_exact_mut(length)) {
        let index = i64::from(*index);
        let row = if index < 0 { index.wrapping_add(count) } else { index }.clamp(0, count.saturating_sub(1).max(0));
        let at = (row as usize).wrapping_mul(length);
        target.copy_from_slice(table.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)?);
    }
    Ok(())
}

/// Which bytes of a history move, in each of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shift {
    /// Bytes of a block: all columns.
    pub block: u32,
    /// Bytes that are written anew at the start of a block.
    pub front: u32,
    /// Bytes that are written anew at the end of a block.
    pub back: u32,
    /// How far those between the two move towards the start, at most `back`.
    pub by: u32,
}

/// Moves the columns of each block of a history and writes new ones at its ends.
pub fn shift(shift: &Shift, front: &[u8], back: &[u8], history: &mut [u8]) -> Result {
    let [block, fronts, backs, by] = [shift.block, shift.front, shift.back, shift.by].map(|bytes| bytes as usize);
    let mut front = front.chunks_exact(fronts.max(1));
    let mut back = back.chunks_exact(backs.max(1));
    for block in history.chunks_exact_mut(block.max(1)) {
        let kept = block.len().checked_sub(backs).ok_or(OutOfBounds)?;
        if let Some(moving) = block.get_mut(fronts..kept.wrapping_add(by)).filter(|moving| by <= moving.len()) {
            moving.copy_within(by.., 0);
        }
        let (before, end) = block.split_at_mut_checked(kept).ok_or(OutOfBounds)?;
        end.copy_from_slice(back.next().filter(|back| back.len() == end.len()).ok_or(OutOfBounds)?);
        if fronts > 0 {
            let start = before.get_mut(..fronts).ok_or(OutOfBounds)?;
            start.copy_from_slice(front.next().filter(|front| front.len() == start.len()).ok_or(OutOfBounds)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_outside_a_table_take_the_nearest_row() {
        let table: [u8; 6] = [0, 1, 2, 3, 4, 5];
        let mut rows = [9; 16];
        embedding(2, &[0, 2, -1, -3, 3, i32::MAX, -4, i32::MIN], &table, &mut rows).unwrap();
        assert_eq!(rows, [0, 1, 4, 5, 4, 5, 0, 1, 4, 5, 4, 5, 0, 1, 0, 1]);
        assert_eq!(embedding(2, &[0], &[], &mut rows), Err(OutOfBounds));
    }

    #[test]
    fn maps_transpose_slice_reverse_and_repeat() {
        let input: [u8; 6] = [0, 1, 2, 3, 4, 5];
        let apply = |extents: [u32; 2], strides: [i32; 2], offset| {
            let map = IndexMap {
                extents: [1, 1, 1, 1, extents[0], extents[1]],
                strides: [0, 0, 0, 0, strides[0], strides[1]],
                offset,
            };
            let mut output = std::vec![9; (extents[0] * extents[1]) as usize];
            rearrange(&map, &input, &mut output).map(|()| output)
        };
        assert_eq!(apply([3, 2], [1, 3], 0).unwrap(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(apply([2, 2], [3, 1], 1).unwrap(), [1, 2, 4, 5]);
        assert_eq!(apply([2, 3], [-3, -1], 5).unwrap(), [5, 4, 3, 2, 1, 0]);
        assert_eq!(apply([2, 2], [0, 1], 4).unwrap(), [4, 5, 4, 5]);
        assert_eq!(apply([2, 2], [3, 2], 2), Err(OutOfBounds));
    }

    #[test]
    fn histories_take_in_what_is_new() {
        let bytes = |front, back, by| Shift { block: 5, front, back, by };
        let mut history = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        shift(&bytes(0, 2, 2), &[], &[11, 12, 13, 14], &mut history).unwrap();
        assert_eq!(history, [3, 4, 5, 11, 12, 8, 9, 10, 13, 14]);
        // The columns at the ends depend on where the window lies; the two between them move by one.
        let mut history = [0, 1, 2, 3, 9];
        shift(&bytes(1, 2, 1), &[7], &[4, 5], &mut history).unwrap();
        assert_eq!(history, [7, 2, 3, 4, 5]);
        shift(&bytes(0, 5, 3), &[], &[1, 2, 3, 4, 5], &mut history).unwrap();
        assert_eq!(history, [1, 2, 3, 4, 5]);
        assert_eq!(shift(&bytes(0, 6, 1), &[], &[0; 6], &mut history), Err(OutOfBounds));
        assert_eq!(shift(&bytes(0, 2, 1), &[], &[0; 1], &mut history), Err(OutOfBounds));
    }

    #[test]
    fn gathers_rows() {
        let mut output = [0; 6];
        gather(3, 1, &[2, 0, 0], &[1, 2, 3, 4, 5, 6], &mut output).unwrap();
        assert_eq!(output, [3, 1, 1, 6, 4, 4]);
        assert_eq!(gather(3, 1, &[3, 0, 0], &[1, 2, 3, 4, 5, 6], &mut output), Err(OutOfBounds));
    }
}
