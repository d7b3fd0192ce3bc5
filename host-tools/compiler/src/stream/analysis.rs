//! Follows time through a graph, node by node: what can be computed for new columns alone, and what can't.

use anyhow::{Result, bail, ensure};

use super::WholeLayer;
use super::borders::BorderPlan;
use super::flow::{Cause, Columns, Flow, Read};
use super::time_map::TimeMap;
use crate::graph::{Graph, Node, Op, TensorId};
use crate::index_map;

/// What the stream makes of a graph.
pub(super) struct Analysis {
    /// What each tensor is; `None` for constants.
    flows: Vec<Option<Flow>>,
    /// What becomes of each node, in their order.
    pub(super) plans: Vec<Plan>,
    /// The layers that read a whole window.
    pub(super) whole: Vec<WholeLayer>,
    /// The first layer whose stride the new columns are no multiple of.
    pub(super) misfit: Option<Misfit>,
    /// Whether columns that depend on where the window begins are computed in every run, and not left to the history.
    pub(super) renews_front: bool,
}

/// A stride in time that does not fit.
pub(super) struct Misfit {
    /// The name of the node.
    pub(super) name: String,
    /// Its stride.
    pub(super) stride: usize,
    /// How many times as many frames would fit.
    pub(super) factor: usize,
}

/// What becomes of a node.
pub(super) struct Plan {
    /// The operation in the stream.
    pub(super) op: Op,
    /// The columns of each input that it reads; `None` for what has none.
    pub(super) reads: Vec<Option<Read>>,
    /// For a move of columns, the map that picks them out of any history.
    pub(super) map: Option<TimeMap>,
    /// How it computes the ends of a window alone.
    pub(super) borders: Option<BorderPlan>,
    /// Whether its states live on from run to run.
    pub(super) keeps_state: bool,
    /// Whether it computes new columns alone.
    pub(super) is_stepped: bool,
}

/// A node on new columns: its plan and what its outputs are.
pub(super) struct Stepped {
    pub(super) plan: Plan,
    pub(super) outputs: Vec<Flow>,
}

impl Analysis {
    /// Analyses a graph whose first input has time on an axis, of which each run brings some new frames.
    pub(super) fn of(graph: &Graph, axis: usize, frames: usize, renews_front: bool) -> Self {
        let mut analysis = Self {
            flows: vec![None; graph.tensors.len()],
            plans: Vec::new(),
            whole: Vec::new(),
            misfit: None,
            renews_front,
        };
        for (position, id) in graph.inputs.iter().enumerate() {
            let window = graph.tensor(*id).shape.get(axis).copied().unwrap_or(1);
            let columns = Columns { axis, window, new: frames, edge: 0, lead: 0 };
            let columns = (position == 0).then_some(columns);
            analysis.flows[id.0] = Some(Flow { columns, ..Flow::default() });
        }
        for id in &graph.states {
            analysis.flows[id.0] = Some(Flow::default());
        }
        for node in &graph.nodes {
            analysis.node(graph, node);
        }
        analysis
    }

    /// The flow of a tensor that is computed.
    pub(super) fn flow(&self, id: TensorId) -> Option<&Flow> {
        self.flows[id.0].as_ref()
    }

    /// The columns of a tensor, if it carries any.
    pub(super) fn columns(&self, id: TensorId) -> Option<Columns> {
        self.flow(id)?.columns
    }

    /// What does not hold for any operand of a node.
    pub(super) fn joined(&self, node: &Node) -> Flow {
        let mut flow = Flow::default();
        for operand in node.inputs.iter().filter_map(|id| self.flow(*id)) {
            flow.join(operand);
        }
        flow
    }

    /// Notes a stride that does not fit.
    pub(super) fn note_misfit(&mut self, name: &str, stride: usize, new: usize) {
        let divisor = (1..=stride).rev().find(|n| stride.is_multiple_of(*n) && new.is_multiple_of(*n)).unwrap_or(1);
        self.misfit.get_or_insert(Misfit { name: name.into(), stride, factor: stride / divisor });
    }

    fn node(&mut self, graph: &Graph, node: &Node) {
        let moving = |flow: &Flow| flow.columns.is_some() || flow.borders.is_some();
        let moves = node.inputs.iter().any(|id| self.flow(*id).is_some_and(moving));
        let Stepped { plan, outputs } = match moves.then(|| self.step(graph, node)) {
            Some(Ok(stepped)) => stepped,
            Some(Err(reason)) => self.take_whole(node, reason),
            None => Stepped { plan: plan(node, vec![None; node.inputs.len()], false), outputs: self.unmoved(node) },
        };
        for (id, flow) in node.outputs.iter().zip(outputs) {
            self.flows[id.0] = Some(flow);
        }
        self.plans.push(plan);
    }

