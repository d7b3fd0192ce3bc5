//! The graph that trainers and importers hand over: NHWC tensors, typed operators, constants inside.
//!
//! Shapes include the batch axis, which is 1. Weight layouts are those of the model file: convolution
//! `[out][kernel_height][kernel_width][in / groups]`, depthwise `[kernel_height][kernel_width][channels * multiplier]`,
//! fully connected `[out][in]`. A sequence of `time` steps with `channels` values is `[1, 1, time, channels]`.

use nervelet::ops::{DataType, IndexMap};

/// Names a tensor of one [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// Affine quantization: `real = scale * (code - zero_point)`, per tensor or along one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// One scale, or one for each index of `axis`.
    pub scales: Vec<f32>,
    /// As many zero points as scales.
    pub zero_points: Vec<i32>,
    /// The axis that the scales run along; meaningless for a single scale.
    pub axis: usize,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
    }
}

/// The values of a constant tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Real numbers.
    Float32(Vec<f32>),
    /// Codes of weights and int8 activations.
    Int8(Vec<i8>),
    /// Codes of int16 activations.
    Int16(Vec<i16>),
    /// Biases of int8 layers, indices and shapes.
    Int32(Vec<i32>),
    /// Biases of int16x8 layers.
    Int64(Vec<i64>),
}

impl Data {
    /// The element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Data::Float32(_) => DataType::Float32,
            Data::Int8(_) => DataType::Int8,
            Data::Int16(_) => DataType::Int16,
            Data::Int32(_) => DataType::Int32,
            Data::Int64(_) => DataType::Int64,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Float32(values) => values.len(),
            Data::Int8(values) => values.len(),
            Data::Int16(values) => values.len(),
            Data::Int32(values) => values.len(),
            Data::Int64(values) => values.len(),
        }
    }

    /// True without a single element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as they lie in the model file: little-endian, row-major.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Data::Float32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int8(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// A value that flows between nodes, or a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// For error messages and `inspect`.
    pub name: String,
    /// Row-major extents, batch first.
    pub shape: Vec<usize>,
    /// The element type.
    pub data_type: DataType,
    /// Present on quantized tensors.
    pub quantization: Option<Quantization>,
    /// Present on constants.
    pub data: Option<Data>,
}

impl Tensor {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of a float constant.
    pub fn float_data(&self) -> Option<&[f32]> {
        match &self.data {
            Some(Data::Float32(values)) => Some(values),
            _ => None,
        }
    }
}

/// Zeros around the two spatial axes, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns before.
    pub left: usize,
    /// Columns after.
    pub right: usize,
}

impl Padding {
    /// The padding that makes `output = ceil(input / stride)`, the odd element after (TensorFlow's SAME).
    pub fn same(input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        let total = |axis: usize| {
            let output = input[axis].div_ceil(stride[axis]);
            (output.saturating_sub(1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1)
                .saturating_sub(input[axis])
        };
        let (rows, columns) = (total(0), total(1));
        Self { top: rows / 2, bottom: rows - rows / 2, left: columns / 2, right: columns - columns / 2 }
    }

    /// The same number of zeros on both sides of an axis (PyTorch's `padding=(rows, columns)`).
    pub fn symmetric(rows: usize, columns: usize) -> Self {
        Self { top: rows, bottom: rows, left: columns, right: columns }
    }
}

/// The function applied to a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// The identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

impl Activation {
    /// The range that the activation clamps reals to.
    pub fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::ReluN1To1 => (-1.0, 1.0),
        }
    }
}

/// Attributes of a 2-D window: convolutions and pools; `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Extent of the kernel.
    pub kernel: [usize; 2],
    /// Step between two outputs.
    pub stride: [usize; 2],
    /// Step between two taps.
    pub dilation: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
}

impl Window {
    /// A window with stride 1, dilation 1 and no padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1, 1], dilation: [1, 1], padding: Padding::default() }
    }

    /// The output extent for an input extent, or `None` where the kernel does not fit.
    pub fn output(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let axis = |i: usize, before: usize, after: usize| {
            let reach = self.kernel[i].checked_sub(1)?.checked_mul(self.dilation[i])?.checked_add(1)?;
            let padded = input[i].checked_add(before)?.checked_add(after)?;
            Some(padded.checked_sub(reach)?.checked_div(self.stride[i])? + 1)
        };
        let p = self.padding;
        Some([axis(0, p.top, p.bottom)?, axis(1, p.left, p.right)?])
    }
}

