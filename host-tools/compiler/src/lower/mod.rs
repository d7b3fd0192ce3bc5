//! From graph to program: every node becomes a step with the multipliers and layouts that its operator wants.
//!
//! The effective multipliers follow TensorFlow Lite Micro, down to which products are rounded to f32 first: single
//! units in the last place of a multiplier decide codes.

mod attention;
mod elementwise;
mod functions;
mod layers;
mod movement;
mod recurrent;
mod reductions;
mod rows;

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::{DataType, MAX_RANK, OpKind, Place, QuantizedElement, Tensor as TensorRecord, WindowParameters};

use crate::graph::{Activation, Graph, Node, Op, Tensor, TensorId, Window};
use crate::pack::Target;
use crate::program::Program;

/// A program with the tensor of the table that each graph tensor became.
#[derive(Debug)]
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// The table index of each graph tensor that steps or ports use.
    pub tensors: Vec<Option<u16>>,
}

/// Lowers a graph without batch norm, float or quantized, with the weights packed for a target.
pub fn lower(graph: &Graph, target: Target) -> Result<Lowered> {
    let mut lowering =
        Lowering { graph, target, program: Program::default(), tensors: vec![None; graph.tensors.len()] };
    for input in &graph.inputs {
        lowering.operand(*input)?;
    }
    for node in &graph.nodes {
        lowering.node(node).with_context(|| format!("{} ({})", node.name, node.op.name()))?;
    }
    for output in &graph.outputs {
        lowering.operand(*output)?;
    }
    Ok(Lowered { program: lowering.program, tensors: lowering.tensors })
}

struct Lowering<'g> {
    graph: &'g Graph,
    target: Target,
    program: Program,
    tensors: Vec<Option<u16>>,
}

