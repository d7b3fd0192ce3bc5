//! Copies the elements of a tensor of any type: what a reshape does where it can't be an alias.

use super::{Call, Error, OpKind, Operator, StepView};
use crate::kernels::{self, OutOfBounds};

/// The operator; it has no parameters.
pub static OPERATOR: Operator = Operator { kind: OpKind::Copy, verify, run };

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(output.data_type)?;
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let (input, output) = (call.view.input(0)?, call.view.output(0)?);
    let (source, _, bytes) = call.input_scratch_and_output(input, output)?;
    if source.len() != bytes.len() {
        return Err(OutOfBounds);
    }
    bytes.copy_from_slice(source);
    Ok(())
}