/// A function of each element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `exp(x)`.
    Exp,
    /// The natural logarithm.
    Log,
    /// `|x|`.
    Abs,
    /// `-x`.
    Neg,
    /// `x * x`.
    Square,
    /// The square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The next integer below.
    Floor,
    /// The next integer above.
    Ceil,
    /// The nearest integer, halves to even.
    Round,
    /// `x` where it is positive, `exp(x) - 1` elsewhere.
    Elu,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish,
    /// The error function.
    Erf,
    /// `x` times the normal distribution function.
    Gelu,
    /// The tanh form of the same.
    GeluTanh,
    /// `x` where it is positive, `slope * x` elsewhere.
    LeakyRelu {
        /// The slope.
        slope: f32,
    },
}

impl Function {
    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Abs => "abs",
            Function::Neg => "neg",
            Function::Square => "square",
            Function::Sqrt => "sqrt",
            Function::Rsqrt => "rsqrt",
            Function::Sin => "sin",
            Function::Cos => "cos",
            Function::Floor => "floor",
            Function::Ceil => "ceil",
            Function::Round => "round",
            Function::Elu => "elu",
            Function::HardSwish => "hard_swish",
            Function::Erf => "erf",
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu_tanh",
            Function::LeakyRelu { .. } => "leaky_relu",
        }
    }
}

/// What a reduction makes of many elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

impl Reduction {
    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Max => "reduce_max",
            Reduction::Min => "reduce_min",
        }
    }
}

/// A recurrent layer's cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `h' = f(W x + b + R h + c)`.
    Rnn {
        /// The relu; tanh where it is none.
        activation: Activation,
    },
    /// Gates in the order reset, update, new.
    Gru {
        /// Whether the reset gate acts on the product with the state (PyTorch) and not on the state.
        reset_after: bool,
    },
    /// Gates in the order input, forget, cell, output.
    Lstm,
}

impl Cell {
    /// The number of gates.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn { .. } => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm => 4,
        }
    }

    /// The number of states.
    pub fn states(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }
}

