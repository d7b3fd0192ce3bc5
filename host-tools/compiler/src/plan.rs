//! Where each buffer lies in the arena: offsets such that buffers alive at the same time don't overlap.

use std::collections::BTreeMap;

use nervelet::Model;
use nervelet::ops::Place;

/// A buffer with the first and last step it is alive at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Its size.
    pub bytes: usize,
    /// The first step that writes it, or 0 for an input.
    pub first: usize,
    /// The last step that reads it, or the last of all for an output.
    pub last: usize,
    /// Buffers of one place begin together: of two that follow each other, the second is written over the first.
    pub place: usize,
}

/// Offsets for buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One offset for each buffer.
    pub offsets: Vec<usize>,
    /// The size of the arena.
    pub arena_bytes: usize,
    /// The most bytes alive at one step: no plan is smaller.
    pub floor_bytes: usize,
}

/// Buffers start at multiples of this, which suits the widest element and word-wise kernels.
pub const ALIGNMENT: usize = 8;

/// How many orders the search tries at most, and how many pairs of buffers it compares in all of them.
const TRIES: usize = 20_000;
const COMPARISONS: usize = 100_000_000;

/// Plans the buffers: largest first, then random exchanges in that order until the floor is reached or the tries are
/// used up. The same buffers give the same plan.
pub fn plan(buffers: &[Buffer]) -> Plan {
    let sizes: Vec<usize> = buffers.iter().map(|buffer| buffer.bytes.next_multiple_of(ALIGNMENT)).collect();
    let steps = buffers.iter().map(|buffer| buffer.last + 1).max().unwrap_or(0);
    let floor_bytes = (0..steps).map(|step| alive_at(buffers, step)).max().unwrap_or(0);

    let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, buffer) in buffers.iter().enumerate() {
        places.entry(buffer.place).or_default().push(index);
    }
    let mut order: Vec<Vec<usize>> = places.into_values().collect();
    let largest = |place: &Vec<usize>| place.iter().map(|index| sizes[*index]).max();
    order.sort_by_key(|place| (std::cmp::Reverse(largest(place)), buffers[place[0]].first));
    let (mut offsets, mut arena_bytes) = place(buffers, &sizes, &order);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        // xorshift64 (Marsaglia, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..TRIES.min(COMPARISONS / (buffers.len() * buffers.len()).max(1)) {
        if arena_bytes == floor_bytes || order.len() < 2 {
            break;
        }
        let (a, b) = (random(order.len()), random(order.len()));
        order.swap(a, b);
        let (candidate, bytes) = place(buffers, &sizes, &order);
        if bytes <= arena_bytes {
            (offsets, arena_bytes) = (candidate, bytes);
        } else {
            order.swap(a, b);
        }
    }
    Plan { offsets, arena_bytes, floor_bytes }
}

/// The bytes of the buffers that live at a step; those of one place count once.
pub fn alive_at(buffers: &[Buffer], step: usize) -> usize {
    let mut largest: BTreeMap<usize, usize> = BTreeMap::new();
    for buffer in buffers.iter().filter(|buffer| (buffer.first..=buffer.last).contains(&step)) {
        let bytes = largest.entry(buffer.place).or_default();
        *bytes = buffer.bytes.next_multiple_of(ALIGNMENT).max(*bytes);
    }
    largest.values().sum()
}

/// Gives the buffers of each place in turn the lowest offset that is free throughout their lives.
fn place(buffers: &[Buffer], sizes: &[usize], order: &[Vec<usize>]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0_usize; buffers.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(buffers.len());
    let mut arena_bytes = 0;
    for place in order {
        // How far a buffer can move up before it meets another one, and where it is past that.
        let mut taken: Vec<(isize, usize)> = Vec::new();
        for &index in place {
            let buffer = buffers[index];
            let others = placed
                .iter()
                .filter(|other| buffers[**other].first <= buffer.last && buffer.first <= buffers[**other].last);
            taken.extend(others.map(|other| {
                (offsets[*other].cast_signed() - sizes[index].cast_signed(), offsets[*other] + sizes[*other])
            }));
        }
        taken.sort_unstable();
        let mut offset = 0_usize;
        for (most, end) in taken {
            if offset.cast_signed() <= most {
                break;
            }
            offset = offset.max(end);
        }
        for &index in place {
            offsets[index] = offset;
            arena_bytes = arena_bytes.max(offset + sizes[index]);
            placed.push(index);
        }
    }
    (offsets, arena_bytes)
}

