//! The operators: one module a family, each with its parameters, its checks at load and the call to its kernel.
//!
//! An [`Operator`] is a static value with two functions. A firmware that passes only the operators it needs to
//! [`Model::with_operators`](crate::Model::with_operators) links only those; a step of any other kind is an error at
//! load that names it. `verify` proves everything that `run` relies on: after it, `run` only fails where a file
//! changed under its feet.

use crate::kernels::{self, OutOfBounds};

pub mod add;
pub mod attention;
pub mod batch_matmul;
pub mod binary;
pub mod concatenation;
pub mod conv_2d;
pub mod copy;
pub mod depthwise_conv_2d;
mod element;
pub mod embedding;
pub mod fully_connected;
pub mod gather;
pub mod in_place;
mod kind;
mod layer;
pub mod layer_norm_i16;
pub mod lookup;
pub mod lstm;
pub mod mean;
pub mod mul;
pub mod nonlinear_i16;
pub mod normalize;
pub mod packed_layer;
pub mod pad;
pub mod pool_2d;
pub mod quantize;
pub mod rearrange;
pub mod recurrent;
pub mod recurrent_i16;
pub mod reduce;
mod regions;
pub mod resize_bilinear;
pub mod rows;
pub mod shift;
pub mod softmax;
mod step;
mod tensor;
pub mod transpose_conv_2d;
pub mod unary;
mod wide_layer;
mod window;
pub mod words;

pub use element::{Element, QuantizedElement};
pub use kind::OpKind;
pub use layer::{FloatLayer, QuantizedLayer};
pub use regions::{Regions, Rest};
pub use step::{Call, Layer, Step, StepRecord, StepView, Tables};
pub use tensor::{DataType, MAX_RANK, Place, Span, Tensor, Tensors};
pub use wide_layer::WideLayer;
pub use window::WindowParameters;

pub use crate::kernels::reference::{Broadcast, IndexMap, Matrices, Shift};

