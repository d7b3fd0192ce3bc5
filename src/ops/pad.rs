//! Surrounds a tensor of up to four axes and any element type with a constant.

use serde::{Deserialize, Serialize};

use super::{Call, Error, OpKind, Operator, StepView, Tensor};
use crate::kernels::{self, OutOfBounds};

/// The operator.
pub static OPERATOR: Operator = Operator { kind: OpKind::Pad, verify, run };

/// Parameters of a pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// Elements before each axis of the tensor read as `[batch, rows, columns, channels]`.
    pub before: [u32; 4],
    /// Elements after each axis.
    pub after: [u32; 4],
    /// The bytes of one element of the padding, the zero point or a float; zeros behind them.
    pub value: [u8; 8],
}

/// The extents of a tensor with leading axes of 1.
fn extents(tensor: &Tensor) -> Option<[u32; 4]> {
    let shape = tensor.shape();
    let mut extents = [1; 4];
    for (extent, source) in extents.iter_mut().skip(4_usize.checked_sub(shape.len())?).zip(shape) {
        *extent = *source;
    }
    Some(extents)
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let parameters: Parameters = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(output.data_type)?;
    let (inner, outer) = (extents(input).ok_or(Error::Shape)?, extents(output).ok_or(Error::Shape)?);
    let sums = inner.iter().zip(&parameters.before).zip(&parameters.after);
    let fits = sums.map(|((inner, before), after)| inner.checked_add(*before)?.checked_add(*after));
    if fits.eq(outer.map(Some)) { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { before, value, .. } = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let inner = extents(input).ok_or(OutOfBounds)?.map(|extent| extent as usize);
    let outer = extents(output).ok_or(OutOfBounds)?.map(|extent| extent as usize);
    let [first_block, first_row, first_column, first_channel] = before.map(|extent| extent as usize);
    let size = input.data_type.bytes();
    let regions = call.output()?;
    let [bytes] = regions.writable;
    let value = value.get(..size).ok_or(OutOfBounds)?;
    for element in bytes.chunks_exact_mut(size) {
        element.copy_from_slice(value);
    }
    let run = inner[3] * size;
    let mut sources = regions.rest.read::<u8>(input)?.chunks_exact(run.max(1));
    for block in first_block..first_block + inner[0] {
        for row in first_row..first_row + inner[1] {
            for column in first_column..first_column + inner[2] {
                let pixel = (block * outer[1] + row) * outer[2] + column;
                let at = (pixel * outer[3] + first_channel) * size;
                let target = bytes.get_mut(at..at + run).ok_or(OutOfBounds)?;
                target.copy_from_slice(sources.next().ok_or(OutOfBounds)?);
            }
        }
    }
    Ok(())
}