/// What a node computes. The inputs in order are given in each comment; all others are attributes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Inputs: x, weights, bias (optional). `groups` divides the channels.
    Conv2d {
        /// The sliding window.
        window: Window,
        /// The number of channel groups.
        groups: usize,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x, weights, bias (optional). Output channel `channel * multiplier + j`.
    DepthwiseConv2d {
        /// The sliding window.
        window: Window,
        /// Output channels for each input channel.
        multiplier: usize,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x, weights, bias (optional). Flattens x to `[rows, in]` with `in` from the weights.
    FullyConnected {
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x `[.., in]` of int16, weights `[out][in]` of int8, bias of int32. A dense layer whose outputs are rounded once;
    /// quantization makes it of a fully connected one.
    DenseRows {
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x, gamma, beta, mean, variance; along the last axis. Folded away before export.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Inputs: x. Divides by the number of taps inside the image.
    AveragePool2d {
        /// The sliding window.
        window: Window,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x.
    MaxPool2d {
        /// The sliding window.
        window: Window,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x. Mean over the axes, which are kept as 1 or dropped.
    Mean {
        /// The axes reduced.
        axes: Vec<usize>,
        /// Whether reduced axes stay as 1.
        keep_dims: bool,
    },
    /// Inputs: a, b; broadcast as numpy does.
    Add {
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: a, b; broadcast as numpy does.
    Mul {
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: a, b; broadcast as numpy does. The difference.
    Sub {
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: a, b; broadcast as numpy does. The quotient; float only.
    Div {
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: a, b; broadcast as numpy does. Integer operands have the output's scale.
    Maximum,
    /// Inputs: a, b; broadcast as numpy does. Integer operands have the output's scale.
    Minimum,
    /// Inputs: a, b; broadcast as numpy does. `(a - b)^2`.
    SquaredDifference,
    /// Inputs: x, slopes; broadcast as numpy does. `x` where it is positive, `slope * x` elsewhere.
    Prelu,
    /// Inputs: a `[.., rows, depth]`, b `[.., depth, columns]`; the leading axes are equal, or one operand has none
    /// above 1.
    BatchMatmul {
        /// Whether the last two axes of a are exchanged.
        transpose_a: bool,
        /// Whether the last two axes of b are exchanged.
        transpose_b: bool,
    },
    /// Inputs: queries `[.., queries, depth]`, keys `[.., depth, keys]`, values `[.., keys, columns]`; the leading axes are
    /// equal. `softmax(scale * q k) v` along the keys. Integers only: quantization makes it of products and a softmax.
    Attention {
        /// Factor on the scores.
        scale: f32,
        /// Whether the last two axes of the keys are exchanged.
        transpose_keys: bool,
        /// Whether the last two axes of the values are exchanged.
        transpose_values: bool,
    },
    /// Inputs: x, weights `[out][kernel_height][kernel_width][in]`, bias (optional). The window is that of the
    /// convolution it transposes: from this one's output to its input.
    TransposeConv2d {
        /// The sliding window.
        window: Window,
        /// Fused activation.
        activation: Activation,
    },
    /// Inputs: x. Over the axes, which are kept as 1 or dropped by the output's shape.
    Reduce {
        /// What is made of the elements.
        reduction: Reduction,
        /// The axes reduced.
        axes: Vec<usize>,
    },
    /// Inputs: x. The position of the maximum along an axis, int32 or int64.
    ArgMax {
        /// The axis.
        axis: usize,
    },
    /// Inputs: x. Moves elements by an affine map of their index, see [`index_map`](crate::index_map).
    Rearrange(IndexMap),
    /// Inputs: x. Picks rows along an axis.
    Gather {
        /// The axis.
        axis: usize,
        /// The input's row for each of the output.
        rows: Vec<u32>,
    },
    /// Inputs: x. Resizes an image bilinearly to the output's shape.
    ResizeBilinear {
        /// The corner elements of input and output meet.
        align_corners: bool,
        /// Coordinates are those of the elements' centres.
        half_pixel_centers: bool,
    },
    /// Inputs: x. Along the last axis.
    LogSoftmax,
    /// Inputs: x. Divided by the Euclidean norm along the last axis.
    L2Normalization,
    /// Inputs: x, then input weights `[units][in]`, recurrent weights `[units][units]` and bias of the gates input,
    /// forget, cell and output. Outputs: the sequence, the hidden state and the cell, both among the graph's states.
    Lstm {
        /// The cell is clipped to this magnitude; infinite for none.
        cell_clip: f32,
    },
    /// Inputs: x, gamma, beta. Rows along the last axis with mean 0 and variance 1, times gamma, plus beta.
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Inputs: x `[.., time, depth]`, input weights `[gates * units][depth]`, recurrent weights `[gates * units][units]`,
    /// one bias for each row of either, and the initial states, `units` values each; without them, zero. Outputs: the
    /// states of all steps `[.., time, units]`, then the last state and the last cell of an LSTM.
    Recurrent {
        /// The cell.
        cell: Cell,
        /// Whether the last step of time comes first.
        reverse: bool,
    },
    /// Inputs: any number, joined along `axis`.
    Concatenation {
        /// The joined axis.
        axis: usize,
    },
    /// Inputs: x. Zeros (reals) before and after each axis.
    Pad {
        /// `(before, after)` for each axis.
        amounts: Vec<(usize, usize)>,
    },
    /// Inputs: x. As `Pad`, with a value of the tensor's type instead of zero.
    PadWith {
        /// `(before, after)` for each axis.
        amounts: Vec<(usize, usize)>,
        /// The one element.
        value: Data,
    },
    /// Inputs: x. The same elements in another shape, which the output tensor has.
    Reshape,
    /// Inputs: x. The same elements in a tensor of their own, such as a state.
    Copy,
    /// Inputs: columns for the start of the output, or none; columns for its end. The output is one of the graph's states: those
    /// of its columns that are not written move up first. Made by [`stream`](mod@crate::stream).
    Shift {
        /// The axis of time.
        axis: usize,
        /// How far columns move, at most as many as are written to the end.
        columns: usize,
    },
    /// Inputs: x. Along the last axis.
    Softmax {
        /// Factor on the logits.
        beta: f32,
    },
    /// Inputs: x. `1 / (1 + exp(-x))`.
    Logistic,
    /// Inputs: x.
    Tanh,
    /// Inputs: x. A function of each element.
    Function(Function),
    /// Inputs: x of int8. Any function of a code; the one for code `c` at index `c + 128`.
    Table {
        /// 256 codes of the output.
        codes: Vec<i8>,
    },
    /// Inputs: x. An activation that stands alone.
    Clamp {
        /// Which of the relu family.
        activation: Activation,
    },
    /// Inputs: x. Float to integer, integer to float or to another scale, by the types of input and output.
    Quantize,
}

impl Op {
    /// The name that messages use.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv2d { .. } => "conv_2d",
            Op::DepthwiseConv2d { .. } => "depthwise_conv_2d",
            Op::FullyConnected { .. } | Op::DenseRows { .. } => "fully_connected",
            Op::BatchNorm { .. } => "batch_norm",
            Op::AveragePool2d { .. } => "average_pool_2d",
            Op::MaxPool2d { .. } => "max_pool_2d",
            Op::Mean { .. } => "mean",
            Op::Add { .. } => "add",
            Op::Mul { .. } => "mul",
            Op::Sub { .. } => "sub",
            Op::Div { .. } => "div",
            Op::Maximum => "maximum",
            Op::Minimum => "minimum",
            Op::SquaredDifference => "squared_difference",
            Op::Prelu => "prelu",
            Op::BatchMatmul { .. } => "batch_matmul",
            Op::Attention { .. } => "attention",
            Op::TransposeConv2d { .. } => "transpose_conv_2d",
            Op::Reduce { reduction, .. } => reduction.name(),
            Op::ArgMax { .. } => "arg_max",
            Op::Rearrange(_) => "rearrange",
            Op::Gather { .. } => "gather",
            Op::ResizeBilinear { .. } => "resize_bilinear",
            Op::LogSoftmax => "log_softmax",
            Op::L2Normalization => "l2_normalization",
            Op::Lstm { .. } | Op::Recurrent { cell: Cell::Lstm, .. } => "lstm",
            Op::Recurrent { cell: Cell::Rnn { .. }, .. } => "rnn",
            Op::Recurrent { cell: Cell::Gru { .. }, .. } => "gru",
            Op::LayerNorm { .. } => "layer_norm",
            Op::Function(function) => function.name(),
            Op::Table { .. } => "table",
            Op::Concatenation { .. } => "concatenation",
            Op::Pad { .. } | Op::PadWith { .. } => "pad",
            Op::Reshape => "reshape",
            Op::Copy => "copy",
            Op::Shift { .. } => "shift",
            Op::Softmax { .. } => "softmax",
            Op::Logistic => "logistic",
            Op::Tanh => "tanh",
            Op::Clamp { .. } => "clamp",
            Op::Quantize => "quantize",
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// For error messages, `inspect` and `bench`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The operands, in the order that [`Op`] gives.
    pub inputs: Vec<TensorId>,
    /// The results.
    pub outputs: Vec<TensorId>,
}

/// How the device turns raw readings into a float input: `(x - mean) * scale` along the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// One mean for each channel of the last axis.
    pub mean: Vec<f32>,
    /// One factor for each channel (the inverse of the standard deviation).
    pub scale: Vec<f32>,
}

/// A network: nodes in execution order over tensors.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Goes into the model file.
    pub name: String,
    /// Every tensor that a [`TensorId`] names.
    pub tensors: Vec<Tensor>,
    /// In execution order.
    pub nodes: Vec<Node>,
    /// The tensors that the caller fills.
    pub inputs: Vec<TensorId>,
    /// The tensors that the caller reads.
    pub outputs: Vec<TensorId>,
    /// Pre-processing for each input.
    pub normalization: Vec<Option<Normalization>>,
    /// Names of the classes that the first output scores; empty for a regression.
    pub classes: Vec<String>,
    /// Outputs of nodes that live from one run to the next and start at the real 0, such as recurrent states.
    pub states: Vec<TensorId>,
}

impl Graph {
    /// The tensor behind an id.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The tensor behind an id, to change it.
    pub fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        &mut self.tensors[id.0]
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// Lets every recurrent layer that runs forwards from zeros keep its states from one run to the next, until the session
    /// is reset: a model of one step of time then takes a stream step by step. Returns the number of layers.
    pub fn keep_states(&mut self) -> usize {
        let mut count = 0;
        for node in std::mem::take(&mut self.nodes) {
            match node.op {
                Op::Recurrent { cell, reverse: false }
                    if node.inputs.len() == 5 && node.outputs.len() == 1 + cell.states() =>
                {
                    count += 1;
                    self.keep_state(node);
                }
                _ => self.nodes.push(node),
            }
        }
        count
    }

    /// Adds a recurrent layer that starts from what it left, with the nodes that keep it.
    pub(crate) fn keep_state(&mut self, mut node: Node) {
        let mut copies = Vec::new();
        for last in node.outputs.iter().skip(1) {
            let name = format!("{}.kept", self.tensor(*last).name);
            let kept = self.add_tensor(Tensor { name: name.clone(), ..self.tensor(*last).clone() });
            self.states.push(kept);
            node.inputs.push(kept);
            copies.push(Node { name, op: Op::Copy, inputs: vec![*last], outputs: vec![kept] });
        }
        self.nodes.push(node);
        self.nodes.extend(copies);
    }

    /// The nodes that read a tensor, by index.
    pub fn consumers(&self, id: TensorId) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.inputs.contains(&id)).map(|(index, _)| index)
    }

    /// The node that writes a tensor, by index.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.outputs.contains(&id))
    }
}
