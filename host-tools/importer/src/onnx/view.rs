//! How an operator of the file sees a tensor in memory: shape, strides and first element, as arrays in numpy do.
//!
//! Transpositions, slices, splits, repetitions and most reshapes only change the view; no element moves until an
//! operator wants an order that the memory does not have. So layers are computed channels-last whatever the file says,
//! and a flattened image meets its dense layer without a transposition: an axis may consist of several dimensions
//! that lie in any order in memory.

use anyhow::{Context, Result, ensure};

/// Some elements at equal distances in memory; one dimension of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Dimension {
    /// The number of elements, above 1.
    pub(super) extent: usize,
    /// From one to the next, in elements.
    pub(super) stride: i64,
}

/// A tensor as the file sees it, over elements in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// The element of memory that is the first.
    pub(super) offset: usize,
    /// Each axis as its dimensions, outermost first; an axis of extent 1 has none.
    pub(super) axes: Vec<Vec<Dimension>>,
}

fn extent(axis: &[Dimension]) -> usize {
    axis.iter().map(|dimension| dimension.extent).product()
}

/// Neighbours that walk as one dimension become one.
fn merged(dimensions: impl IntoIterator<Item = Dimension>) -> Vec<Dimension> {
    let mut merged: Vec<Dimension> = Vec::new();
    for inner in dimensions {
        match merged.last_mut() {
            Some(outer) if outer.stride == inner.stride * inner.extent as i64 => {
                *outer = Dimension { extent: outer.extent * inner.extent, stride: inner.stride };
            }
            _ => merged.push(inner),
        }
    }
    merged
}

impl View {
    /// All elements of a shape, row-major.
    pub(super) fn of(shape: &[usize]) -> Self {
        let order: Vec<usize> = (0..shape.len()).collect();
        let axis = |extent: &usize| if *extent == 1 { vec![] } else { vec![Dimension { extent: *extent, stride: 0 }] };
        Self { offset: 0, axes: shape.iter().map(axis).collect() }.packed(&order)
    }

