//! Takes the newest columns of a stream into a history: earlier ones move up, the oldest drop out. Any element type.
//!
//! The output is a state: it keeps its columns from one run to the next, see
//! [`State`](crate::model::schema::State). With `front`, the first and the last columns are those that depend on the
//! ends of the window and are written anew in every run; only the columns between them move.

use serde::{Deserialize, Serialize};

use super::{Call, Error, OpKind, Operator, StepView, Tensor};
use crate::kernels::reference::{Shift, shift};

/// The operator. Inputs: columns for the start of the output, or none; columns for its end.
pub static OPERATOR: Operator = Operator { kind: OpKind::Shift, verify, run };

/// Parameters of a shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The axis of time.
    pub axis: u8,
    /// How many columns the others move up; at most as many as are written to the end.
    pub columns: u32,
}

/// The geometry of a step in bytes: what moves, with the bytes of a block of the columns for start and end.
fn geometry(view: &StepView<'_>) -> Result<Shift, Error> {
    let Parameters { axis, columns } = view.parameters()?;
    let axis = usize::from(axis);
    let bytes = |tensor: &Tensor, from: usize| {
        let inner = tensor.shape().iter().skip(from).fold(1_usize, |n, extent| n.saturating_mul(*extent as usize));
        inner.saturating_mul(tensor.data_type.bytes())
    };
    let inputs = view.step.inputs().count();
    let front = if inputs > 1 { bytes(&view.input(0)?, axis) } else { 0 };
    let output = view.output(0)?;
    Ok(Shift {
        block: bytes(&output, axis),
        front,
        back: bytes(&view.input(inputs.saturating_sub(1))?, axis),
        by: bytes(&output, axis.saturating_add(1)).saturating_mul(columns as usize),
    })
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    let inputs = view.step.inputs().count();
    view.expect_operands(inputs.clamp(1, 2), 1)?;
    let axis = usize::from(view.parameters::<Parameters>()?.axis);
    let output = view.output(0)?;
    for position in 0..inputs {
        let input = view.input(position)?;
        input.expect(output.data_type)?;
        let mut axes = input.shape().iter().zip(output.shape()).enumerate();
        if input.rank != output.rank || axis >= output.shape().len() || !axes.all(|(at, (a, b))| at == axis || a == b) {
            return Err(Error::Shape);
        }
    }
    let Shift { block, front, back, by } = geometry(view)?;
    let fits = front.saturating_add(back) <= block && by <= back && block < u32::MAX as usize;
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> Result<(), Error> {
    let view = call.view;
    let geometry = geometry(&view)?;
    let inputs = view.step.inputs().count();
    let last = view.input(inputs.saturating_sub(1))?;
    let first = if inputs > 1 { Some(view.input(0)?) } else { None };
    let regions = call.output()?;
    let [bytes] = regions.writable;
    let front = match &first {
        Some(first) => regions.rest.read(first)?,
        None => &[],
    };
    Ok(shift(&geometry, front, regions.rest.read(&last)?, bytes)?)
}
