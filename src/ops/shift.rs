//! Takes the newest columns of a stream into a history: earlier ones move up, the oldest drop out. Any element type.
//!
//! The output is a state: it keeps its columns from one run to the next, see
//! [`State`](crate::model::schema::State). With two inputs, the first and the last columns are those that depend on the
//! ends of the window and are written anew in every run; only the columns between them move.

use super::{Call, Error, OpKind, Operator, StepView};
use crate::kernels::reference::{Shift, shift};
use crate::kernels::{self};

/// The operator. Inputs: columns for the start of the output, or none; columns for its end. Its parameters are a
/// [`Shift`].
pub static OPERATOR: Operator = Operator { kind: OpKind::Shift, verify, run };

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    let inputs = view.inputs().clamp(1, 2);
    view.expect_operands(inputs, 1)?;
    let Shift { block, front, back, by } = view.parameters()?;
    let output = view.output(0)?;
    let length = output.span().length as usize;
    let blocks = length.checked_div(block as usize).unwrap_or(0);
    let of_input = |position: usize, bytes: u32| {
        let input = view.input(position)?;
        input.expect(output.data_type)?;
        if input.span().length as usize == blocks.saturating_mul(bytes as usize) { Ok(()) } else { Err(Error::Shape) }
    };
    of_input(inputs - 1, back)?;
    if inputs > 1 {
        of_input(0, front)?;
    }
    let fits = back > 0
        && (front > 0) == (inputs > 1)
        && front.saturating_add(back) <= block
        && by <= back
        && blocks.saturating_mul(block as usize) == length
        && [block, front, back, by].iter().all(|bytes| (*bytes as usize).is_multiple_of(output.data_type.bytes()));
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let geometry: Shift = view.parameters()?;
    let has_front = geometry.front > 0;
    let last = view.input(usize::from(has_front))?;
    let first = if has_front { Some(view.input(0)?) } else { None };
    let regions = call.output()?;
    let [bytes] = regions.writable;
    let back = regions.rest.read(last)?;
    let front = match first {
        Some(first) => regions.rest.read(first)?,
        None => &[],
    };
    shift(&geometry, front, back, bytes)
}