/// One operator that a firmware links.
#[derive(Debug)]
pub struct Operator {
    /// The steps it runs.
    pub kind: OpKind,
    /// Checks a step before its first run: operands, parameters, bounds.
    pub verify: fn(&StepView<'_>) -> Result<(), Error>,
    /// Runs a verified step. It fails only where the file is not what was verified.
    pub run: fn(&mut Call<'_, '_>) -> kernels::Result,
}

macro_rules! operators {
    ($($module:ident::$name:ident,)*) => {
        /// Every operator of this library.
        pub static ALL: &[&Operator] = &[$(&$module::$name,)*];

        /// The paths of [`ALL`] below this module, in the same order: for tools that write down what a firmware links.
        pub static PATHS: &[&str] = &[$(concat!(stringify!($module), "::", stringify!($name)),)*];
    };
}

operators![
    add::FLOAT32,
    add::INT16,
    add::INT8,
    attention::INT16,
    attention::INT8,
    attention::MASKED_INT16,
    attention::MASKED_INT8,
    batch_matmul::FLOAT32,
    batch_matmul::INT16,
    batch_matmul::INT8,
    binary::DIV_FLOAT32,
    binary::MAXIMUM_FLOAT32,
    binary::MAXIMUM_INT8,
    binary::MINIMUM_FLOAT32,
    binary::MINIMUM_INT8,
    binary::PRELU_FLOAT32,
    binary::PRELU_INT8,
    binary::SQUARED_DIFFERENCE_FLOAT32,
    binary::SQUARED_DIFFERENCE_INT8,
    binary::SUB_FLOAT32,
    binary::SUB_INT16,
    binary::SUB_INT8,
    concatenation::OPERATOR,
    conv_2d::FLOAT32,
    conv_2d::INT16,
    conv_2d::INT8,
    copy::OPERATOR,
    depthwise_conv_2d::FLOAT32,
    depthwise_conv_2d::INT16,
    depthwise_conv_2d::INT8,
    embedding::OPERATOR,
    fully_connected::FLOAT32,
    fully_connected::INT16,
    fully_connected::INT8,
    gather::OPERATOR,
    in_place::DEPTHWISE_CONV_2D,
    in_place::POINTWISE_CONV_2D,
    layer_norm_i16::OPERATOR,
    lookup::INT8,
    lstm::FLOAT32,
    lstm::INT8,
    mean::FLOAT32,
    mean::INT16,
    mean::INT8,
    mean::MASKED_FLOAT32,
    mean::MASKED_INT16,
    mean::MASKED_INT8,
    mean::SUM_FLOAT32,
    mul::FLOAT32,
    mul::INT16,
    mul::INT8,
    nonlinear_i16::LEAKY_RELU,
    nonlinear_i16::LOGISTIC,
    nonlinear_i16::LOOKUP,
    nonlinear_i16::SOFTMAX,
    nonlinear_i16::TANH,
    normalize::L2_FLOAT32,
    normalize::L2_INT8,
    normalize::LAYER_NORM_FLOAT32,
    normalize::LOG_SOFTMAX_FLOAT32,
    normalize::LOG_SOFTMAX_INT8,
    normalize::RMS_NORM_FLOAT32,
    packed_layer::CONV_2D,
    packed_layer::CONV_2D_PIXELS,
    packed_layer::CONV_2D_PLAIN,
    packed_layer::DEPTHWISE_COLUMNS,
    packed_layer::DEPTHWISE_CONV_2D,
    packed_layer::FULLY_CONNECTED,
    packed_layer::FULLY_CONNECTED_DIRECT,
    pad::OPERATOR,
    pool_2d::AVERAGE_FLOAT32,
    pool_2d::AVERAGE_INT16,
    pool_2d::AVERAGE_INT8,
    pool_2d::MAX_FLOAT32,
    pool_2d::MAX_INT16,
    pool_2d::MAX_INT8,
    quantize::DEQUANTIZE,
    quantize::DEQUANTIZE_INT16,
    quantize::NARROW,
    quantize::NARROW_INT32,
    quantize::QUANTIZE,
    quantize::QUANTIZE_INT16,
    quantize::REQUANTIZE,
    quantize::REQUANTIZE_INT16,
    quantize::WIDEN,
    rearrange::OPERATOR,
    recurrent::GRU_FLOAT32,
    recurrent::LSTM_FLOAT32,
    recurrent::RNN_FLOAT32,
    recurrent_i16::GRU,
    recurrent_i16::LSTM,
    recurrent_i16::RNN,
    reduce::ARG_MAX_FLOAT32,
    reduce::ARG_MAX_INT8,
    reduce::MAX_FLOAT32,
    reduce::MAX_INT8,
    reduce::MIN_FLOAT32,
    reduce::MIN_INT8,
    resize_bilinear::FLOAT32,
    resize_bilinear::INT16,
    resize_bilinear::INT8,
    rows::DENSE,
    shift::OPERATOR,
    softmax::FLOAT32,
    softmax::INT8,
    softmax::MASKED_FLOAT32,
    transpose_conv_2d::FLOAT32,
    transpose_conv_2d::INT16,
    transpose_conv_2d::INT8,
    unary::ABS_FLOAT32,
    unary::CEIL_FLOAT32,
    unary::CLAMP_FLOAT32,
    unary::COS_FLOAT32,
    unary::ELU_FLOAT32,
    unary::ERF_FLOAT32,
    unary::EXP_FLOAT32,
    unary::FLOOR_FLOAT32,
    unary::GELU_FLOAT32,
    unary::GELU_TANH_FLOAT32,
    unary::HARD_SWISH_FLOAT32,
    unary::LEAKY_RELU_FLOAT32,
    unary::LOGISTIC_FLOAT32,
    unary::LOG_FLOAT32,
    unary::NEG_FLOAT32,
    unary::ROUND_FLOAT32,
    unary::RSQRT_FLOAT32,
    unary::SIN_FLOAT32,
    unary::SQRT_FLOAT32,
    unary::SQUARE_FLOAT32,
    unary::TANH_FLOAT32,
];

/// What is wrong with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// Its parameters don't decode, or name what is not there.
    Parameters,
    /// It has too few or too many inputs or outputs.
    OperandCount {
        /// Inputs and outputs that the operator takes (at least, for the inputs).
        expected: [u8; 2],
        /// Inputs and outputs that the step names.
        found: [u16; 2],
    },
    /// It names a tensor that the file doesn't have.
    NoSuchTensor {
        /// The index.
        index: u16,
    },
    /// An operand has another element type than the operator works on.
    DataType {
        /// The type that is there.
        found: DataType,
    },
    /// The shapes of the operands don't fit each other or the parameters.
    Shape,
    /// A part of the constants is too short, too long or outside the file.
    Constant {
        /// Bytes that the shapes ask for.
        need: usize,
        /// Bytes that the file names.
        have: usize,
    },
    /// A tensor or the scratch memory reaches outside the arena.
    OutsideArena {
        /// The first byte behind it.
        end: usize,
        /// The size of the arena.
        arena: usize,
    },
    /// Two regions of the arena overlap that must not.
    Overlap,
    /// An operand is a constant that has to lie in the arena.
    Misplaced,
    /// An address is not a multiple of the element size.
    Misaligned,
    /// A zero point, a multiplier or an activation range is outside what the arithmetic is defined for.
    Quantization,
    /// The weights have a packing that this build has no kernel for.
    Packing {
        /// The number of the packing.
        found: u32,
    },
    /// The step has less working memory than its kernel needs.
    Scratch {
        /// Bytes that the kernel needs.
        need: usize,
        /// Bytes that the step has.
        have: usize,
    },
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Parameters => write!(f, "its parameters don't decode, or name what is not there"),
            Error::OperandCount { expected, found } => {
                write!(f, "takes {expected:?} inputs and outputs, the step names {found:?}")
            }
            Error::NoSuchTensor { index } => write!(f, "names tensor {index}, which the file doesn't have"),
            Error::DataType { found } => write!(f, "does not work on {found:?}"),
            Error::Shape => write!(f, "shapes of operands and parameters don't fit"),
            Error::Constant { need, have } => write!(f, "needs {need} bytes of constants, {have} are there"),
            Error::OutsideArena { end, arena } => write!(f, "reaches byte {end} of an arena of {arena}"),
            Error::Misplaced => write!(f, "an operand is a constant and not in the arena"),
            Error::Overlap => write!(f, "operands overlap in the arena"),
            Error::Misaligned => write!(f, "an operand is not aligned to its elements"),
            Error::Quantization => write!(f, "a zero point, multiplier or range is out of bounds"),
            Error::Packing { found } => write!(f, "its weights have packing {found}, which has no kernel here"),
            Error::Scratch { need, have } => write!(f, "needs {need} bytes of scratch memory, has {have}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<OutOfBounds> for Error {
    fn from(_: OutOfBounds) -> Self {
        Error::Parameters
    }
}
