//! ONNX files, as PyTorch's exporters and onnxruntime's quantizer write them: float32, and int8 between
//! QuantizeLinear and DequantizeLinear.
//!
//! `guard` bounds what a file can make the decoder allocate, `file` checks what was decoded, `import` keeps track
//! of what each value has become. Nothing is moved that need not be: a `view` says how the file sees the elements
//! of a tensor, and layers, which want the channels innermost, write them so. `fold` computes what does not depend
//! on the inputs, one module for each family of operators does the rest, and `fuse` joins what exporters take apart.

mod array;
mod binary;
mod file;
mod fold;
mod functions;
mod fuse;
mod guard;
mod import;
mod joining;
mod layers;
mod masks;
mod movement;
mod pooling;
mod proto;
mod quantization;
mod recurrent;
mod resize;
mod root_mean_square;
#[cfg(test)]
mod tests;
mod view;
mod window;

use anyhow::{Context, Result, bail, ensure};
use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Function, Op, Reduction};

use file::{File, Operator};
use import::Import;
use pooling::Kind;

/// Reads an ONNX model (`.onnx`).
///
/// Takes float32 models and int8 models in QDQ form, with fixed shapes and a batch of 1; a first axis that is open is
/// taken as 1. Inputs and outputs keep the layout that the file gives them, channels first for an image. The operators
/// taken, of versions 7 to 28, are:
/// - layers: Conv and ConvTranspose over one or two axes, Gemm, MatMul, BatchNormalization, LayerNormalization,
///   RMSNormalization, RNN, GRU and LSTM in both directions; weights are constants, but for MatMul;
/// - pools and reductions: AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceSum, ReduceMax,
///   ReduceMin;
/// - on two tensors: Add, Sub, Mul, Div, Max, Min, PRelu, and Pow by a constant;
/// - functions: Relu, Clip, LeakyRelu, Elu, Gelu, HardSwish, HardSigmoid, Sigmoid, Tanh, Softmax, LogSoftmax, Erf, Exp,
///   Log, Sqrt, Reciprocal, Abs, Neg, Sin, Cos, Floor, Ceil, Round;
/// - masks: Where by a constant condition between a tensor and a constant; added constants or such choices in front of Softmax
///   that hide the end of each row, causally or not;
/// - moves: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Tile, Slice, Split, Concat, Gather by
///   constant indices or, along the first axis, by an input of int32 or int64, Pad with a constant, DepthToSpace, SpaceToDepth, Resize and Upsample;
/// - QuantizeLinear and DequantizeLinear of int8 and uint8, and everything that is computed from shapes and constants.
///
/// Between a dequantization and a quantization, convolutions, dense layers, products, sums, pools, means and functions
/// compute in int8, within one step of the output; others compute in float32. Data in other files is refused without a
/// look at it. The error for what can't be taken names the node, its operator and what to do.
pub fn import_onnx(bytes: &[u8]) -> Result<Graph> {
    let file = File::read(bytes).context("this is no ONNX model that can be read")?;
    let mut import = Import::new(&file)?;
    for index in 0..file.graph.node.len() {
        let operator = file.operator(index).context("a node is lost")?;
        take(&mut import, &operator).with_context(|| place(&operator))?;
    }
    let mut graph = import.finish()?;
    fuse::fuse(&mut graph);
    Ok(graph)
}

/// Where an error happened.
fn place(operator: &Operator<'_>) -> String {
    let name = match (operator.node.name.is_empty(), operator.output(0)) {
        (false, _) => format!(" \"{}\"", import::short(&operator.node.name)),
        (true, Some(output)) => format!(", which makes \"{}\"", import::short(output)),
        (true, None) => String::new(),
    };
    format!("node {} ({}){name}", operator.index, import::short(&operator.node.op_type))
}

