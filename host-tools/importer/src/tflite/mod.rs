//! TensorFlow Lite files: float32, and quantized to int8 or to int16 with int8 weights.
//!
//! [`file`] reads the tables and checks every index, [`import`] keeps track of what operators have written, and one
//! module for each family of operators turns them into the graph's: paddings become explicit, layouts the graph's,
//! and shapes are computed again and compared with what the file says.

mod constants;
mod file;
mod functions;
mod import;
mod layers;
mod opcodes;
mod pooling;
mod shapes;

use anyhow::{Context, Result, bail};
use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Op};

use file::{File, Operator};
use import::Import;

/// Reads a TensorFlow Lite model (`.tflite`).
///
/// Takes the first graph of the file, with batch 1 and fixed shapes. The error for what can't be taken names the
/// operator, its position and what to do.
pub fn import_tflite(bytes: &[u8]) -> Result<Graph> {
    let file = File::read(bytes).context("this is no TensorFlow Lite model that can be read")?;
    let mut import = Import::new(&file)?;
    for operator in &file.operators {
        let name = operator.outputs.first().and_then(|output| file.tensor(*output).ok()).map(|tensor| tensor.name);
        take(&mut import, operator).with_context(|| {
            let place = name.map(|name| format!(", which makes \"{name}\"")).unwrap_or_default();
            format!("operator {} ({}){place}", operator.index, operator.name)
        })?;
    }
    import.finish()
}

/// Adds what an operator does to the graph.
fn take(import: &mut Import<'_, '_>, operator: &Operator<'_>) -> Result<()> {
    match operator.code {
        0 => functions::binary(import, operator, 11, |activation| Op::Add { activation }),
        1 => pooling::pool_2d(import, operator, |window, activation| Op::AveragePool2d { window, activation }),
        2 => shapes::concatenation(import, operator),
        3 => layers::conv_2d(import, operator),
        4 => layers::depthwise_conv_2d(import, operator),
        6 | 114 => functions::unary(import, operator, Op::Quantize),
        9 => layers::fully_connected(import, operator),
        14 => functions::unary(import, operator, Op::Logistic),
        17 => pooling::pool_2d(import, operator, |window, activation| Op::MaxPool2d { window, activation }),
        18 => functions::binary(import, operator, 21, |activation| Op::Mul { activation }),
        19 => functions::unary(import, operator, Op::Clamp { activation: Activation::Relu }),
        20 => functions::unary(import, operator, Op::Clamp { activation: Activation::ReluN1To1 }),
        21 => functions::unary(import, operator, Op::Clamp { activation: Activation::Relu6 }),
        22 => shapes::reshape(import, operator),
        25 => functions::softmax(import, operator),
        28 => functions::unary(import, operator, Op::Tanh),
        34 => shapes::pad(import, operator),
        40 => pooling::mean(import, operator),
        43 => shapes::squeeze(import, operator),
        70 => shapes::expand_dims(import, operator),
        118 | 119 => bail!("control flow is not taken: unroll recurrent layers (Keras: unroll=True) and convert again"),
        _ => bail!("is not taken: replace it in the model by operators that are, or compute it outside"),
    }
}