    /// The outputs of a node that sees no columns.
    fn unmoved(&self, node: &Node) -> Vec<Flow> {
        vec![self.joined(node); node.outputs.len()]
    }

    /// A node that takes the whole window of its operands.
    fn take_whole(&mut self, node: &Node, reason: String) -> Stepped {
        self.whole.push(WholeLayer { name: node.name.clone(), reason: reason.clone() });
        let mut flow = Flow::default();
        let mut reads = Vec::new();
        for id in &node.inputs {
            let columns = self.columns(*id);
            if let Some(operand) = self.flow(*id) {
                let edge = columns.map_or(0, |columns| columns.edge);
                flow.join(&operand.clone().settled(edge));
            }
            reads.push(columns.map(|columns| Read::last(columns.window)));
        }
        flow.edge = None;
        let cause: Cause = format!("`{}` takes the whole window: {reason}", node.name).into();
        if matches!(node.op, Op::Lstm { .. }) {
            flow.not_window.get_or_insert(cause.clone());
        }
        flow.not_sequence.get_or_insert(cause);
        Stepped { plan: plan(node, reads, false), outputs: vec![flow; node.outputs.len()] }
    }

    /// A node on new columns, or why it can't be.
    fn step(&mut self, graph: &Graph, node: &Node) -> Result<Stepped, String> {
        match &node.op {
            Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::AveragePool2d { .. } | Op::MaxPool2d { .. } => {
                self.windowed(graph, node)
            }
            _ if node.inputs.iter().any(|id| self.flow(*id).is_some_and(|flow| flow.borders.is_some())) => {
                Err("it reads a window with padding at its ends".into())
            }
            _ if graph.steps_that_count(node).is_some() => Err("it is told how many steps of a window count".into()),
            Op::Recurrent { .. } | Op::Lstm { .. } => self.recurrent(graph, node),
            Op::Rearrange(map) => self.moved(graph, node, *map),
            Op::Gather { axis, rows } if self.columns(node.inputs[0]).is_some_and(|own| own.axis == *axis) => {
                self.picked(graph, node, rows)
            }
            Op::Pad { amounts } | Op::PadWith { amounts, .. } => self.padded(graph, node, amounts),
            Op::FullyConnected { .. } | Op::DenseRows { .. } => self.dense(graph, node),
            Op::Reshape => self.pointwise(graph, node),
            Op::Mean { axes, .. } | Op::Reduce { axes, .. } => self.reduced(graph, node, axes),
            Op::ArgMax { axis } => self.reduced(graph, node, &[*axis]),
            Op::Concatenation { axis } => self.reduced(graph, node, &[*axis]),
            Op::Softmax { .. }
            | Op::LogSoftmax
            | Op::L2Normalization
            | Op::LayerNorm { .. }
            | Op::RmsNorm { .. }
            | Op::BatchNorm { .. } => {
                let rank = graph.tensor(node.inputs[0]).shape.len();
                self.reduced(graph, node, &[rank.saturating_sub(1)])
            }
            Op::Add { .. }
            | Op::Mul { .. }
            | Op::Sub { .. }
            | Op::Div { .. }
            | Op::Maximum
            | Op::Minimum
            | Op::SquaredDifference
            | Op::Prelu
            | Op::Gather { .. }
            | Op::Logistic
            | Op::Tanh
            | Op::Function(_)
            | Op::Table { .. }
            | Op::Clamp { .. }
            | Op::Quantize => self.pointwise(graph, node),
            Op::BatchMatmul { .. }
            | Op::Attention { .. }
            | Op::MaskedSoftmax { .. }
            | Op::Embedding
            | Op::TransposeConv2d { .. }
            | Op::ResizeBilinear { .. }
            | Op::Copy
            | Op::Shift { .. } => Err(format!("a {} mixes columns", node.op.name())),
        }
    }