/// The fewest and most inputs of the operators that are taken, and the most outputs.
fn arity(kind: &str) -> Option<(usize, usize, usize)> {
    Some(match kind {
        "Constant" => (0, 0, 1),
        "Abs" | "Ceil" | "Cos" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu" | "HardSigmoid" | "HardSwish"
        | "Identity" | "LeakyRelu" | "Log" | "LogSoftmax" | "Neg" | "Reciprocal" | "Relu" | "Round" | "Sigmoid"
        | "Sin" | "Softmax" | "Sqrt" | "Tanh" | "Cast" | "ConstantOfShape" | "DepthToSpace" | "Flatten"
        | "GlobalAveragePool" | "GlobalMaxPool" | "Not" | "Shape" | "Size" | "SpaceToDepth" | "Transpose"
        | "AveragePool" => (1, 1, 1),
        "MaxPool" => (1, 1, 2),
        "Dropout" => (1, 3, 2),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "MatMul" | "Mod" | "Equal" | "Gather" | "Expand" | "Tile"
        | "And" | "Or" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => (2, 2, 1),
        "Trilu" => (1, 2, 1),
        "Max" | "Min" | "Concat" => (1, usize::MAX, 1),
        "Conv" | "ConvTranspose" | "QuantizeLinear" | "DequantizeLinear" => (2, 3, 1),
        "Where" | "Range" => (3, 3, 1),
        "Gemm" => (2, 3, 1),
        "LayerNormalization" => (2, 3, 3),
        "RMSNormalization" => (2, 2, 1),
        "SimplifiedLayerNormalization" => (2, 2, 2),
        "BatchNormalization" => (5, 5, 5),
        "Clip" => (1, 3, 1),
        "Reshape" => (1, 2, 1),
        "Squeeze" | "Unsqueeze" | "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" => (1, 2, 1),
        "Slice" => (1, 5, 1),
        "Split" => (1, 2, usize::MAX),
        "Pad" => (1, 4, 1),
        "Resize" | "Upsample" => (1, 4, 1),
        "RNN" | "GRU" => (3, 6, 2),
        "LSTM" => (3, 8, 3),
        _ => return None,
    })
}

