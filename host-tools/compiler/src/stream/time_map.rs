//! Time in an index map: which of its axes walks along columns, and the same map over another number of columns.

use anyhow::Result;
use nervelet::ops::IndexMap;

use crate::index_map::index_map;

/// An index map that picks neighbouring columns, and the same from each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeMap {
    /// Extents and strides from the outermost axis inwards; those of time are marked.
    axes: Vec<Axis>,
    /// The first column.
    pub(super) first: usize,
    /// The number of columns.
    pub(super) count: usize,
    /// Elements of a column between two neighbours in time, and columns of the input.
    inner: usize,
    columns: usize,
    /// The first element: blocks of all columns, and the place within a column.
    outer_offset: usize,
    inner_offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    extent: usize,
    stride: i64,
    is_time: bool,
}

impl TimeMap {
    /// Follows an axis of an input through a map; `None` where the map mixes columns or leaves some out.
    pub(super) fn of(map: &IndexMap, shape: &[usize], axis: usize) -> Option<Self> {
        let columns = *shape.get(axis)?;
        let inner: usize = shape.iter().skip(axis + 1).product();
        let (block, offset) = (columns * inner, map.offset as usize);
        let mut time = Self {
            axes: Vec::new(),
            first: offset % block / inner,
            count: 1,
            inner,
            columns,
            outer_offset: offset / block,
            inner_offset: offset % inner,
        };
        let pairs = map.extents.iter().zip(&map.strides).filter(|(extent, _)| **extent != 1);
        for (extent, stride) in pairs {
            time.push(*extent as usize, i64::from(*stride))?;
        }
        let reach = |sign: i64| -> i64 {
            let inside = time.axes.iter().filter(|axis| axis.stride.unsigned_abs() < inner as u64);
            inside.map(|axis| ((axis.extent as i64 - 1) * axis.stride * sign).max(0)).sum()
        };
        let offset = time.inner_offset as i64;
        let inside = offset + reach(1) < inner as i64 && offset >= reach(-1);
        (inside && time.first + time.count <= columns).then_some(time)
    }

    /// Adds an axis, apart where it runs over the end of a column or of all columns.
    fn push(&mut self, extent: usize, stride: i64) -> Option<()> {
        let (inner, block) = (self.inner as i64, (self.inner * self.columns) as i64);
        let (unit, is_time) = match stride {
            _ if stride % block == 0 => {
                self.axes.push(Axis { extent, stride, is_time: false });
                return Some(());
            }
            _ if stride == inner => (self.columns, true),
            _ if stride % inner == 0 => return None,
            _ if stride > 0 && inner % stride == 0 => ((inner / stride) as usize, false),
            _ => (usize::MAX, false),
        };
        let starts_at_zero = if is_time { self.first == 0 } else { (self.inner_offset as i64) < stride };
        if extent > unit {
            if !starts_at_zero || !extent.is_multiple_of(unit) {
                return None;
            }
            self.push(extent / unit, stride * unit as i64)?;
            return self.push(unit, stride);
        }
        if is_time && std::mem::replace(&mut self.count, extent) != 1 {
            return None;
        }
        self.axes.push(Axis { extent, stride, is_time });
        Some(())
    }

    /// The axis of an output of this shape that is time.
    pub(super) fn output_axis(&self, shape: &[usize]) -> Option<usize> {
        let position = self.axes.iter().position(|axis| axis.is_time)?;
        let behind: usize = self.axes.iter().skip(position + 1).map(|axis| axis.extent).product();
        (0..shape.len())
            .find(|axis| shape[*axis] == self.count && shape.iter().skip(axis + 1).product::<usize>() == behind)
    }

    /// The map that picks `count` columns from `first` on, out of an input of `columns`.
    pub(super) fn over(&self, columns: usize, first: usize, count: usize) -> Result<IndexMap> {
        let (old, new) = ((self.inner * self.columns) as i64, (self.inner * columns) as i64);
        let extents: Vec<usize> = self.axes.iter().map(|axis| if axis.is_time { count } else { axis.extent }).collect();
        let stride = |axis: &Axis| if axis.stride % old == 0 { axis.stride / old * new } else { axis.stride };
        let strides: Vec<i64> = self.axes.iter().map(stride).collect();
        let offset = self.outer_offset * new as usize + first * self.inner + self.inner_offset;
        index_map(&extents, &strides, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_map::{slice, transpose};

    #[test]
    fn follows_transpositions_and_slices() {
        // Time behind and before the channels.
        let map = TimeMap::of(&transpose(&[1, 3, 8], &[0, 2, 1]).unwrap(), &[1, 3, 8], 2).unwrap();
        assert_eq!((map.first, map.count, map.output_axis(&[1, 8, 3])), (0, 8, Some(1)));
        assert_eq!(map.over(2, 0, 2).unwrap(), transpose(&[1, 3, 2], &[0, 2, 1]).unwrap());
        // A crop of both ends, merged with the channels.
        let map = TimeMap::of(&slice(&[1, 8, 3], &[0, 2, 0], &[1, 5, 3], &[1; 3]).unwrap(), &[1, 8, 3], 1).unwrap();
        assert_eq!((map.first, map.count, map.output_axis(&[1, 5, 3])), (2, 5, Some(1)));
        assert_eq!(map.over(4, 1, 2).unwrap(), slice(&[1, 4, 3], &[0, 1, 0], &[1, 2, 3], &[1; 3]).unwrap());
        // The last step, and some channels of it.
        let map = TimeMap::of(&slice(&[1, 8, 3], &[0, 7, 1], &[1, 1, 2], &[1; 3]).unwrap(), &[1, 8, 3], 1).unwrap();
        assert_eq!((map.first, map.count, map.output_axis(&[1, 2])), (7, 1, None));
        assert_eq!(map.over(1, 0, 1).unwrap(), slice(&[1, 1, 3], &[0, 0, 1], &[1, 1, 2], &[1; 3]).unwrap());
    }

    #[test]
    fn refuses_what_mixes_columns() {
        assert!(TimeMap::of(&slice(&[1, 8, 3], &[0, 7, 0], &[1, 8, 3], &[1, -1, 1]).unwrap(), &[1, 8, 3], 1).is_none());
        assert!(TimeMap::of(&slice(&[1, 8, 3], &[0, 0, 0], &[1, 4, 3], &[1, 2, 1]).unwrap(), &[1, 8, 3], 1).is_none());
        // Elements from the end of one column and the start of the next.
        let across = index_map(&[4, 3], &[3, 1], 1).unwrap();
        assert!(TimeMap::of(&across, &[1, 8, 3], 1).is_none());
    }
}
