//! How much scratch memory each step gets: what its kernel can use, where the arena has room beside what is alive.

use anyhow::Result;

use crate::graph::Graph;
use crate::lower::Lowered;
use crate::plan::{ALIGNMENT, plan};
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
    let alive_at = |step: usize| -> usize {
        let buffers = alive.iter().filter(|buffer| (buffer.first..=buffer.last).contains(&step));
        buffers.map(|buffer| buffer.bytes.next_multiple_of(ALIGNMENT)).sum()
    };
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
