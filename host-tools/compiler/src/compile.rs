//! The whole way from a graph to a model file.

use anyhow::{Context, Result};
use nervelet::Model;

use crate::aligned::AlignedBytes;
use crate::calibrate::calibrate;
use crate::fold::fold;
use crate::graph::{Activation, Data, Graph, Node, Op, TensorId};
use crate::in_place;
use crate::lower::lower;
use crate::pack::{self, Target};
use crate::plan::floor_of;
use crate::quantize::{Precision, quantize_with};
use crate::stream::{StreamOptions, Streaming, stream};
use crate::write::{FloatHead, Sharing, write};

/// What a compilation may vary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileOptions {
    /// Stores the last dense layer in f32 as well, so that devices can train it.
    pub trainable_head: bool,
    /// The cores that weights are packed for.
    pub target: Target,
    /// Makes a model of a stream of the model of a window.
    pub stream: Option<StreamOptions>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self { trainable_head: true, target: Target::Any, stream: None }
    }
}

/// A compiled model.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The model file, aligned for [`Model::from_bytes`].
    pub bytes: AlignedBytes,
    /// The size of the arena.
    pub arena_bytes: usize,
    /// The most bytes of tensors alive at one step: no plan of the same steps is smaller.
    pub arena_floor_bytes: usize,
    /// What the streamed model is.
    pub streaming: Option<Streaming>,
}

/// Compiles a graph as it is: float, or quantized before.
pub fn compile(graph: &Graph, options: &CompileOptions) -> Result<Compiled> {
    let mut graph = graph.clone();
    fold(&mut graph)?;
    finish(graph, options, None)
}

/// Quantizes a float graph over calibration samples, one slice of raw readings for each input, and compiles it.
pub fn compile_quantized<'s>(
    graph: &Graph,
    options: &CompileOptions,
    samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
) -> Result<Compiled> {
    compile_quantized_with(graph, options, Precision::default(), samples)
}

/// As [`compile_quantized`], with the width of operands in sequence models.
pub fn compile_quantized_with<'s>(
    graph: &Graph,
    options: &CompileOptions,
    precision: Precision,
    samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
) -> Result<Compiled> {
    let mut graph = graph.clone();
    fold(&mut graph)?;
    let ranges = calibrate(&graph, samples).context("calibrating")?;
    let quantized = quantize_with(&graph, &ranges, precision)?;
    let mut head = head_of(&graph);
    follow(&quantized, &mut head);
    finish(quantized, options, head)
}

fn finish(mut graph: Graph, options: &CompileOptions, head: Option<FloatHead>) -> Result<Compiled> {
    let mut head = head.or_else(|| head_of(&graph)).filter(|_| options.trainable_head);
    let mut streaming = None;
    if let Some(options) = &options.stream {
        let (streamed, report) = stream(&graph, options).context("streaming")?;
        (graph, streaming) = (streamed, Some(report));
        follow(&graph, &mut head);
    }
    let graph = &graph;
    let mut lowered = lower(graph, options.target)?;
    in_place::share(graph, &mut lowered)?;
    pack::grow(graph, &mut lowered)?;
    let (bytes, plan) = write(graph, lowered, head.as_ref(), Sharing::ByLifetime, options.target)?;
    let bytes = AlignedBytes::from(&bytes[..]);
    let model = Model::from_bytes(&bytes).context("the library refuses the file just written")?;
    let arena_floor_bytes = floor_of(&model);
    Ok(Compiled { bytes, arena_bytes: plan.arena_bytes, arena_floor_bytes, streaming })
}

/// What the layer reads may have been brought to 8 bits or taken out of a history first.
fn follow(graph: &Graph, head: &mut Option<FloatHead>) {
    let layer = graph.nodes.iter().find(|node| head.as_ref().is_some_and(|head| head.node == node.name));
    if let (Some(head), Some(layer)) = (head, layer) {
        head.features = layer.inputs[0];
    }
}

/// The dense layer of a classifier in front of the first output, straight or through a softmax, of one row, with its
/// weights as reals.
pub(crate) fn head_of(graph: &Graph) -> Option<FloatHead> {
    if graph.classes.is_empty() {
        return None;
    }
    let mut position = graph.producer(*graph.outputs.first()?)?;
    while matches!(graph.nodes[position].op, Op::Softmax { .. } | Op::Reshape | Op::Quantize) {
        position = graph.producer(*graph.nodes[position].inputs.first()?)?;
    }
    let node = &graph.nodes[position];
    let (Op::FullyConnected { activation: Activation::None }, [features, weights, bias @ ..]) =
        (&node.op, &node.inputs[..])
    else {
        return None;
    };
    let [classes, depth] = graph.tensor(*weights).shape[..] else { return None };
    if graph.tensor(*features).elements() != depth || !is_int8_or_float(graph, *features) {
        return None;
    }
    let weights = reals(graph, *weights, classes)?;
    let bias = match bias.first() {
        Some(bias) => bias_reals(graph, node, *bias, classes)?,
        None => vec![0.0; classes],
    };
    Some(FloatHead { features: *features, node: node.name.clone(), weights, bias })
}

fn is_int8_or_float(graph: &Graph, id: TensorId) -> bool {
    use nervelet::ops::DataType;
    matches!(graph.tensor(id).data_type, DataType::Int8 | DataType::Float32)
}

/// The real values of weights, float or int8 per tensor or per row.
fn reals(graph: &Graph, id: TensorId, rows: usize) -> Option<Vec<f32>> {
    let tensor = graph.tensor(id);
    match &tensor.data {
        Some(Data::Float32(values)) => Some(values.clone()),
        Some(Data::Int8(codes)) => {
            let scales = &tensor.quantization.as_ref()?.scales;
            let depth = codes.len() / rows.max(1);
            let scale = |at: usize| scales.get(if scales.len() == 1 { 0 } else { at / depth.max(1) }).copied();
            codes.iter().enumerate().map(|(at, code)| Some(scale(at)? * f32::from(*code))).collect()
        }
        _ => None,
    }
}

/// The real values of a bias: int32 codes have the scale of input times weights.
fn bias_reals(graph: &Graph, node: &Node, id: TensorId, classes: usize) -> Option<Vec<f32>> {
    match &graph.tensor(id).data {
        Some(Data::Float32(values)) => Some(values.clone()),
        Some(Data::Int32(codes)) => {
            let input = graph.tensor(node.inputs[0]).quantization.as_ref()?.scales.first()?;
            let scales = &graph.tensor(node.inputs[1]).quantization.as_ref()?.scales;
            let scale = |row: usize| scales.get(if scales.len() == 1 { 0 } else { row }).copied();
            (0..classes)
                .map(|row| Some((f64::from(*input) * f64::from(scale(row)?) * f64::from(*codes.get(row)?)) as f32))
                .collect()
        }
        _ => None,
    }
}
