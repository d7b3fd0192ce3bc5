//! Layers that look at more than one column: windows and recurrent layers.

use super::analysis::{Analysis, Plan, Stepped, plan};
use super::flow::{Columns, Flow, Read};
use crate::graph::{Graph, Node, Op, Padding, Window};

impl Analysis {
    /// A convolution or a pool. Its first new column and the columns that its history needs follow from the end of the
    /// window, so that a rest which strides leave there stays unused.
    pub(super) fn windowed(&mut self, graph: &Graph, node: &Node) -> Result<Stepped, String> {
        let none = || "its time axis is none of its window".to_owned();
        let (window, is_pool) = match &node.op {
            Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } => (*window, false),
            Op::AveragePool2d { window, .. } | Op::MaxPool2d { window, .. } => (*window, true),
            _ => return Err(none()),
        };
        let Some(columns) = self.columns(node.inputs[0]) else { return self.bordered(graph, node, &window) };
        let spatial = columns.axis.checked_sub(1).filter(|axis| *axis < 2).ok_or_else(none)?;
        let [stride, dilation, kernel] = [window.stride, window.dilation, window.kernel].map(|pair| pair[spatial]);
        let padding = if spatial == 0 { window.padding.top } else { window.padding.left };
        let reach = (kernel - 1) * dilation + 1;
        let count = graph.tensor(node.outputs[0]).shape[columns.axis];
        if padding > 0 && self.renews_front {
            return self.bordered(graph, node, &window);
        }
        let (end, taken) = (columns.window + padding, (count - 1) * stride + reach);
        let Some(lag) = end.checked_sub(taken) else {
            let behind = taken - end;
            return self.bordered(graph, node, &window).map_err(|reason| {
                format!(
                    "its padding reaches {behind} columns behind the window, where the next frames will be, and {reason}: \
                     train it with padding in front alone (causal) or with none (valid)"
                )
            });
        };
        if count > 1 && !columns.new.is_multiple_of(stride) {
            self.note_misfit(&node.name, stride, columns.new);
            return Err(format!("it moves {stride} columns at a time"));
        }
        let new = if count == 1 { 1 } else { (columns.new / stride).min(count) };
        let read = Read { lag, count: (new - 1) * stride + reach, more_behind: true };

        let mut flow = self.joined(node);
        let edge = (columns.edge + padding).div_ceil(stride).min(count);
        if padding > 0 {
            flow.edge.get_or_insert(format!("`{}` pads {padding} columns in front of the window", node.name).into());
        }
        // A sequence starts with as many zeros as the padding has; a history starts with as many as it is long.
        let in_front = padding + columns.lead;
        let history = read.reach().checked_sub(columns.new);
        let is_exact = new * stride == columns.new && history == Some(in_front) && !(is_pool && in_front > 0);
        if !is_exact {
            let cause = match history {
                Some(history) if history > in_front => format!(
                    "`{}` looks {history} columns back and pads {in_front}: the first columns of a stream are none of the \
                     sequence's",
                    node.name
                ),
                _ => format!("`{}` makes other columns of a longer sequence", node.name),
            };
            flow.not_sequence.get_or_insert(cause.into());
        }
        let plan = Plan { op: with_padding(&node.op, spatial, 0), ..plan(node, reads(node, read), true) };
        let columns = Columns { window: count, new, edge, lead: 0, ..columns };
        Ok(Stepped { plan, outputs: vec![flow.with(columns)] })
    }

    /// A recurrent layer goes on from where the run before left it.
    pub(super) fn recurrent(&self, graph: &Graph, node: &Node) -> Result<Stepped, String> {
        let x = graph.tensor(node.inputs[0]);
        let Some(columns) = self.columns(node.inputs[0]) else { return Err("no operand carries time".into()) };
        match &node.op {
            Op::Recurrent { reverse: true, .. } => return Err("it runs backwards from the newest frame".into()),
            Op::Recurrent { .. } if node.inputs.len() > 5 => {
                return Err("it starts from a state that it is given".into());
            }
            _ => {}
        }
        let before: usize = x.shape.iter().take(columns.axis).product();
        if columns.axis + 2 != x.shape.len() || before != 1 {
            return Err(format!("time is not axis {} of its input", x.shape.len().saturating_sub(2)));
        }
        if let Some(cause) = &self.joined(node).not_sequence {
            return Err(format!("it would start with columns that no sequence has: {cause}"));
        }
        if columns.lead > 0 {
            return Err("it reads padding in time".into());
        }
        let mut flow = self.joined(node);
        flow.edge = Some(format!("`{}` remembers every frame since the reset", node.name).into());
        let output = graph.tensor(node.outputs[0]);
        let axis = output.shape.len().checked_sub(2).ok_or_else(|| "its output has no axis of time".to_owned())?;
        let columns = Columns { axis, edge: columns.window, ..columns };
        let last = Flow { columns: None, ..flow.clone().settled(columns.window) };
        let mut outputs = vec![last; node.outputs.len()];
        outputs[0] = flow.with(columns);
        let keeps_state = matches!(node.op, Op::Recurrent { .. });
        let plan = Plan { keeps_state, ..plan(node, reads(node, Read::last(columns.new)), true) };
        Ok(Stepped { plan, outputs })
    }
}

/// Columns of the first input; the others are weights.
fn reads(node: &Node, first: Read) -> Vec<Option<Read>> {
    (0..node.inputs.len()).map(|position| (position == 0).then_some(first)).collect()
}

/// The operation with other padding in time: some in front, as much behind as its output asks for.
pub(super) fn with_padding(op: &Op, spatial: usize, front: usize) -> Op {
    let mut op = op.clone();
    if let Op::Conv2d { window, .. }
    | Op::DepthwiseConv2d { window, .. }
    | Op::AveragePool2d { window, .. }
    | Op::MaxPool2d { window, .. } = &mut op
    {
        let Window { padding, .. } = window;
        *padding = match spatial {
            0 => Padding { top: front, bottom: 0, ..*padding },
            _ => Padding { left: front, right: 0, ..*padding },
        };
    }
    op
}