    /// The extents of the axes.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| extent(axis)).collect()
    }

    /// The number of axes.
    pub(super) fn rank(&self) -> usize {
        self.axes.len()
    }

    /// The number of elements seen.
    pub(super) fn elements(&self) -> usize {
        self.shape().iter().product()
    }

    /// The dimensions of the axes in an order, outermost first.
    pub(super) fn dimensions(&self, order: &[usize]) -> Vec<Dimension> {
        order.iter().flat_map(|axis| self.axes[*axis].iter().copied()).collect()
    }

    /// The same dimensions over memory in which the axes lie densely in an order.
    pub(super) fn packed(&self, order: &[usize]) -> Self {
        let mut axes = self.axes.clone();
        let mut stride = 1;
        for axis in order.iter().rev() {
            for dimension in axes[*axis].iter_mut().rev() {
                dimension.stride = stride;
                stride *= dimension.extent as i64;
            }
        }
        Self { offset: 0, axes: axes.into_iter().map(merged).collect() }
    }

    /// The dimensions as they lie in memory, outermost first, if they are all of a tensor of `elements` once.
    pub(super) fn memory(&self, elements: usize) -> Option<Vec<Dimension>> {
        let mut dimensions: Vec<Dimension> = self.axes.iter().flatten().copied().collect();
        dimensions.sort_by_key(|dimension| std::cmp::Reverse(dimension.stride));
        let mut inner = 1;
        for dimension in dimensions.iter().rev() {
            if dimension.stride != inner {
                return None;
            }
            inner *= dimension.extent as i64;
        }
        (self.offset == 0 && inner == elements as i64).then_some(dimensions)
    }

    /// Whether the axes lie in memory densely in an order and are all of a tensor of `elements`.
    pub(super) fn lies_in(&self, order: &[usize], elements: usize) -> bool {
        self.memory(elements).is_some_and(|memory| memory == self.dimensions(order))
    }

    /// The order of the axes in memory, if they are all of a tensor of `elements` and each lies as one dimension.
    pub(super) fn order(&self, elements: usize) -> Option<Vec<usize>> {
        let single = self.axes.iter().all(|axis| merged(axis.iter().copied()).len() <= 1);
        self.memory(elements).filter(|_| single)?;
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        // Axes of extent 1 come first, where they change nothing.
        order.sort_by_key(|axis| std::cmp::Reverse(self.axes[*axis].last().map_or(i64::MAX, |inner| inner.stride)));
        Some(order)
    }

    /// The dimensions of an axis as they lie in memory, if they are the innermost of a tensor of `elements`.
    pub(super) fn innermost(&self, axis: usize, elements: usize) -> Option<Vec<Dimension>> {
        let memory = self.memory(elements)?;
        let tail = memory.split_at_checked(memory.len().checked_sub(self.axes[axis].len())?)?.1;
        tail.iter().all(|dimension| self.axes[axis].contains(dimension)).then(|| tail.to_vec())
    }

    /// Axis `i` is axis `order[i]` of this view.
    pub(super) fn transposed(&self, order: &[usize]) -> Result<Self> {
        let mut seen = vec![false; self.rank()];
        let fresh = order.iter().all(|axis| seen.get_mut(*axis).is_some_and(|seen| !std::mem::replace(seen, true)));
        ensure!(fresh && order.len() == self.rank(), "{order:?} is no order of {} axes", self.rank());
        Ok(Self { offset: self.offset, axes: order.iter().map(|axis| self.axes[*axis].clone()).collect() })
    }

    /// The same elements in another shape, or `None` where they have to be moved for that.
    pub(super) fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let mut left = merged(self.axes.iter().flatten().copied()).into_iter();
        let mut current: Option<Dimension> = None;
        let mut axes = Vec::with_capacity(shape.len());
        for wanted in shape {
            let (mut axis, mut open) = (Vec::new(), *wanted);
            while open > 1 {
                let dimension = current.take().or_else(|| left.next())?;
                if open.is_multiple_of(dimension.extent) {
                    open /= dimension.extent;
                    axis.push(dimension);
                } else if dimension.extent.is_multiple_of(open) {
                    let inner = dimension.extent / open;
                    axis.push(Dimension { extent: open, stride: dimension.stride * inner as i64 });
                    current = Some(Dimension { extent: inner, stride: dimension.stride });
                    open = 1;
                } else {
                    return None;
                }
            }
            axes.push(axis);
        }
        (current.is_none() && left.next().is_none()).then_some(Self { offset: self.offset, axes })
    }

    /// Every `step`-th element of an axis from `begin`, or `None` where the axis has to be made one dimension first.
    pub(super) fn sliced(&self, axis: usize, begin: usize, count: usize, step: i64) -> Option<Self> {
        let mut view = self.clone();
        let dimensions = merged(view.axes[axis].iter().copied());
        let stride = match dimensions[..] {
            [] => 0,
            [dimension] => dimension.stride,
            _ => return None,
        };
        let offset = view.offset as i64 + stride * begin as i64;
        view.offset = usize::try_from(offset).ok()?;
        view.axes[axis] = if count == 1 { vec![] } else { vec![Dimension { extent: count, stride: stride * step }] };
        Some(view)
    }

    /// Repeats axes of extent 1 and puts new ones in front, as numpy broadcasts.
    pub(super) fn expanded(&self, shape: &[usize]) -> Result<Self> {
        let own = self.shape();
        let lead =
            shape.len().checked_sub(own.len()).with_context(|| format!("{own:?} does not expand to {shape:?}"))?;
        let mut axes = vec![Vec::new(); lead];
        axes.extend(self.axes.iter().cloned());
        for (axis, wanted) in axes.iter_mut().zip(shape) {
            match extent(axis) {
                found if found == *wanted => {}
                1 => *axis = vec![Dimension { extent: *wanted, stride: 0 }],
                _ => anyhow::bail!("{own:?} does not expand to {shape:?}"),
            }
        }
        Ok(Self { offset: self.offset, axes })
    }

    /// The dimensions of an axis cut into extents, or `None` where they don't divide so.
    pub(super) fn cut(&self, axis: usize, extents: &[usize]) -> Option<Vec<Dimension>> {
        let alone = Self { offset: 0, axes: vec![self.axes[axis].clone()] };
        Some(alone.reshaped(extents)?.axes.into_iter().flatten().collect())
    }

    /// The position in memory of every element, row-major.
    pub(super) fn positions(&self) -> Vec<usize> {
        let mut positions = vec![self.offset as i64];
        for dimension in self.axes.iter().flatten() {
            let steps = |start: i64| (0..dimension.extent as i64).map(move |step| start + step * dimension.stride);
            positions = positions.into_iter().flat_map(steps).collect();
        }
        positions.into_iter().map(|position| usize::try_from(position).unwrap_or(usize::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_those_of_numpy() {
        let view = View::of(&[2, 3]).transposed(&[1, 0]).unwrap();
        assert_eq!(view.positions(), [0, 3, 1, 4, 2, 5]);
        let view = View::of(&[3, 4]).sliced(0, 2, 2, -1).unwrap().sliced(1, 3, 2, -2).unwrap();
        assert_eq!(view.positions(), [11, 9, 7, 5]);
        let view = View::of(&[2, 1]).expanded(&[1, 2, 2]).unwrap();
        assert_eq!(view.positions(), [0, 0, 1, 1]);
        assert!(View::of(&[2, 3]).expanded(&[3, 3]).is_err());
        assert!(View::of(&[2, 3]).transposed(&[0, 0]).is_err());
    }

    #[test]
    fn a_flattened_image_stays_channels_last() {
        // 2 channels, 2 rows, 3 columns, channels innermost in memory.
        let image = View::of(&[1, 2, 2, 3]).packed(&[0, 2, 3, 1]);
        let flat = image.reshaped(&[1, 12]).unwrap();
        assert_eq!(flat.positions(), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        let memory = flat.innermost(1, 12).unwrap();
        assert_eq!(memory.iter().map(|dimension| dimension.extent).collect::<Vec<_>>(), [6, 2]);
        assert_eq!(flat.order(12), None);
        assert_eq!(image.order(12), Some(vec![0, 2, 3, 1]));
    }

    #[test]
    fn reshapes_that_need_moves_say_so() {
        let view = View::of(&[4, 3]).transposed(&[1, 0]).unwrap();
        assert_eq!(view.reshaped(&[2, 6]), None);
        assert!(view.reshaped(&[3, 2, 2]).is_some());
        assert_eq!(View::of(&[4, 3]).reshaped(&[6, 2]).unwrap(), View::of(&[6, 2]));
        assert_eq!(View::of(&[4, 3]).reshaped(&[4, 4]), None);
    }

    #[test]
    fn slices_are_not_all_of_memory() {
        let view = View::of(&[4, 3]).sliced(0, 0, 2, 1).unwrap();
        assert!(!view.lies_in(&[0, 1], 12));
        assert_eq!(view.memory(12), None);
        assert!(View::of(&[4, 3]).lies_in(&[0, 1], 12));
    }
}