/// Per-tensor scale and zero point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// The real value of one step.
    pub(crate) scale: f32,
    /// The code of the real 0.
    pub(crate) zero_point: i32,
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node) -> Result<()> {
        match &node.op {
            Op::Conv2d { window, groups, activation } => self.conv_2d(node, window, *groups, *activation),
            Op::DepthwiseConv2d { window, activation, .. } => self.depthwise_conv_2d(node, window, *activation),
            Op::FullyConnected { activation } => self.fully_connected(node, *activation),
            Op::DenseRows { activation } => self.dense_rows(node, *activation),
            Op::BatchNorm { .. } => bail!("batch norm has to be folded before"),
            Op::AveragePool2d { window, activation } => {
                let kinds = [OpKind::AveragePool2dInt8, OpKind::AveragePool2dInt16, OpKind::AveragePool2dFloat32];
                self.pool_2d(node, window, *activation, kinds)
            }
            Op::MaxPool2d { window, activation } => {
                let kinds = [OpKind::MaxPool2dInt8, OpKind::MaxPool2dInt16, OpKind::MaxPool2dFloat32];
                self.pool_2d(node, window, *activation, kinds)
            }
            Op::Mean { axes, .. } => self.mean(node, axes),
            Op::Reduce { reduction, axes } => self.reduce(node, *reduction, axes),
            Op::ArgMax { axis } => self.arg_max(node, *axis),
            Op::Add { activation } => {
                self.sum(node, *activation, [OpKind::AddInt8, OpKind::AddInt16, OpKind::AddFloat32])
            }
            Op::Sub { activation } => {
                self.sum(node, *activation, [OpKind::SubInt8, OpKind::SubInt16, OpKind::SubFloat32])
            }
            Op::Div { activation } => self.div(node, *activation),
            Op::Maximum => self.select(node, OpKind::MaximumInt8, OpKind::MaximumFloat32),
            Op::Minimum => self.select(node, OpKind::MinimumInt8, OpKind::MinimumFloat32),
            Op::SquaredDifference => self.squared_difference(node),
            Op::Prelu => self.prelu(node),
            Op::BatchMatmul { transpose_a, transpose_b } => self.batch_matmul(node, *transpose_a, *transpose_b),
            Op::Attention { scale, transpose_keys, transpose_values, visible } => {
                self.attention(node, *scale, [*transpose_keys, *transpose_values], *visible)
            }
            Op::TransposeConv2d { window, activation } => self.transpose_conv_2d(node, window, *activation),
            Op::Rearrange(map) => self.rearrange(node, map),
            Op::Gather { axis, rows } => self.gather(node, *axis, rows),
            Op::Embedding => self.embedding(node),
            Op::ResizeBilinear { align_corners, half_pixel_centers } => {
                self.resize_bilinear(node, *align_corners, *half_pixel_centers)
            }
            Op::LogSoftmax => self.log_softmax(node),
            Op::L2Normalization => self.l2_normalization(node),
            Op::Lstm { cell_clip } => self.lstm(node, *cell_clip),
            Op::LayerNorm { epsilon } => self.layer_norm(node, *epsilon),
            Op::RmsNorm { epsilon } => self.rms_norm(node, *epsilon),
            Op::Recurrent { cell, reverse } => self.recurrent(node, *cell, *reverse),
            Op::Function(function) => self.function(node, *function),
            Op::Table { codes } => self.table(node, codes),
            Op::Mul { activation } => self.mul(node, *activation),
            Op::Concatenation { axis } => self.concatenation(node, *axis),
            Op::Pad { amounts } => self.pad(node, amounts, None),
            Op::PadWith { amounts, value } => self.pad(node, amounts, Some(value)),
            Op::Reshape => self.alias(node),
            Op::Copy => self.step(node, OpKind::Copy, 1, &()),
            Op::Shift { axis, columns } => self.shift(node, *axis, *columns),
            Op::Softmax { beta } => self.softmax(node, *beta),
            Op::MaskedSoftmax { beta, visible } => self.masked_softmax(node, *beta, *visible),
            Op::Logistic => self.logistic(node),
            Op::Tanh => self.tanh(node),
            Op::Clamp { activation } => self.clamp(node, *activation),
            Op::Quantize => self.quantize(node),
        }
    }

    /// The graph tensor of a node's input.
    fn input(&self, node: &Node, position: usize) -> Result<&Tensor> {
        let id = node.inputs.get(position).with_context(|| format!("has no input {position}"))?;
        Ok(self.graph.tensor(*id))
    }

    /// The graph tensor of a node's first output.
    fn output(&self, node: &Node) -> Result<&Tensor> {
        Ok(self.graph.tensor(*node.outputs.first().context("has no output")?))
    }

    /// The table index of a graph tensor, added to the table on first use; constants are stored with it.
    fn operand(&mut self, id: TensorId) -> Result<u16> {
        if let Some(index) = self.tensors[id.0] {
            return Ok(index);
        }
        let tensor = self.graph.tensor(id);
        let mut record = record(tensor)?;
        if let Some(data) = &tensor.data {
            record.place = Place::Constant;
            record.offset = self.program.constant(&data.to_bytes())?.offset;
        }
        let index = self.program.tensor(record, None)?;
        self.tensors[id.0] = Some(index);
        Ok(index)
    }

    fn operands(&mut self, ids: &[TensorId]) -> Result<Vec<u16>> {
        ids.iter().map(|id| self.operand(*id)).collect()
    }

    /// Another view of an operand's memory, in a shape with as many elements.
    fn view(&mut self, id: TensorId, shape: &[usize]) -> Result<u16> {
        let operand = usize::from(self.operand(id)?);
        let view = record(&Tensor { shape: shape.into(), ..self.graph.tensor(id).clone() })?;
        let TensorRecord { place, offset, length, .. } = self.program.tensors[operand];
        ensure!(view.length == length, "{shape:?} is no view of {}", self.graph.tensor(id).name);
        self.program.tensor(TensorRecord { place, offset, ..view }, self.program.buffers[operand])
    }

    /// Adds a step that reads the first `inputs` inputs of the node.
    fn step(&mut self, node: &Node, kind: OpKind, inputs: usize, parameters: &impl serde::Serialize) -> Result<()> {
        let inputs = self.operands(&node.inputs[..inputs])?;
        let outputs = self.operands(&node.outputs)?;
        self.program.step(kind, &node.name, inputs, outputs, parameters)
    }

    /// A node that moves nothing: its output is another view of its input's buffer.
    fn alias(&mut self, node: &Node) -> Result<()> {
        let input = self.operand(node.inputs[0])?;
        let output = self.output(node)?;
        ensure!(output.elements() == self.input(node, 0)?.elements(), "can't change the number of elements");
        let Some(buffer) = self.program.buffers[usize::from(input)] else {
            return self.step(node, OpKind::Copy, 1, &());
        };
        let record = record(output)?;
        let index = self.program.tensor(record, Some(buffer))?;
        self.tensors[node.outputs[0].0] = Some(index);
        Ok(())
    }

    /// Chooses among operators for int8, int16 and f32; the tensors have to be of one type.
    fn by_type(&self, node: &Node, inputs: usize, [int8, int16, float32]: [OpKind; 3]) -> Result<OpKind> {
        match self.data_type(node, inputs)? {
            DataType::Int8 => Ok(int8),
            DataType::Int16 => Ok(int16),
            DataType::Float32 => Ok(float32),
            other => bail!("has no kernel for {other:?}"),
        }
    }

    /// Chooses between operators for int8 and f32; the tensors have to be of one type.
    fn by_narrow_type(&self, node: &Node, inputs: usize, int8: OpKind, float32: OpKind) -> Result<OpKind> {
        match self.data_type(node, inputs)? {
            DataType::Int8 => Ok(int8),
            DataType::Float32 => Ok(float32),
            other => bail!("has no kernel for {other:?}"),
        }
    }

    /// The type of the output and of the first `inputs` inputs.
    fn data_type(&self, node: &Node, inputs: usize) -> Result<DataType> {
        let data_type = self.output(node)?.data_type;
        for position in 0..inputs {
            let input = self.input(node, position)?;
            ensure!(input.data_type == data_type, "{} is {:?}, the output {data_type:?}", input.name, input.data_type);
        }
        Ok(data_type)
    }
}

