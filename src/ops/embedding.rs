//! Rows of a table by indices that are computed or given at run time: an embedding of tokens.
//!
//! Inputs: the table `[count, ..]` of any type, a constant or not, and int32 indices; output: a row for each index. A negative
//! index counts from the end; one outside the table, from either side, takes the nearest row, so that no input can fail a run.

use super::{Call, DataType, Error, OpKind, Operator, StepView};
use crate::kernels::{self, OutOfBounds, reference};

/// The operator, for tables of any type; it has no parameters.
pub static OPERATOR: Operator = Operator { kind: OpKind::Embedding, verify, run };

/// The number of rows of the table and the elements of each.
fn extents(view: &StepView<'_>) -> Result<[usize; 2], OutOfBounds> {
    let table = view.input(0)?;
    let rows = table.shape().first().map_or(0, |extent| *extent as usize);
    let length = table.elements().checked_div(rows).unwrap_or(0);
    // Indices are int32.
    if length > 0 && rows <= i32::MAX as usize { Ok([rows, length]) } else { Err(OutOfBounds) }
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(2, 1)?;
    let (table, indices, output) = (view.input(0)?, view.input(1)?, view.output(0)?);
    indices.expect(DataType::Int32)?;
    output.expect(table.data_type)?;
    let [_, length] = extents(view)?;
    let fits = output.elements() == indices.elements().saturating_mul(length);
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let (table, indices) = (view.input(0)?, view.input(1)?);
    let [_, length] = extents(view)?;
    let length = length.saturating_mul(table.data_type.bytes());
    let regions = call.output()?;
    let [bytes] = regions.writable;
    let (table, indices) = (regions.rest.read::<u8>(table)?, regions.rest.read::<i32>(indices)?);
    reference::embedding(length, indices, table, bytes)
}
