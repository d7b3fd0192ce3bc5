//! Index maps for the moves that networks make: transpositions, slices, tilings, and between space and depth.

use anyhow::{Context, Result, ensure};
use nervelet::ops::IndexMap;

/// The elements between neighbours along each axis of a row-major tensor.
pub fn strides(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as i64;
    }
    strides
}

/// A map from extents, strides and the first element; axes that walk alike are merged, at most six may be left.
pub fn index_map(extents: &[usize], strides: &[i64], offset: usize) -> Result<IndexMap> {
    ensure!(extents.len() == strides.len(), "{} extents but {} strides", extents.len(), strides.len());
    // From the innermost axis outwards.
    let mut merged: Vec<(usize, i64)> = Vec::new();
    for (extent, stride) in extents.iter().zip(strides).rev().filter(|(extent, _)| **extent != 1) {
        match merged.last_mut() {
            Some((inner, step)) if *step * *inner as i64 == *stride => *inner *= extent,
            _ => merged.push((*extent, *stride)),
        }
    }
    let mut map = IndexMap { extents: [1; 6], strides: [0; 6], offset: u32::try_from(offset)? };
    ensure!(merged.len() <= map.extents.len(), "moves along more than six axes");
    let slots = map.extents.iter_mut().zip(map.strides.iter_mut()).rev();
    for ((extent, stride), (count, step)) in slots.zip(merged) {
        (*extent, *stride) = (u32::try_from(count)?, i32::try_from(step)?);
    }
    Ok(map)
}

/// Output axis `i` is input axis `order[i]`.
pub fn transpose(shape: &[usize], order: &[usize]) -> Result<IndexMap> {
    let from = strides(shape);
    let pick = |axis: &usize| Some((*shape.get(*axis)?, *from.get(*axis)?));
    let (extents, strides): (Vec<_>, Vec<_>) =
        order.iter().map(pick).collect::<Option<Vec<_>>>().context("an axis does not exist")?.into_iter().unzip();
    index_map(&extents, &strides, 0)
}

/// Element `i` of an axis is input element `begin + i * step`.
pub fn slice(shape: &[usize], begin: &[usize], extents: &[usize], steps: &[i64]) -> Result<IndexMap> {
    let from = strides(shape);
    let walked: Vec<i64> = from.iter().zip(steps).map(|(stride, step)| stride * step).collect();
    let offset: i64 = from.iter().zip(begin).map(|(stride, begin)| stride * *begin as i64).sum();
    index_map(extents, &walked, usize::try_from(offset)?)
}

/// Repeats the tensor along its axes.
pub fn tile(shape: &[usize], repeats: &[usize]) -> Result<IndexMap> {
    let from = strides(shape);
    let axes = shape.iter().zip(repeats).zip(from);
    let (extents, strides): (Vec<_>, Vec<_>) =
        axes.flat_map(|((extent, repeats), stride)| [(*repeats, 0), (*extent, stride)]).unzip();
    index_map(&extents, &strides, 0)
}

/// Blocks of `block x block` pixels become the channels of one, rows first.
pub fn space_to_depth([rows, columns, channels]: [usize; 3], block: usize) -> Result<IndexMap> {
    let row = (columns * channels) as i64;
    let (channels_step, block_step) = (channels as i64, block as i64);
    index_map(
        &[rows / block, columns / block, block, block, channels],
        &[row * block_step, channels_step * block_step, row, channels_step, 1],
        0,
    )
}

/// The inverse of [`space_to_depth`]; `channels` is that of the output.
pub fn depth_to_space([rows, columns, channels]: [usize; 3], block: usize) -> Result<IndexMap> {
    let (inner, block_step) = (channels as i64, block as i64);
    let pixel = inner * block_step * block_step;
    index_map(
        &[rows, block, columns, block, channels],
        &[pixel * columns as i64, inner * block_step, pixel, inner, 1],
        0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(map: IndexMap, input: usize) -> Vec<usize> {
        let values: Vec<usize> = (0..input).collect();
        let mut output = vec![0; map.reach().0];
        nervelet::kernels::reference::rearrange(&map, &values, &mut output).unwrap();
        output
    }

    #[test]
    fn axes_merge() {
        assert_eq!(transpose(&[2, 3, 4], &[0, 1, 2]).unwrap().extents, [1, 1, 1, 1, 1, 24]);
        assert_eq!(transpose(&[2, 3, 4], &[2, 0, 1]).unwrap().extents, [1, 1, 1, 1, 4, 6]);
    }

    #[test]
    fn moves_are_those_of_numpy() {
        assert_eq!(apply(transpose(&[2, 3], &[1, 0]).unwrap(), 6), [0, 3, 1, 4, 2, 5]);
        assert_eq!(apply(slice(&[3, 4], &[2, 3], &[2, 2], &[-1, -2]).unwrap(), 12), [11, 9, 7, 5]);
        assert_eq!(apply(tile(&[2, 2], &[1, 2]).unwrap(), 4), [0, 1, 0, 1, 2, 3, 2, 3]);
        let blocks = apply(space_to_depth([2, 4, 1], 2).unwrap(), 8);
        assert_eq!(blocks, [0, 1, 4, 5, 2, 3, 6, 7]);
        let back = apply(depth_to_space([1, 2, 1], 2).unwrap(), 8);
        assert_eq!(back.iter().map(|at| blocks[*at]).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