/// The most bytes alive at one step of a model file: what its plan could not be smaller than.
pub fn floor_of(model: &Model<'_>) -> usize {
    let count = model.tensors().len();
    let last_step = model.steps().count().saturating_sub(1);
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; count];
    let mut touch = |index: u16, step: usize| {
        if let Some(life) = lives.get_mut(usize::from(index)) {
            let (first, last) = life.unwrap_or((step, step));
            *life = Some((first.min(step), last.max(step)));
        }
    };
    model.inputs().iter().for_each(|port| touch(port.tensor, 0));
    for (number, step) in model.steps().enumerate() {
        step.inputs().chain(step.outputs()).for_each(|index| touch(index, number));
    }
    model.outputs().iter().for_each(|port| touch(port.tensor, last_step));
    let alive = |step: usize| {
        let tensors = model.tensors().iter().zip(&lives).filter_map(move |(tensor, life)| {
            let (first, last) = (*life)?;
            let alive = tensor.place == Place::Arena && (first..=last).contains(&step);
            alive.then(|| (tensor.offset as usize, tensor.span().end()))
        });
        // Views of one buffer count once: the length of the union.
        let mut spans: Vec<(usize, usize)> = tensors.collect();
        spans.sort_unstable();
        let mut covered = 0;
        spans.iter().fold(0, |length, (start, end)| {
            let start = covered.max(*start);
            covered = covered.max(*end);
            length + end.saturating_sub(start)
        })
    };
    (0..=last_step).map(alive).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_alive_together_are_apart() {
        let mut state = 7_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..200 {
            let mut buffers: Vec<Buffer> = (0..12)
                .map(|place| {
                    let first = random(10) as usize;
                    Buffer { bytes: 1 + random(500) as usize, first, last: first + random(4) as usize, place }
                })
                .collect();
            // Two more that are written over others.
            for place in [3, 7] {
                let first = buffers[place].last;
                buffers.push(Buffer {
                    bytes: 1 + random(900) as usize,
                    first,
                    last: first + random(3) as usize,
                    place,
                });
            }
            let plan = plan(&buffers);
            assert!(plan.arena_bytes >= plan.floor_bytes);
            for (i, a) in buffers.iter().enumerate() {
                assert!(plan.offsets[i] + a.bytes <= plan.arena_bytes);
                assert!(plan.offsets[i].is_multiple_of(ALIGNMENT));
                for (j, b) in buffers.iter().enumerate().skip(i + 1) {
                    if a.place == b.place {
                        assert_eq!(plan.offsets[i], plan.offsets[j]);
                        continue;
                    }
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart =
                        plan.offsets[i] + a.bytes <= plan.offsets[j] || plan.offsets[j] + b.bytes <= plan.offsets[i];
                    assert!(!together || apart);
                }
            }
        }
    }

    #[test]
    fn a_chain_reaches_the_floor() {
        let sizes = [500, 8000, 8000, 8000, 64, 12];
        let buffers: Vec<Buffer> = sizes
            .iter()
            .enumerate()
            .map(|(i, bytes)| Buffer { bytes: *bytes, first: i.saturating_sub(1), last: i, place: i })
            .collect();
        assert_eq!(plan(&buffers).arena_bytes, 16_000);
        // The three large ones, written over each other, take the memory of one.
        let place = |place: usize| if (1..=3).contains(&place) { 1 } else { place };
        let buffers = buffers.iter().map(|buffer| Buffer { place: place(buffer.place), ..*buffer });
        assert_eq!(plan(&Vec::from_iter(buffers)).arena_bytes, 8504);
    }
}
