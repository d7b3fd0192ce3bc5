//! The ranges that tensors take over calibration samples, seen by running the float graph through the library.

use anyhow::{Context, Result, ensure};
use nervelet::ops::{DataType, Place};
use nervelet::session::Observer;
use nervelet::{Model, Session};

use crate::aligned::AlignedBytes;
use crate::graph::Graph;
use crate::lower::lower;
use crate::pack::Target;
use crate::write::{Sharing, write};

/// The smallest and largest value of each graph tensor; `None` for constants and tensors that are never computed.
pub type Ranges = Vec<Option<(f32, f32)>>;

/// Runs the samples through a folded float graph. Each sample has one slice of raw readings for each input.
pub fn calibrate<'s>(graph: &Graph, samples: impl IntoIterator<Item = Vec<&'s [f32]>>) -> Result<Ranges> {
    let lowered = lower(graph, Target::Any)?;
    let tensors = lowered.tensors.clone();
    let (bytes, _) = write(graph, lowered, None, Sharing::None, Target::Any)?;
    let bytes = AlignedBytes::from(&bytes[..]);
    let model = Model::from_bytes(&bytes)?;
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena)?;
    let mut ranges = RangeObserver { model: &model, last: model.steps().count().saturating_sub(1), ranges: Vec::new() };
    ranges.ranges.resize(model.tensors().len(), None);
    let mut count = 0;
    for sample in samples {
        ensure!(
            sample.len() == graph.inputs.len(),
            "a sample has {} inputs, the graph {}",
            sample.len(),
            graph.inputs.len()
        );
        for (index, values) in sample.iter().enumerate() {
            session.set_input(index, values).with_context(|| format!("calibration sample {count}, input {index}"))?;
        }
        session.invoke_observed(&mut ranges)?;
        count += 1;
    }
    ensure!(count > 0, "there is no calibration sample");
    Ok(tensors.into_iter().map(|index| ranges.ranges[usize::from(index?)]).collect())
}

/// Widens the range of every tensor in the arena after the last step: with an arena that nothing shares, all are there.
struct RangeObserver<'m> {
    model: &'m Model<'m>,
    last: usize,
    ranges: Vec<Option<(f32, f32)>>,
}

impl Observer for RangeObserver<'_> {
    fn after_step(&mut self, step: usize, arena: &[u8]) {
        if step != self.last {
            return;
        }
        for (tensor, range) in self.model.tensors().iter().zip(&mut self.ranges) {
            if tensor.place != Place::Arena || tensor.data_type != DataType::Float32 {
                continue;
            }
            let Some(values) =
                tensor.span().of(arena).and_then(|bytes| bytemuck::try_cast_slice::<u8, f32>(bytes).ok())
            else {
                continue;
            };
            let (mut low, mut high) = range.unwrap_or((f32::INFINITY, f32::NEG_INFINITY));
            for value in values {
                low = low.min(*value);
                high = high.max(*value);
            }
            *range = Some((low, high));
        }
    }
}
