//! Parts of one memory side by side: what a step reads, its scratch memory, and what it writes.
//!
//! Every step of a model takes its operands out of the arena. The standard library's `get_disjoint_mut` does the same
//! with loops, and refuses empty ranges inside others.

#![expect(unsafe_code, reason = "safe splits cost more than the arithmetic of a small layer")]

use core::ops::Range;
use core::slice;

/// A part to read and two to write.
pub type Parts<'a> = (&'a [u8], [&'a mut [u8]; 2]);

/// The bytes of `read`, to read, beside those of `written`, to write.
///
/// `None` where one of them is no range of `memory`, or where two share a byte. An empty one shares none.
#[inline]
pub fn parts(memory: &mut [u8], read: Range<usize>, written: [Range<usize>; 2]) -> Option<Parts<'_>> {
    let [first, second] = written;
    let inside = |range: &Range<usize>| range.start <= range.end && range.end <= memory.len();
    let apart =
        |a: &Range<usize>, b: &Range<usize>| a.end <= b.start || b.end <= a.start || a.is_empty() || b.is_empty();
    let sound = inside(&read) && inside(&first) && inside(&second);
    if !sound || !apart(&read, &first) || !apart(&read, &second) || !apart(&first, &second) {
        return None;
    }
    let start = memory.as_mut_ptr();
    // SAFETY: all three lie within `memory`, which is borrowed for as long as they live, and no byte belongs to two.
    Some(unsafe {
        (
            slice::from_raw_parts(start.add(read.start), read.len()),
            [
                slice::from_raw_parts_mut(start.add(first.start), first.len()),
                slice::from_raw_parts_mut(start.add(second.start), second.len()),
            ],
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
            // There an empty range may not lie inside another one.
            let others = ranges.clone().map(|range| if range.is_empty() && range.end <= 12 { 0..0 } else { range });
            let expected = theirs.get_disjoint_mut(others).ok().map(|[read, first, second]| {
                first.fill(100);
                second.fill(200);
                read.to_vec()
            });
            let [read, first, second] = ranges.clone();
            let found = parts(&mut ours, read, [first, second]).map(|(read, [first, second])| {
                first.fill(100);
                second.fill(200);
                read.to_vec()
            });
            assert_eq!((&found, ours), (&expected, theirs), "{ranges:?}");
            *if found.is_some() { &mut some } else { &mut none } += 1;
        }
        assert!(some > 10 && none > 10, "{some} apart, {none} not");
    }

    #[test]
    fn no_ranges() {
        assert!(parts(&mut [0; 8], 5..3, [0..0, 0..0]).is_none());
        assert!(parts(&mut [0; 8], 0..0, [0..0, usize::MAX..1]).is_none());
    }
}
