//! Writes the graph of a stream: histories behind tensors whose older columns are read again, and nodes on new columns.

use std::collections::HashMap;

use anyhow::{Context, Result};

use super::analysis::{Analysis, Plan};
use super::borders::{BorderPlan, Ends};
use super::flow::{Columns, Read};
use crate::graph::{Graph, Node, Op, Tensor, TensorId};
use crate::index_map;

/// The graph of a stream.
pub(super) fn build(graph: &Graph, analysis: &Analysis) -> Result<Graph> {
    let mut longest: HashMap<TensorId, usize> = HashMap::new();
    for (node, plan) in graph.nodes.iter().zip(&analysis.plans) {
        for (id, read) in node.inputs.iter().zip(&plan.reads) {
            let whole = plan.borders.as_ref().is_some_and(BorderPlan::reads_whole);
            let columns = analysis.columns(*id).filter(|_| whole);
            let Some(read) = read.or(columns.map(|columns| Read::last(columns.window))) else { continue };
            let reach = longest.entry(*id).or_default();
            *reach = read.reach().max(*reach);
        }
    }
    let mut builder =
        Builder { graph: graph.clone(), analysis, longest, histories: HashMap::new(), ends: HashMap::new() };
    let nodes = std::mem::take(&mut builder.graph.nodes);
    for (index, tensor) in builder.graph.tensors.iter_mut().enumerate() {
        if let Some(columns) = analysis.columns(TensorId(index)) {
            tensor.shape[columns.axis] = columns.new;
        }
    }
    for (node, plan) in nodes.into_iter().zip(&analysis.plans) {
        let name = node.name.clone();
        builder.node(node, plan).with_context(|| format!("streaming {name}"))?;
    }
    for id in graph.outputs.iter().filter(|id| analysis.flow(**id).is_some_and(|flow| flow.borders.is_some())) {
        builder.whole(*id)?;
    }
    Ok(builder.graph)
}

pub(super) struct Builder<'a> {
    /// The nodes so far, and every tensor.
    pub(super) graph: Graph,
    pub(super) analysis: &'a Analysis,
    /// The columns of each tensor that its readers need, counted from the newest.
    longest: HashMap<TensorId, usize>,
    /// The history of each tensor that has one.
    histories: HashMap<TensorId, TensorId>,
    /// The ends of each tensor of which a run computes no more.
    pub(super) ends: HashMap<TensorId, Ends>,
}

impl Builder<'_> {
    fn node(&mut self, node: Node, plan: &Plan) -> Result<()> {
        if let Some(borders) = &plan.borders {
            return self.bordered(&node, borders);
        }
        let mut own = Node { op: plan.op.clone(), ..node };
        for (position, read) in plan.reads.iter().enumerate() {
            let Some(read) = *read else {
                if self.ends.contains_key(&own.inputs[position]) {
                    self.whole(own.inputs[position])?;
                }
                continue;
            };
            let id = own.inputs[position];
            let columns = self.analysis.columns(id).context("reads columns of a tensor without time")?;
            let (source, held) = self.source(id, columns)?;
            let first = held - read.reach();
            own.inputs[position] = match &plan.map {
                Some(map) => {
                    own.op = Op::Rearrange(map.over(held, first, read.count)?);
                    source
                }
                None if first == 0 && (read.more_behind || read.lag == 0) => source,
                None => self.part(source, columns.axis, first, read.count)?,
            };
        }
        match plan.keeps_state {
            true => self.graph.keep_state(own),
            false => self.graph.nodes.push(own),
        }
        Ok(())
    }

    /// The tensor that holds all columns of another that its readers need, with their number.
    pub(super) fn source(&mut self, id: TensorId, columns: Columns) -> Result<(TensorId, usize)> {
        let held = self.longest.get(&id).copied().unwrap_or(0).max(columns.new);
        if held == columns.new {
            return Ok((id, held));
        }
        if let Some(history) = self.histories.get(&id) {
            return Ok((*history, held));
        }
        let history = self.resized(id, columns.axis, held, ".history");
        let name = self.graph.tensor(history).name.clone();
        self.graph.states.push(history);
        let op = Op::Shift { axis: columns.axis, columns: columns.new };
        self.graph.nodes.push(Node { name, op, inputs: vec![id], outputs: vec![history] });
        self.histories.insert(id, history);
        Ok((history, held))
    }

    /// A tensor as another, but for its name and its columns.
    pub(super) fn resized(&mut self, id: TensorId, axis: usize, columns: usize, name: &str) -> TensorId {
        let tensor = self.graph.tensor(id).clone();
        let mut shape = tensor.shape.clone();
        shape[axis] = columns;
        self.graph.add_tensor(Tensor { name: format!("{}{name}", tensor.name), shape, ..tensor })
    }

    /// Some columns of a tensor, apart.
    pub(super) fn part(&mut self, id: TensorId, axis: usize, first: usize, count: usize) -> Result<TensorId> {
        let source = self.graph.tensor(id).clone();
        let (mut begin, mut extents) = (vec![0; source.shape.len()], source.shape.clone());
        (begin[axis], extents[axis]) = (first, count);
        let map = index_map::slice(&source.shape, &begin, &extents, &vec![1; source.shape.len()])?;
        let name = format!("{}.columns", source.name);
        let part = self.graph.add_tensor(Tensor { name: name.clone(), shape: extents, ..source });
        self.graph.nodes.push(Node { name, op: Op::Rearrange(map), inputs: vec![id], outputs: vec![part] });
        Ok(part)
    }
}
