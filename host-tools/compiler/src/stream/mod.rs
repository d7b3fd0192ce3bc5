//! Turns a model of a window of time into a model of a stream: a run takes only the new frames and gives what the window
//! model gives on the whole history, bit for bit.
//!
//! A *column* is what a tensor holds for one place on the axis of time. As the window moves by some frames, the columns of
//! a layer without padding move along unchanged, but for a few new ones: the stream computes these and keeps the others in
//! *histories*, states in the arena that a reset fills with the zero point. `analysis` finds what each tensor is in the
//! stream, with `layers` for what looks at more than one column and `borders` for padding at the ends of the window; `build`
//! writes the graph; `time_map` follows time through transpositions and slices. What cannot be done on columns takes the
//! whole window out of a history, and all behind it is computed as in the window model.
//!
//! Two statements can hold for a streamed model, see [`Streaming`]. docs/STREAMING.md says what they mean for padding and for
//! recurrent layers.

mod analysis;
mod borders;
mod build;
mod flow;
mod layers;
mod time_map;

use anyhow::{Context, Result, bail, ensure};

use crate::graph::{Graph, Op, TensorId};
use analysis::Analysis;

/// How a model shall be streamed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamOptions {
    /// The axis of time of the first input; without it, the first axis with more than one element.
    pub axis: Option<usize>,
    /// New frames of each run, a multiple of the product of the strides in time; without it, this product.
    pub frames: Option<usize>,
}

/// What a streamed model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streaming {
    /// New frames of each run.
    pub frames: usize,
    /// Frames of the window.
    pub window: usize,
    /// Whether each run gives what the window model gives on the last `window` frames, once as many have come.
    pub equals_window: bool,
    /// Whether each run gives the newest columns that the model gives on all frames since the reset, however many.
    pub equals_sequence: bool,
    /// The layers that take the whole window in each run, and why.
    pub whole: Vec<WholeLayer>,
    /// Bytes of the arena that live from run to run: histories and recurrent states.
    pub state_bytes: usize,
}

/// A layer that takes the whole window in each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeLayer {
    /// The name of the node.
    pub name: String,
    /// Why it can't work on new columns.
    pub reason: String,
}

/// Streams a graph, float or quantized: its first input shrinks to the new frames, further inputs stay as they are.
///
/// # Errors
/// When a model can't be streamed: says which layer stands in the way, and why.
pub fn stream(graph: &Graph, options: &StreamOptions) -> Result<(Graph, Streaming)> {
    let input = *graph.inputs.first().context("the model has no input")?;
    let (axis, window) = axis(graph, input, options.axis)?;
    let kept = graph.nodes.iter().find(|node| matches!(node.op, Op::Recurrent { .. }) && node.inputs.len() > 5);
    if let Some(node) = kept.filter(|_| !graph.states.is_empty()) {
        bail!("`{}` keeps its state already: streaming does that by itself", node.name);
    }
    let mut frames = options.frames.unwrap_or(1);
    let analysis = loop {
        ensure!(frames > 0, "a run takes at least one new frame");
        ensure!(frames < window, "{frames} new frames are not less than the window of {window}: nothing would be kept");
        let analysis = Analysis::of(graph, axis, frames, false);
        match &analysis.misfit {
            None => break analysis,
            Some(misfit) if options.frames.is_none() => frames *= misfit.factor,
            Some(misfit) => bail!(
                "`{}` moves {} columns at a time, and {frames} frames are not a multiple of that: give {}",
                misfit.name,
                misfit.stride,
                frames * misfit.factor
            ),
        }
    };
    let (analysis, (equals_window, equals_sequence)) = match analysis.equalities(graph) {
        Ok(equalities) => (analysis, equalities),
        Err(error) => {
            // Padding in front that an output sees is no history of frames, but it can be computed anew.
            let analysis = Analysis::of(graph, axis, frames, true);
            let equalities = analysis.equalities(graph).map_err(|_| error)?;
            (analysis, equalities)
        }
    };
    let streamed = build::build(graph, &analysis)?;
    let bytes = |id: &TensorId| streamed.tensor(*id).elements() * streamed.tensor(*id).data_type.bytes();
    let state_bytes = streamed.states.iter().map(bytes).sum();
    let whole = analysis.whole;
    Ok((streamed, Streaming { frames, window, equals_window, equals_sequence, whole, state_bytes }))
}

/// The axis of time with its extent.
fn axis(graph: &Graph, input: TensorId, wanted: Option<usize>) -> Result<(usize, usize)> {
    let tensor = graph.tensor(input);
    let first = tensor.shape.iter().position(|extent| *extent > 1);
    let axis = wanted.or(first).with_context(|| format!("input {} has one element: there is no time", tensor.name))?;
    let window = *tensor
        .shape
        .get(axis)
        .with_context(|| format!("input {} of shape {:?} has no axis {axis}", tensor.name, tensor.shape))?;
    let normalized = graph.normalization.first().is_some_and(Option::is_some);
    ensure!(
        !(normalized && axis + 1 == tensor.shape.len()),
        "time is the last axis of input {}, along which readings are normalized",
        tensor.name
    );
    Ok((axis, window))
}