    /// A node that makes a column of the same column of each operand.
    fn pointwise(&self, graph: &Graph, node: &Node) -> Result<Stepped, String> {
        let shape = |id: TensorId| &graph.tensor(id).shape;
        let output = shape(node.outputs[0]);
        let mut common: Option<Columns> = None;
        let mut reads = Vec::new();
        for id in &node.inputs {
            let columns = self.columns(*id);
            reads.push(columns.map(|columns| Read::last(columns.new)));
            let Some(mut columns) = columns else { continue };
            let before = |shape: &[usize], axis: usize| shape.iter().take(axis).product::<usize>();
            let lead = before(shape(*id), columns.axis);
            let axis = (0..output.len()).find(|axis| output[*axis] == columns.window && before(output, *axis) == lead);
            columns.axis = axis.ok_or_else(|| "its output has no axis of time".to_owned())?;
            let known = *common.get_or_insert(columns);
            if (known.axis, known.window, known.new) != (columns.axis, columns.window, columns.new) {
                return Err("its operands have different columns".into());
            }
            common = Some(Columns { edge: known.edge.max(columns.edge), lead: known.lead.max(columns.lead), ..known });
        }
        let mut columns = common.ok_or_else(|| "no operand carries time".to_owned())?;
        let behind = output.len() - columns.axis;
        for id in &node.inputs {
            let along = |id: TensorId| shape(id).len().checked_sub(behind).and_then(|axis| shape(id).get(axis));
            let (is_constant, is_moving) = (graph.tensor(*id).data.is_some(), self.columns(*id).is_some());
            if !is_constant && !is_moving {
                return Err("it combines columns with a tensor that has none".into());
            }
            if is_constant && is_operand(&node.op) && along(*id).is_some_and(|extent| *extent != 1) {
                return Err("a constant differs from column to column".into());
            }
        }
        let mut flow = self.joined(node);
        if columns.lead > 0 {
            columns.lead = 0;
            flow.not_sequence.get_or_insert(format!("`{}` computes on padding in time", node.name).into());
        }
        Ok(Stepped { plan: plan(node, reads, true), outputs: vec![flow.with(columns)] })
    }

    /// A node that works along some axes, none of which may be time.
    fn reduced(&self, graph: &Graph, node: &Node, axes: &[usize]) -> Result<Stepped, String> {
        let along_time = node.inputs.iter().any(|id| self.columns(*id).is_some_and(|own| axes.contains(&own.axis)));
        if along_time { Err(format!("it is a {} over time", node.op.name())) } else { self.pointwise(graph, node) }
    }

    /// A dense layer of each column.
    fn dense(&self, graph: &Graph, node: &Node) -> Result<Stepped, String> {
        let (x, weights) = (graph.tensor(node.inputs[0]), graph.tensor(node.inputs[1]));
        let rank = x.shape.len();
        let of_rows = x.shape.last() == weights.shape.last();
        let is_last = self.columns(node.inputs[0]).is_some_and(|columns| columns.axis + 1 == rank);
        if of_rows && !is_last { self.pointwise(graph, node) } else { Err("it reads all columns as one row".into()) }
    }

    /// A move by an index map.
    fn moved(&self, graph: &Graph, node: &Node, map: nervelet::ops::IndexMap) -> Result<Stepped, String> {
        let columns = self.columns(node.inputs[0]).ok_or_else(|| "no operand carries time".to_owned())?;
        let shape = &graph.tensor(node.inputs[0]).shape;
        let map = TimeMap::of(&map, shape, columns.axis).ok_or_else(|| "it mixes columns".to_owned())?;
        let (first, count) = (map.first, map.count);
        let lag = columns.window - first - count;
        let new = columns.new.min(count);
        let axis = match map.output_axis(&graph.tensor(node.outputs[0]).shape) {
            Some(axis) => axis,
            None if count == 1 => 0,
            None => return Err("its output has no axis of time".into()),
        };
        let mut flow = self.joined(node);
        let all = first == 0 && lag == 0;
        if !(all || (lag == 0 && count <= columns.new)) {
            flow.not_sequence.get_or_insert(format!("`{}` picks columns of a window", node.name).into());
        }
        let [edge, lead] = [columns.edge, columns.lead].map(|begin| begin.saturating_sub(first).min(count));
        let read = Read { lag, count: new, more_behind: false };
        let plan = Plan { map: Some(map), ..plan(node, vec![Some(read)], true) };
        Ok(Stepped { plan, outputs: vec![flow.with(Columns { axis, window: count, new, edge, lead })] })
    }

