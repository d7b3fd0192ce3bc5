//! TensorFlow Lite files: float32, and quantized to int8 or to int16 with int8 weights.
//!
//! [`file`] reads the tables and checks every index, `import` keeps track of what operators have written,
//! `folding` computes what does not depend on the input, and one module for each family of operators turns them into
//! the graph's: paddings become explicit, layouts the graph's,
//! and shapes are computed again and compared with what the file says.

mod constants;
mod file;
mod folding;
mod functions;
mod import;
mod layers;
mod movement;
mod opcodes;
mod picking;
mod pooling;
mod recurrent;
mod shapes;

use anyhow::{Context, Result, bail};
use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Function, Op, Reduction};

use file::{File, Operator};
use import::Import;

/// Reads a TensorFlow Lite model (`.tflite`).
///
/// Takes the first graph of the file, with batch 1 and fixed shapes, in float32 (weights may be float16 or int8), int8
/// or int16 with int8 weights. The operators taken are:
/// - layers: CONV_2D with groups, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, BATCH_MATMUL,
///   UNIDIRECTIONAL_SEQUENCE_LSTM (int8 and float32);
/// - pools and reductions: AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX;
/// - on two tensors: ADD, SUB, MUL, and for int8 and float32 MAXIMUM, MINIMUM, SQUARED_DIFFERENCE, PRELU; DIV in float32;
/// - functions: the RELU family, LEAKY_RELU, LOGISTIC, TANH, SOFTMAX, LOG_SOFTMAX, L2_NORMALIZATION, HARD_SWISH, GELU,
///   ELU, EXP, LOG, SQRT, RSQRT, SQUARE, ABS, NEG, SIN, COS, FLOOR, CEIL, ROUND;
/// - moves: RESHAPE, SQUEEZE, EXPAND_DIMS, CONCATENATION, PACK, UNPACK, SPLIT, SPLIT_V, SLICE, STRIDED_SLICE, GATHER
///   with constant indices, TRANSPOSE, TILE, BROADCAST_TO, REVERSE_V2, PAD, PADV2, MIRROR_PAD, SPACE_TO_DEPTH,
///   DEPTH_TO_SPACE, RESIZE_NEAREST_NEIGHBOR, RESIZE_BILINEAR;
/// - conversions: QUANTIZE, DEQUANTIZE; SHAPE where its result is a constant.
///
/// Arithmetic follows TensorFlow Lite Micro where it differs from TensorFlow Lite. The error for what can't be taken names the
/// operator, its position and what to do.
pub fn import_tflite(bytes: &[u8]) -> Result<Graph> {
    let file = File::read(bytes).context("this is no TensorFlow Lite model that can be read")?;
    let mut import = Import::new(&file)?;
    for operator in &file.operators {
        let name = operator.outputs.first().and_then(|output| file.tensor(*output).ok()).map(|tensor| tensor.name);
        let taken = folding::fold(&mut import, &file, operator)
            .and_then(|folded| if folded { Ok(()) } else { take(&mut import, operator) });
        taken.with_context(|| {
            let place = name.map(|name| format!(", which makes \"{name}\"")).unwrap_or_default();
            format!("operator {} ({}){place}", operator.index, operator.name)
        })?;
    }
    import.finish()
}

/// Adds what an operator does to the graph.
fn take(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    let function = |import: &mut Import<'_, '_>, function| functions::unary(import, operator, Op::Function(function));
    match operator.code {
        0 => functions::binary(import, operator, 11, |activation| Op::Add { activation }),
        1 => pooling::pool_2d(import, operator, |window, activation| Op::AveragePool2d { window, activation }),
        2 => shapes::concatenation(import, operator),
        3 => layers::conv_2d(import, operator),
        4 => layers::depthwise_conv_2d(import, operator),
        5 => movement::depth_to_space(import, operator),
        6 | 114 => functions::unary(import, operator, Op::Quantize),
        8 => function(import, Function::Floor),
        9 => layers::fully_connected(import, operator),
        11 => functions::unary(import, operator, Op::L2Normalization),
        14 => functions::unary(import, operator, Op::Logistic),
        17 => pooling::pool_2d(import, operator, |window, activation| Op::MaxPool2d { window, activation }),
        18 => functions::binary(import, operator, 21, |activation| Op::Mul { activation }),
        19 => functions::unary(import, operator, Op::Clamp { activation: Activation::Relu }),
        20 => functions::unary(import, operator, Op::Clamp { activation: Activation::ReluN1To1 }),
        21 => functions::relu6(import, operator),
        22 => shapes::reshape(import, operator),
        23 => picking::resize_bilinear(import, operator),
        25 => functions::softmax(import, operator),
        26 => movement::space_to_depth(import, operator),
        28 => functions::unary(import, operator, Op::Tanh),
        34 | 60 => shapes::pad(import, operator),
        36 => picking::gather(import, operator),
        39 => movement::transpose(import, operator),
        40 => pooling::reduce(import, operator, |axes, keep_dims| Op::Mean { axes, keep_dims }),
        41 => functions::binary(import, operator, 28, |activation| Op::Sub { activation }),
        42 => functions::binary(import, operator, 29, |activation| Op::Div { activation }),
        43 => shapes::squeeze(import, operator),
        44 => recurrent::lstm(import, operator),
        45 => movement::strided_slice(import, operator),
        47 => function(import, Function::Exp),
        49 => movement::split(import, operator),
        50 => functions::unary(import, operator, Op::LogSoftmax),
        54 => functions::plain_binary(import, operator, Op::Prelu),
        55 => functions::plain_binary(import, operator, Op::Maximum),
        56 => pooling::arg_max(import, operator),
        57 => functions::plain_binary(import, operator, Op::Minimum),
        59 => function(import, Function::Neg),
        65 => movement::slice(import, operator),
        66 => function(import, Function::Sin),
        67 => layers::transpose_conv_2d(import, operator),
        69 => movement::tile(import, operator),
        70 => shapes::expand_dims(import, operator),
        73 => function(import, Function::Log),
        74 => pooling::reduce(import, operator, |axes, _| Op::Reduce { reduction: Reduction::Sum, axes }),
        75 => function(import, Function::Sqrt),
        76 => function(import, Function::Rsqrt),
        82 => pooling::reduce(import, operator, |axes, _| Op::Reduce { reduction: Reduction::Max, axes }),
        83 => movement::pack(import, operator),
        88 => movement::unpack(import, operator),
        89 => pooling::reduce(import, operator, |axes, _| Op::Reduce { reduction: Reduction::Min, axes }),
        92 => function(import, Function::Square),
        97 => picking::resize_nearest(import, operator),
        98 => functions::leaky_relu(import, operator),
        99 => functions::plain_binary(import, operator, Op::SquaredDifference),
        100 => picking::mirror_pad(import, operator),
        101 => function(import, Function::Abs),
        102 => movement::split_v(import, operator),
        104 => function(import, Function::Ceil),
        105 => movement::reverse(import, operator),
        108 => function(import, Function::Cos),
        111 => function(import, Function::Elu),
        116 => function(import, Function::Round),
        117 => function(import, Function::HardSwish),
        118 | 119 => bail!("control flow is not taken: unroll recurrent layers (Keras: unroll=True) and convert again"),
        126 => functions::batch_matmul(import, operator),
        130 => movement::broadcast_to(import, operator),
        150 => functions::gelu(import, operator),
        _ => bail!("is not taken: replace it in the model by operators that are, or compute it outside"),
    }
}
