//! Parts of one memory side by side: what a step writes, and whatever it reads beside that.
//!
//! Every step of a model takes its operands out of the arena. Safe splits have to go through the memory in the order of
//! the parts, which costs more than the arithmetic of a small layer.

#![expect(unsafe_code, reason = "safe splits cost more than the arithmetic of a small layer")]

use core::marker::PhantomData;
use core::ops::Range;
use core::slice;

/// The most parts to write.
pub const MOST: usize = 4;

/// `N` parts of a memory to write, and all others to read.
#[derive(Debug)]
pub struct Parts<'a, const N: usize> {
    /// The parts to write, in the order asked for.
    pub written: [&'a mut [u8]; N],
    /// The others.
    pub others: Others<'a>,
}

/// A memory without the parts that are written.
#[derive(Debug)]
pub struct Others<'a> {
    start: *const u8,
    bytes: usize,
    written: [Range<usize>; MOST],
    memory: PhantomData<&'a [u8]>,
}

/// Whether a range lies within so many bytes.
#[inline(always)]
fn is_inside(range: &Range<usize>, bytes: usize) -> bool {
    range.start <= range.end && range.end <= bytes
}

/// Whether two ranges share no byte; an empty one shares none.
#[inline(always)]
fn are_apart(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.end <= b.start || b.end <= a.start || a.is_empty() || b.is_empty()
}

/// Whether one range ends where the other begins, or before.
#[inline(always)]
fn follow(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.end <= b.start || b.end <= a.start
}

/// The length of a range that is inside a memory.
#[inline(always)]
fn length(range: &Range<usize>) -> usize {
    range.end.wrapping_sub(range.start)
}

impl<'a, const N: usize> Parts<'a, N> {
    /// Takes the parts out of `memory`; `None` where one reaches outside, where two share a byte, or for more than [`MOST`].
    pub fn take(memory: &'a mut [u8], ranges: [Range<usize>; N]) -> Option<Self> {
        let bytes = memory.len();
        for (number, range) in ranges.iter().enumerate() {
            if !is_inside(range, bytes) || !ranges.iter().take(number).all(|other| are_apart(range, other)) {
                return None;
            }
        }
        let start = memory.as_mut_ptr();
        let mut written = [const { 0..0 }; MOST];
        written.get_mut(..N)?.clone_from_slice(&ranges);
        Some(Self {
            // SAFETY: the ranges lie within `memory`, which is borrowed for as long as the parts live; no byte belongs to two
            // of them, nor to any part that `Others` gives away.
            written: ranges.map(|range| unsafe { slice::from_raw_parts_mut(start.add(range.start), range.len()) }),
            others: Others { start, bytes, written, memory: PhantomData },
        })
    }
}

impl<'a> Others<'a> {
    /// The bytes of a range, unless it reaches outside or shares one with a part that is written.
    pub fn get(&self, range: Range<usize>) -> Option<&'a [u8]> {
        if !is_inside(&range, self.bytes) || !self.written.iter().all(|written| are_apart(&range, written)) {
            return None;
        }
        // SAFETY: it lies within the memory, which is borrowed for `'a`; whoever writes to it writes elsewhere.
        Some(unsafe { slice::from_raw_parts(self.start.add(range.start), range.len()) })
    }
}

/// A part to read and two to write: as [`Parts::take`] and [`Others::get`], in a straight line. An empty one may not lie inside
/// another one.
#[inline(always)]
pub fn three(memory: &mut [u8], read: Range<usize>, written: [Range<usize>; 2]) -> Option<(&[u8], [&mut [u8]; 2])> {
    let (bytes, [first, second]) = (memory.len(), written);
    if !is_inside(&read, bytes) || !is_inside(&first, bytes) || !is_inside(&second, bytes) {
        return None;
    }
    if !follow(&read, &first) || !follow(&read, &second) || !follow(&first, &second) {
        return None;
    }
    let start = memory.as_mut_ptr();
    // SAFETY: all three lie within `memory`, which is borrowed for as long as they live, and no byte belongs to two.
    Some(unsafe {
        (
            slice::from_raw_parts(start.add(read.start), length(&read)),
            [
                slice::from_raw_parts_mut(start.add(first.start), length(&first)),
                slice::from_raw_parts_mut(start.add(second.start), length(&second)),
            ],
        )
    })
}

