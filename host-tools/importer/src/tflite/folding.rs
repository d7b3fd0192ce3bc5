//! Operators whose result does not depend on the input: they are computed here and become constants.
//!
//! A model converted without a fixed batch computes shapes at run time (SHAPE, then slices and stacks of it); one with
//! float16 weights widens them at run time (DEQUANTIZE). With fixed shapes both are constants.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet::{Model, Session};
use nervelet_compiler::{AlignedBytes, CompileOptions, compile};

use super::file::{File, Operator};
use super::import::Import;

/// Operators on integers that only move them: CONCATENATION, RESHAPE, GATHER, TRANSPOSE, SQUEEZE, STRIDED_SLICE,
/// SLICE, EXPAND_DIMS, PACK.
const MOVES: [u32; 9] = [2, 22, 36, 39, 43, 45, 65, 70, 83];

/// Computes an operator if it can be; true where it was.
pub(super) fn fold(import: &mut Import<'_, '_>, file: &File<'_>, operator: &Operator<'_>) -> Result<bool> {
    let [output] = operator.outputs[..] else { return Ok(false) };
    let bytes = match operator.code {
        // SHAPE
        77 => shape(import, operator, output)?,
        // DEQUANTIZE
        6 => match file.half_constant(operator.input(0)?)? {
            Some(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            None => return Ok(false),
        },
        code if MOVES.contains(&code) && import.is_integer_constant(operator)? => evaluate(import, file, operator)?,
        _ => return Ok(false),
    };
    import.folded(output, bytes)?;
    Ok(true)
}

fn shape(import: &Import<'_, '_>, operator: &Operator<'_>, output: usize) -> Result<Vec<u8>> {
    let shape = import.tensor(operator.input(0)?)?.shape;
    match import.tensor(output)?.data_type {
        DataType::Int32 => {
            let extents = shape.iter().map(|extent| i32::try_from(*extent)).collect::<Result<Vec<_>, _>>()?;
            Ok(extents.into_iter().flat_map(i32::to_le_bytes).collect())
        }
        DataType::Int64 => Ok(shape.iter().flat_map(|extent| (*extent as i64).to_le_bytes()).collect()),
        other => bail!("gives the shape as {other:?}"),
    }
}

/// The output of an operator on constants: runs it alone.
fn evaluate(import: &Import<'_, '_>, file: &File<'_>, operator: &Operator<'_>) -> Result<Vec<u8>> {
    let mut alone = import.alone(file);
    super::take(&mut alone, operator)?;
    let graph = alone.finish_with(&operator.outputs)?;
    let compiled = compile(&graph, &CompileOptions::default()).context("computing it in advance")?;
    let model = Model::from_bytes(&compiled.bytes).context("computing it in advance")?;
    let mut arena = AlignedBytes::zeroed(compiled.arena_bytes);
    let mut session = Session::new(&model, &mut arena).context("computing it in advance")?;
    session.invoke().context("computing it in advance")?;
    if let Ok(values) = session.output::<i64>(0) {
        return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }
    let values = session.output::<i32>(0);
    ensure!(values.is_ok(), "computes something else than integers");
    Ok(values.into_iter().flatten().flat_map(|value| value.to_le_bytes()).collect())
}
