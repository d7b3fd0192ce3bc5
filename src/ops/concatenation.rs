//! Joins tensors of any element type along an axis. Codes are moved as they are: the operands share a quantization.

use serde::{Deserialize, Serialize};

use super::{Call, Error, OpKind, Operator, StepView, Tensor};
use crate::kernels::{self, OutOfBounds};

/// The operator.
pub static OPERATOR: Operator = Operator { kind: OpKind::Concatenation, verify, run };

/// Parameters of a concatenation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The joined axis.
    pub axis: u8,
}

/// Bytes of one tensor from `axis` inwards.
fn run_length(tensor: &Tensor, axis: usize) -> usize {
    let inner = tensor.shape().iter().skip(axis).fold(1_usize, |n, extent| n.saturating_mul(*extent as usize));
    inner.saturating_mul(tensor.data_type.bytes())
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    let inputs = view.inputs();
    view.expect_operands(inputs.max(1), 1)?;
    let axis = usize::from(view.parameters::<Parameters>()?.axis);
    let output = view.output(0)?;
    let mut joined = 0_u32;
    for position in 0..inputs {
        let input = view.input(position)?;
        input.expect(output.data_type)?;
        let same_elsewhere = input.rank == output.rank
            && input.shape().iter().zip(output.shape()).enumerate().all(|(at, (a, b))| at == axis || a == b);
        if !same_elsewhere {
            return Err(Error::Shape);
        }
        joined = joined.saturating_add(input.shape().get(axis).copied().ok_or(Error::Shape)?);
    }
    if output.shape().get(axis) == Some(&joined) { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let axis = usize::from(view.parameters::<Parameters>()?.axis);
    let output_run = run_length(view.output(0)?, axis).max(1);
    let regions = call.output()?;
    let [bytes] = regions.writable;
    let mut start = 0;
    for position in 0..view.inputs() {
        let input = view.input(position)?;
        let input_run = run_length(input, axis).max(1);
        let source = regions.rest.read::<u8>(input)?;
        for (target, source) in bytes.chunks_exact_mut(output_run).zip(source.chunks_exact(input_run)) {
            let part = target.get_mut(start..start + input_run).ok_or(OutOfBounds)?;
            part.copy_from_slice(source);
        }
        start += input_run;
    }
    Ok(())
}
