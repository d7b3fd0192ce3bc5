//! Which layers write their output over their input.

use anyhow::Result;

use crate::graph::Graph;
use crate::lower::Lowered;
use crate::plan::{Buffer, plan};
use crate::program::Program;
use crate::write::{Sharing, buffers};

/// Lets each step write over its input whose operator can and whose input no other step needs, if the arena is smaller
/// with it than without.
pub(crate) fn share(graph: &Graph, lowered: &mut Lowered) -> Result<()> {
    let alive = buffers(graph, lowered, Sharing::ByLifetime)?;
    let apart = lowered.program.clone();
    let kept: Vec<usize> = graph
        .states
        .iter()
        .filter_map(|id| lowered.tensors[id.0])
        .filter_map(|index| lowered.program.buffers[usize::from(index)])
        .collect();
    for number in 0..lowered.program.steps.len() {
        let Some(in_place) = lowered.program.steps[number].in_place else { continue };
        let operands = operands(&lowered.program, number, &alive).filter(|[input, _]| !kept.contains(input));
        if let Some([input, output]) = operands {
            let program = &mut lowered.program;
            program.places[output] = program.places[input];
            let step = &mut program.steps[number];
            step.kind = in_place.kind;
            step.scratch_bytes = in_place.scratch_bytes;
            step.most_scratch_bytes = step.most_scratch_bytes.max(in_place.scratch_bytes);
        }
    }
    let after = buffers(graph, lowered, Sharing::ByLifetime)?;
    let arena = |buffers: &[Option<Buffer>]| plan(&Vec::from_iter(buffers.iter().flatten().copied())).arena_bytes;
    if arena(&after) >= arena(&alive) {
        lowered.program = apart;
    }
    Ok(())
}

/// The buffers of a step's input and output, if the first is read for the last time and the second written for the first.
fn operands(program: &Program, number: usize, alive: &[Option<Buffer>]) -> Option<[usize; 2]> {
    let step = &program.steps[number];
    let ([input], [output]) = (&step.inputs[..], &step.outputs[..]) else { return None };
    let [input, output] = [*input, *output].map(|index| program.buffers[usize::from(index)]);
    let (input, output) = (input?, output?);
    let follows = alive[input]?.last == number && alive[output]?.first == number;
    (input != output && follows).then_some([input, output])
}
