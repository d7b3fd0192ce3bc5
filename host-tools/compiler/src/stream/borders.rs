//! Windows with padding on both sides: only the columns that depend on the ends of the window are computed in every run,
//! beside the new ones. The columns between them are kept.
//!
//! Such a tensor has a *front*, the columns that depend on where the window begins, and a *back*, its newest columns
//! with those that depend on where the window ends. Where more is read of it, a history of the whole window takes both.

use anyhow::{Context, Result};

use super::analysis::{Analysis, Plan, Stepped, plan};
use super::build::Builder;
use super::flow::Flow;
use super::layers::with_padding;
use crate::graph::{Graph, Node, Op, TensorId, Window};

/// A tensor of a whole window of which a run computes only the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Borders {
    /// The axis of time.
    pub(super) axis: usize,
    /// Columns of the window.
    pub(super) window: usize,
    /// Columns that depend on where the window begins.
    pub(super) front: usize,
    /// New columns, and those behind that depend on where the window ends.
    pub(super) back: usize,
    /// How far the columns between them move in a run.
    pub(super) new: usize,
}

/// How a node computes the ends of its output.
#[derive(Debug, Clone, Copy)]
pub(super) struct BorderPlan {
    /// Its output.
    output: Borders,
    /// Its input.
    input: Borders,
    /// Which of the two spatial axes is time.
    spatial: usize,
    /// The padding in front.
    padding: usize,
    /// Columns of the input that the front reads, and the first that the back reads.
    front_reads: usize,
    back_from: usize,
}

impl Analysis {
    /// The ends of a tensor; plain columns have none but the new ones.
    pub(super) fn borders(&self, id: TensorId) -> Option<Borders> {
        let flow = self.flow(id)?;
        let plain = flow.columns.filter(|columns| columns.edge == 0 && columns.lead == 0);
        flow.borders.or_else(|| {
            let columns = plain?;
            Some(Borders { axis: columns.axis, window: columns.window, front: 0, back: columns.new, new: columns.new })
        })
    }

    /// A convolution or a pool over a tensor with ends, or with padding behind.
    pub(super) fn bordered(&mut self, graph: &Graph, node: &Node, window: &Window) -> Result<Stepped, String> {
        let input = self.borders(node.inputs[0]).ok_or_else(|| "it is behind padding in front of time".to_owned())?;
        let spatial = input.axis.checked_sub(1).filter(|axis| *axis < 2);
        let spatial = spatial.ok_or_else(|| "its time axis is none of its window".to_owned())?;
        let [stride, dilation, kernel] = [window.stride, window.dilation, window.kernel].map(|pair| pair[spatial]);
        let padding = if spatial == 0 { window.padding.top } else { window.padding.left };
        let reach = (kernel - 1) * dilation + 1;
        let count = graph.tensor(node.outputs[0]).shape[input.axis];
        if count == 1 {
            return Err("it makes one column of the window".into());
        }
        if !input.new.is_multiple_of(stride) {
            self.note_misfit(&node.name, stride, input.new);
            return Err(format!("it moves {stride} columns at a time"));
        }
        let new = input.new / stride;
        let front = (input.front + padding).div_ceil(stride).min(count);
        // Columns with taps on what depends on the end of the window, or behind it.
        let inside = (input.window + padding + input.new).checked_sub(input.back + reach);
        let kept = inside.map_or(0, |inside| inside / stride + 1).min(count).saturating_sub(new);
        let front_reads = (front.max(1) * stride + reach).checked_sub(stride + padding);
        if kept <= front || front_reads.is_none_or(|columns| columns > input.window) {
            return Err("every column of its output depends on where the window begins or ends".into());
        }
        let output = Borders { axis: input.axis, window: count, front, back: count - kept, new };
        let mut flow = self.joined(node);
        let cause = format!("`{}` pads the ends of the window", node.name);
        flow.not_sequence.get_or_insert(cause.into());
        let flow = Flow { columns: None, borders: Some(output), ..flow };
        let front_reads = if front == 0 { 0 } else { front_reads.unwrap_or(0) };
        let back_from = kept * stride - padding;
        let borders = BorderPlan { output, input, spatial, padding, front_reads, back_from };
        let plan = Plan { borders: Some(borders), ..plan(node, vec![None; node.inputs.len()], true) };
        Ok(Stepped { plan, outputs: vec![flow] })
    }
}

/// The tensors of the ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    front: Option<TensorId>,
    back: TensorId,
}

impl Builder<'_> {
    /// A node that computes the ends of its output.
    pub(super) fn bordered(&mut self, node: &Node, borders: &BorderPlan) -> Result<()> {
        let BorderPlan { output, input, spatial, padding, front_reads, back_from } = *borders;
        let x = node.inputs[0];
        let ends = self.ends.get(&x).copied().unwrap_or(Ends { front: None, back: x });
        let part = |builder: &mut Self, source: TensorId, columns: usize, padding: usize, name: &str| {
            let id = node.outputs[0];
            let end = builder.resized(id, output.axis, columns, name);
            let mut inputs = node.inputs.clone();
            inputs[0] = source;
            let op = with_padding(&node.op, spatial, padding);
            let name = format!("{}{name}", node.name);
            builder.graph.nodes.push(Node { name, op, inputs, outputs: vec![end] });
            end
        };
        let front = match (output.front, ends.front) {
            (0, _) => None,
            (columns, Some(front)) if front_reads <= input.front => Some(part(self, front, columns, padding, ".front")),
            (columns, _) => {
                let whole = self.whole(x)?;
                Some(part(self, whole, columns, padding, ".front"))
            }
        };
        let (reads, at_end) = (input.window - back_from, input.back);
        let source = match reads <= at_end {
            true if reads == at_end => ends.back,
            true => self.part(ends.back, input.axis, at_end - reads, reads)?,
            false => {
                let whole = self.whole(x)?;
                self.part(whole, input.axis, back_from, reads)?
            }
        };
        let back = part(self, source, output.back, 0, "");
        self.ends.insert(node.outputs[0], Ends { front, back });
        Ok(())
    }

    /// The whole window of a tensor: the history of plain columns, or what takes the ends in.
    pub(super) fn whole(&mut self, id: TensorId) -> Result<TensorId> {
        let Some(borders) = self.analysis.flow(id).and_then(|flow| flow.borders) else {
            let columns = self.analysis.columns(id).context("reads columns of a tensor without time")?;
            let (history, held) = self.source(id, columns)?;
            return if held == columns.window {
                Ok(history)
            } else {
                self.part(history, columns.axis, held - columns.window, columns.window)
            };
        };
        if !self.graph.states.contains(&id) {
            let ends = *self.ends.get(&id).context("reads a tensor before it is computed")?;
            let name = format!("{}.history", self.graph.tensor(id).name);
            let op = Op::Shift { axis: borders.axis, columns: borders.new };
            let inputs = ends.front.into_iter().chain([ends.back]).collect();
            self.graph.states.push(id);
            self.graph.nodes.push(Node { name, op, inputs, outputs: vec![id] });
        }
        Ok(id)
    }
}

impl BorderPlan {
    /// Whether the whole window of the input is read.
    pub(super) fn reads_whole(&self) -> bool {
        let front = self.output.front > 0 && self.front_reads > self.input.front;
        front || self.input.window - self.back_from > self.input.back
    }
}
