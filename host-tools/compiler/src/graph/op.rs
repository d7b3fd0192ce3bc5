//! The operators, with the order of their inputs and outputs.

use nervelet::ops::IndexMap;

use super::Data;
use super::parameters::{Activation, Cell, Function, Reduction, Window};

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
    /// Inputs: x, and optionally the number of rows along the axes that count, one int32. Mean over the axes, which are kept as 1
    /// or dropped; 0 where no row counts.
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
    /// equal; and optionally the number of keys that count, one int32. `softmax(scale * q k) v` along the keys. Integers only:
    /// quantization makes it of products and a softmax.
    Attention {
        /// Factor on the scores.
        scale: f32,
        /// Whether the last two axes of the keys are exchanged.
        transpose_keys: bool,
        /// Whether the last two axes of the values are exchanged.
        transpose_values: bool,
        /// Keys that the first query sees, where not all see all; each further query sees one more.
        visible: Option<usize>,
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
    /// Inputs: a table `[count, ..]`, int32 indices. A row of the table for each index: negative ones count from the end, those
    /// outside take the nearest row.
    Embedding,
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
    /// Inputs: x, gamma. Rows along the last axis divided by their root mean square, times gamma.
    RmsNorm {
        /// Added to the mean square.
        epsilon: f32,
    },
    /// Inputs: x `[.., time, depth]`, input weights `[gates * units][depth]`, recurrent weights `[gates * units][units]`,
    /// one bias for each row of either, and the initial states, `units` values each; without them, zero. Optionally, last of all,
    /// the number of steps that count, one int32. Outputs: the states of all steps `[.., time, units]`, 0 where they don't count,
    /// then the last state that counts and the last cell of an LSTM.
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
    /// Inputs: x `[.., queries, keys]`, and optionally the number of keys that count, one int32. Along the last axis, over the keys
    /// that count; the others are 0.
    MaskedSoftmax {
        /// Factor on the logits.
        beta: f32,
        /// Keys that the first query sees, where not all see all; each further query sees one more.
        visible: Option<usize>,
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
            Op::Embedding => "embedding",
            Op::ResizeBilinear { .. } => "resize_bilinear",
            Op::LogSoftmax => "log_softmax",
            Op::L2Normalization => "l2_normalization",
            Op::Lstm { .. } | Op::Recurrent { cell: Cell::Lstm, .. } => "lstm",
            Op::Recurrent { cell: Cell::Rnn { .. }, .. } => "rnn",
            Op::Recurrent { cell: Cell::Gru { .. }, .. } => "gru",
            Op::LayerNorm { .. } => "layer_norm",
            Op::RmsNorm { .. } => "rms_norm",
            Op::Function(function) => function.name(),
            Op::Table { .. } => "table",
            Op::Concatenation { .. } => "concatenation",
            Op::Pad { .. } | Op::PadWith { .. } => "pad",
            Op::Reshape => "reshape",
            Op::Copy => "copy",
            Op::Shift { .. } => "shift",
            Op::Softmax { .. } | Op::MaskedSoftmax { .. } => "softmax",
            Op::Logistic => "logistic",
            Op::Tanh => "tanh",
            Op::Clamp { .. } => "clamp",
            Op::Quantize => "quantize",
        }
    }
}