/// A part to read and one to write, as [`three`].
#[inline(always)]
pub fn two(memory: &mut [u8], read: Range<usize>, written: Range<usize>) -> Option<(&[u8], &mut [u8])> {
    let bytes = memory.len();
    if !is_inside(&read, bytes) || !is_inside(&written, bytes) {
        return None;
    }
    if !follow(&read, &written) {
        return None;
    }
    let start = memory.as_mut_ptr();
    // SAFETY: both lie within `memory`, which is borrowed for as long as they live, and share no byte.
    Some(unsafe {
        (
            slice::from_raw_parts(start.add(read.start), length(&read)),
            slice::from_raw_parts_mut(start.add(written.start), length(&written)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Pcg32;

    #[test]
    fn parts_are_disjoint_ranges() {
        let mut random = Pcg32::new(5);
        let (mut some, mut none) = (0, 0);
        for _ in 0..if cfg!(miri) { 300 } else { 50_000 } {
            let memory: [u8; 12] = core::array::from_fn(|at| at as u8);
            let (mut ours, mut theirs) = (memory, memory);
            let mut range = || {
                let start = random.below(14) as usize;
                start..start + random.below(5) as usize
            };
            let ranges = [range(), range(), range()];
            let disjoint = |memory: &mut [u8; 12], ranges: [Range<usize>; 3]| {
                memory.get_disjoint_mut(ranges).ok().map(|[read, first, second]| {
                    first.fill(100);
                    second.fill(200);
                    read.to_vec()
                })
            };
            let expected = disjoint(&mut theirs, ranges.clone());
            let [read, first, second] = ranges.clone();
            let found = three(&mut ours, read, [first, second]).map(|(read, [first, second])| {
                first.fill(100);
                second.fill(200);
                read.to_vec()
            });
            assert_eq!((&found, ours), (&expected, theirs), "{ranges:?}");
            let [read, first, _] = ranges.clone();
            let expected = disjoint(&mut memory.clone(), [read.clone(), first.clone(), 0..0]);
            let mut ours = memory;
            let found = two(&mut ours, read, first).map(|(read, _)| read.to_vec());
            assert_eq!(found, expected, "{ranges:?}");
            // These may be empty anywhere in the memory.
            theirs = memory;
            let others = ranges.clone().map(|range| if range.is_empty() && range.end <= 12 { 0..0 } else { range });
            let expected = disjoint(&mut theirs, others);
            let [read, first, second] = ranges.clone();
            ours = memory;
            let found = Parts::take(&mut ours, [first, second]).and_then(|parts| {
                let read = parts.others.get(read)?;
                let [first, second] = parts.written;
                first.fill(100);
                second.fill(200);
                Some(read.to_vec())
            });
            assert_eq!((&found, ours), (&expected, theirs), "{ranges:?}");
            *if found.is_some() { &mut some } else { &mut none } += 1;
        }
        assert!(some > 10 && none > 10, "{some} apart, {none} not");
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "what an end that wraps around makes of a span")]
    fn no_ranges() {
        assert!(three(&mut [0; 8], 5..3, [0..0, 0..0]).is_none());
        assert!(three(&mut [0; 8], 0..0, [0..0, usize::MAX..1]).is_none());
        assert!(Parts::take(&mut [0; 8], [0..1, 5..3]).is_none());
        assert!(Parts::take(&mut [0; 8], [0..1, 1..2, 2..3, 3..4, 4..5]).is_none());
    }
}