/// How many keys the first query sees, as the library has it.
fn visible_keys(visible: Option<usize>) -> Result<u32> {
    visible.map_or(Ok(u32::MAX), |keys| u32::try_from(keys).context("more keys than can be counted"))
}

/// The record of a graph tensor; its offset is open.
fn record(tensor: &Tensor) -> Result<TensorRecord> {
    ensure!(tensor.shape.len() <= MAX_RANK, "{}: {:?} has more than {MAX_RANK} axes", tensor.name, tensor.shape);
    ensure!(tensor.shape.iter().all(|extent| *extent > 0), "{}: shape {:?} has no elements", tensor.name, tensor.shape);
    let mut extents = [0; MAX_RANK];
    for (extent, source) in extents.iter_mut().zip(&tensor.shape) {
        *extent =
            u32::try_from(*source).with_context(|| format!("{}: {:?} is too large", tensor.name, tensor.shape))?;
    }
    let (scale, zero_point) = match &tensor.quantization {
        Some(quantization) if quantization.scales.len() == 1 => (quantization.scales[0], quantization.zero_points[0]),
        _ => (0.0, 0),
    };
    let record = TensorRecord {
        data_type: tensor.data_type,
        place: Place::Arena,
        rank: tensor.shape.len() as u16,
        offset: 0,
        length: 0,
        scale,
        zero_point,
        extents,
    };
    let length = record.bytes().with_context(|| format!("{}: {:?} is too large", tensor.name, tensor.shape))?;
    Ok(TensorRecord { length, ..record })
}

/// The scale of a tensor quantized as a whole.
fn scale(tensor: &Tensor) -> Result<Scale> {
    let quantization = tensor.quantization.as_ref().with_context(|| format!("{} is not quantized", tensor.name))?;
    match (&quantization.scales[..], &quantization.zero_points[..]) {
        ([scale], [zero_point]) if scale.is_finite() && *scale > 0.0 => {
            Ok(Scale { scale: *scale, zero_point: *zero_point })
        }
        ([_], [_]) => bail!("{}: scale {} is not positive", tensor.name, quantization.scales[0]),
        _ => bail!("{} is quantized per channel where one scale is wanted", tensor.name),
    }
}

/// The range of a fused activation in the codes of a tensor.
fn code_range<C: QuantizedElement>(activation: Activation, tensor: &Tensor) -> Result<[C; 2]> {
    let Scale { scale, zero_point } = scale(tensor)?;
    let code = |real: f32, otherwise: i32| {
        let code = f64::from((real / scale).round()) + f64::from(zero_point);
        C::saturate(if real.is_finite() { code as i32 } else { otherwise })
    };
    let (low, high) = activation.range();
    Ok([code(low, i32::MIN), code(high, i32::MAX)])
}

/// The range of a fused activation in reals.
fn real_range(activation: Activation) -> [f32; 2] {
    let (low, high) = activation.range();
    [low, high]
}

fn window_parameters(window: &Window) -> Result<WindowParameters> {
    let number = |extent: usize| u16::try_from(extent).map(u32::from).context("window too large");
    let pair = |pair: [usize; 2]| -> Result<[u32; 2]> { Ok([number(pair[0])?, number(pair[1])?]) };
    Ok(WindowParameters {
        kernel: pair(window.kernel)?,
        stride: pair(window.stride)?,
        dilation: pair(window.dilation)?,
        padding: pair([window.padding.top, window.padding.left])?,
    })
}