/// Adds what a node does to the graph.
fn take<'f>(import: &mut Import<'f>, operator: &Operator<'f>) -> Result<()> {
    let kind = &operator.node.op_type[..];
    let contributed = matches!(kind, "QuantizeLinear" | "DequantizeLinear" | "Gelu" | "SimplifiedLayerNormalization");
    let domain = &operator.node.domain[..];
    ensure!(
        matches!(domain, "" | "ai.onnx") || (domain == "com.microsoft" && contributed),
        "operators of {domain} are not taken: export with standard operators"
    );
    if matches!(kind, "If" | "Loop" | "Scan" | "SequenceMap") {
        bail!("control flow is not taken: export with fixed shapes, or unroll it");
    }
    let Some((fewest, most, outputs)) = arity(kind) else {
        bail!("is not taken: replace it in the model by operators that are, or compute it outside")
    };
    let (found, written) = (operator.node.input.len(), operator.node.output.len());
    ensure!((fewest..=most).contains(&found), "has {found} inputs, not {fewest} to {most}: the file is damaged");
    ensure!((1..=outputs).contains(&written), "has {written} outputs: the file is damaged");
    if fold::fold(import, operator)? {
        return Ok(());
    }
    let activation = Activation::None;
    match kind {
        "Conv" => layers::conv(import, operator),
        "ConvTranspose" => layers::conv_transpose(import, operator),
        "Gemm" => layers::gemm(import, operator),
        "MatMul" => layers::matmul(import, operator),
        "BatchNormalization" => layers::batch_norm(import, operator),
        "QuantizeLinear" => quantization::quantize(import, operator),
        "DequantizeLinear" => quantization::dequantize(import, operator),
        "AveragePool" => pooling::pool(import, operator, true),
        "MaxPool" => pooling::pool(import, operator, false),
        "GlobalAveragePool" => pooling::global_pool(import, operator, Kind::Mean),
        "GlobalMaxPool" => pooling::global_pool(import, operator, Kind::Other(Reduction::Max)),
        "ReduceMean" => pooling::reduce(import, operator, Kind::Mean),
        "ReduceSum" => pooling::reduce(import, operator, Kind::Other(Reduction::Sum)),
        "ReduceMax" => pooling::reduce(import, operator, Kind::Other(Reduction::Max)),
        "ReduceMin" => pooling::reduce(import, operator, Kind::Other(Reduction::Min)),
        "Add" => binary::binary(import, operator, Op::Add { activation }, true),
        "Sub" => binary::binary(import, operator, Op::Sub { activation }, true),
        "Mul" => binary::binary(import, operator, Op::Mul { activation }, true),
        "Div" => binary::binary(import, operator, Op::Div { activation }, false),
        "Max" if operator.node.input.len() == 2 => binary::binary(import, operator, Op::Maximum, false),
        "Min" if operator.node.input.len() == 2 => binary::binary(import, operator, Op::Minimum, false),
        "PRelu" => functions::prelu(import, operator),
        "Pow" => functions::pow(import, operator),
        "Reciprocal" => functions::reciprocal(import, operator),
        "Relu" => functions::relu(import, operator, Activation::Relu),
        "Clip" => functions::clip(import, operator),
        "Sigmoid" => functions::unary(import, operator, Op::Logistic, Some(|x| 1.0 / (1.0 + (-x).exp()))),
        "Tanh" => functions::unary(import, operator, Op::Tanh, Some(f64::tanh)),
        "HardSigmoid" => functions::hard_sigmoid(import, operator),
        "HardSwish" => {
            let real = |x: f64| x * (x + 3.0).clamp(0.0, 6.0) / 6.0;
            functions::unary(import, operator, Op::Function(Function::HardSwish), Some(real))
        }
        "Elu" => functions::elu(import, operator),
        "LeakyRelu" => functions::leaky_relu(import, operator),
        "Gelu" => functions::gelu(import, operator),
        "Erf" => functions::unary(import, operator, Op::Function(Function::Erf), None),
        "Exp" => functions::unary(import, operator, Op::Function(Function::Exp), Some(f64::exp)),
        "Log" => functions::unary(import, operator, Op::Function(Function::Log), None),
        "Abs" => functions::unary(import, operator, Op::Function(Function::Abs), Some(f64::abs)),
        "Neg" => functions::unary(import, operator, Op::Function(Function::Neg), Some(|x| -x)),
        "Sqrt" => functions::unary(import, operator, Op::Function(Function::Sqrt), None),
        "Sin" => functions::unary(import, operator, Op::Function(Function::Sin), Some(f64::sin)),
        "Cos" => functions::unary(import, operator, Op::Function(Function::Cos), Some(f64::cos)),
        "Floor" => functions::unary(import, operator, Op::Function(Function::Floor), Some(f64::floor)),
        "Ceil" => functions::unary(import, operator, Op::Function(Function::Ceil), Some(f64::ceil)),
        "Round" => functions::unary(import, operator, Op::Function(Function::Round), Some(f64::round_ties_even)),
        "Softmax" => functions::softmax(import, operator, false),
        "LogSoftmax" => functions::softmax(import, operator, true),
        "LayerNormalization" => functions::layer_norm(import, operator, true),
        "RMSNormalization" | "SimplifiedLayerNormalization" => functions::layer_norm(import, operator, false),
        "Cast" => functions::cast(import, operator),
        "Where" => masks::choose(import, operator),
        "Identity" | "Dropout" => movement::identity(import, operator),
        "Reshape" => movement::reshape(import, operator),
        "Flatten" => movement::flatten(import, operator),
        "Squeeze" => movement::squeeze(import, operator),
        "Unsqueeze" => movement::unsqueeze(import, operator),
        "Transpose" => movement::transpose(import, operator),
        "Expand" => movement::expand(import, operator),
        "Tile" => movement::tile(import, operator),
        "Slice" => movement::slice(import, operator),
        "Split" => movement::split(import, operator),
        "Gather" => movement::gather(import, operator),
        "Concat" => joining::concat(import, operator),
        "Pad" => joining::pad(import, operator),
        "DepthToSpace" => movement::depth_to_space(import, operator),
        "SpaceToDepth" => movement::space_to_depth(import, operator),
        "Resize" | "Upsample" => resize::resize(import, operator),
        "RNN" | "GRU" | "LSTM" => recurrent::recurrent(import, operator),
        _ => bail!("is not taken for what is computed at run time: only constants and shapes"),
    }
}