    /// A gather of neighbouring columns.
    fn picked(&self, graph: &Graph, node: &Node, rows: &[u32]) -> Result<Stepped, String> {
        let columns = self.columns(node.inputs[0]).ok_or_else(|| "no operand carries time".to_owned())?;
        if rows.is_empty() || !rows.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
            return Err("it picks columns that are no neighbours".into());
        }
        let shape = &graph.tensor(node.inputs[0]).shape;
        let (mut begin, mut extents) = (vec![0; shape.len()], shape.clone());
        (begin[columns.axis], extents[columns.axis]) = (rows[0] as usize, rows.len());
        let map = index_map::slice(shape, &begin, &extents, &vec![1; shape.len()]);
        self.moved(graph, node, map.map_err(|error| error.to_string())?)
    }

    /// Padding in front of time, which is what a history starts with; padding elsewhere is of each column.
    fn padded(&self, graph: &Graph, node: &Node, amounts: &[(usize, usize)]) -> Result<Stepped, String> {
        let Some(columns) = self.columns(node.inputs[0]) else { return Err("no operand carries time".into()) };
        let (before, behind) = amounts.get(columns.axis).copied().unwrap_or((0, 0));
        if behind > 0 {
            return Err(format!("it pads {behind} columns behind the window"));
        }
        let mut flow = self.joined(node);
        if before > 0 {
            flow.edge.get_or_insert(format!("`{}` pads {before} columns in front of the window", node.name).into());
            if !pads_zeros(graph, node) {
                flow.not_sequence.get_or_insert(format!("`{}` pads another value than zero", node.name).into());
            }
        }
        let mut elsewhere = amounts.to_vec();
        if let Some(own) = elsewhere.get_mut(columns.axis) {
            *own = (0, 0);
        }
        let op = match &node.op {
            _ if elsewhere.iter().all(|own| *own == (0, 0)) => Op::Reshape,
            Op::PadWith { value, .. } => Op::PadWith { amounts: elsewhere, value: value.clone() },
            _ => Op::Pad { amounts: elsewhere },
        };
        let columns = Columns {
            window: columns.window + before,
            edge: if before > 0 { columns.edge + before } else { columns.edge },
            lead: columns.lead + before,
            ..columns
        };
        let plan = Plan { op, ..plan(node, vec![Some(Read::last(columns.new))], true) };
        Ok(Stepped { plan, outputs: vec![flow.with(columns)] })
    }

    /// Which of the two equalities hold for the outputs: with the window model, and with the model of a sequence.
    pub(super) fn equalities(&self, graph: &Graph) -> Result<(bool, bool)> {
        let is_layer = |node: &Node| node.inputs.iter().any(|id| graph.tensor(*id).data.is_some());
        let gains = graph.nodes.iter().zip(&self.plans).any(|(node, plan)| plan.is_stepped && is_layer(node));
        if let (false, Some(WholeLayer { name, reason })) = (gains, self.whole.first()) {
            bail!("no layer can be computed for new frames alone, from `{name}` on: {reason}");
        }
        ensure!(gains, "no layer can be computed for new frames alone");
        let (mut not_window, mut not_sequence) = (None, None);
        for id in &graph.outputs {
            let Some(flow) = self.flow(*id) else { continue };
            let edge = flow.columns.map_or(0, |own| own.edge.saturating_sub(own.window - own.new));
            let settled = flow.clone().settled(edge);
            not_window = not_window.or(settled.not_window);
            not_sequence = not_sequence.or(settled.not_sequence);
        }
        if let (Some(window), Some(sequence)) = (&not_window, &not_sequence) {
            bail!(
                "a stream would equal neither the model of a window that moves ({window}) nor that of all frames so far \
                 ({sequence})"
            );
        }
        Ok((not_window.is_none(), not_sequence.is_none()))
    }
}

/// A plan that keeps a node's operation.
pub(super) fn plan(node: &Node, reads: Vec<Option<Read>>, is_stepped: bool) -> Plan {
    Plan { op: node.op.clone(), reads, map: None, borders: None, keeps_state: false, is_stepped }
}

/// Whether constants among the inputs are operands, as broadcast as others, and not weights.
fn is_operand(op: &Op) -> bool {
    !matches!(
        op,
        Op::FullyConnected { .. }
            | Op::DenseRows { .. }
            | Op::LayerNorm { .. }
            | Op::RmsNorm { .. }
            | Op::BatchNorm { .. }
    )
}

/// Whether a pad's value is the real zero, which histories start with.
fn pads_zeros(graph: &Graph, node: &Node) -> bool {
    use crate::graph::Data;
    let zero = graph.tensor(node.inputs[0]).quantization.as_ref().and_then(|own| own.zero_points.first()).copied();
    match &node.op {
        Op::PadWith { value: Data::Float32(values), .. } => values[..] == [0.0],
        Op::PadWith { value: Data::Int8(codes), .. } => codes.first().map(|code| i32::from(*code)) == zero,
        Op::PadWith { value: Data::Int16(codes), .. } => codes[..] == [0] && zero == Some(0),
        Op::PadWith { .. } => false,
        _ => true,
    }
}
