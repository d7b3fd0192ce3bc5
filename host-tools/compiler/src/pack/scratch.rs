//! How much scratch memory each step gets: what its kernel can use, where the arena has room beside what is alive.

use anyhow::Result;

use crate::graph::Graph;
use crate::lower::Lowered;
use crate::plan::{ALIGNMENT, Buffer, alive_at, plan};
use crate::program::Program;
use crate::write::{Sharing, buffers};

/// What scratch memory may add to the arena.
const ALLOWANCE: usize = 2560;

/// Gives steps more scratch memory than they need, as long as the arena does not grow by it beyond the allowance.
pub(crate) fn grow(graph: &Graph, lowered: &mut Lowered) -> Result<()> {
    let least: Vec<usize> = lowered.program.steps.iter().map(|step| step.scratch_bytes).collect();
    if least.iter().all(|bytes| *bytes == 0) {
        return Ok(());
    }
    for step in &mut lowered.program.steps {
        step.scratch_bytes = 0;
    }
    let alive: Vec<_> = buffers(graph, lowered, Sharing::ByLifetime)?.into_iter().flatten().collect();
    let alive_at = |step: usize| alive_at(&alive, step);
    let floor = (0..least.len()).map(alive_at).max().unwrap_or(0);
    let limit = floor + ALLOWANCE;
    for budget in [limit, limit - ALLOWANCE / 2, floor, 0] {
        for (number, (step, least)) in lowered.program.steps.iter_mut().zip(&least).enumerate() {
            let room = budget.saturating_sub(alive_at(number)) / ALIGNMENT * ALIGNMENT;
            step.scratch_bytes = if *least == 0 { 0 } else { room.min(step.most_scratch_bytes).max(*least) };
        }
        let planned = plan(&crate::write::with_scratch(&lowered.program, alive.iter().copied()));
        if planned.arena_bytes <= limit {
            break;
        }
    }
    Ok(())
}

/// Moves each step's scratch memory, at `places` for the steps that have some, to where the most room is beside the buffers
/// alive, up to what its kernel can use. The arena grows as far as it may by all scratch memory; returns its size.
pub(crate) fn use_room(
    program: &mut Program,
    alive: &[(Buffer, usize)],
    places: &mut [usize],
    arena_bytes: usize,
) -> usize {
    let at = |step: usize| {
        let alive = alive.iter().filter(move |(buffer, _)| (buffer.first..=buffer.last).contains(&step));
        alive.map(|(buffer, offset)| (*offset, offset + buffer.bytes.next_multiple_of(ALIGNMENT)))
    };
    let buffers: Vec<Buffer> = alive.iter().map(|(buffer, _)| *buffer).collect();
    let floor = (0..program.steps.len()).map(|step| alive_at(&buffers, step)).max().unwrap_or(0);
    let limit = arena_bytes.max(floor + ALLOWANCE);
    let mut arena_bytes = arena_bytes;
    let steps = program.steps.iter_mut().enumerate().filter(|(_, step)| step.scratch_bytes > 0);
    for ((number, step), place) in steps.zip(places) {
        let mut taken: Vec<(usize, usize)> = at(number).collect();
        taken.sort_unstable();
        taken.push((limit, limit));
        let (mut end, mut gaps) = (0, Vec::new());
        for (start, next) in taken {
            gaps.push((start.saturating_sub(end) / ALIGNMENT * ALIGNMENT, end));
            end = end.max(next);
        }
        // The first of those with the most room that is of use.
        let room = |gap: &(usize, usize)| (gap.0.min(step.most_scratch_bytes), std::cmp::Reverse(gap.1));
        if let Some((_, start)) = gaps.iter().copied().max_by_key(room).filter(|gap| room(gap).0 > step.scratch_bytes) {
            step.scratch_bytes = gaps.iter().map(|gap| room(gap).0).max().unwrap_or(0);
            *place = start;
            arena_bytes = arena_bytes.max(start + step.scratch_bytes);
        }
    }
    arena_bytes
}
