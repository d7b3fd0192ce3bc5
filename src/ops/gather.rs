//! Picks rows along an axis by a table that the host made: gathers with constant indices, mirrored padding, resizing
//! to the nearest element.

use serde::{Deserialize, Serialize};

use super::{Call, Error, OpKind, Operator, Span, StepView};
use crate::kernels::{self, reference};

/// The operator, for elements of any type.
pub static OPERATOR: Operator = Operator { kind: OpKind::Gather, verify, run };

/// Parameters of a gather: the input read as `[blocks, count, inner]`, the middle axis replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The extent of the axis in the input.
    pub count: u32,
    /// The elements behind the axis.
    pub inner: u32,
    /// The input's row for each row of the output, u32.
    pub rows: Span,
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let Parameters { count, inner, rows } = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(output.data_type)?;
    let rows = view.constant::<u32>(rows, rows.length as usize / size_of::<u32>())?;
    let block = (count as usize).saturating_mul(inner as usize);
    let fits = block > 0
        && !rows.is_empty()
        && input.elements().is_multiple_of(block)
        && output.elements() == (input.elements() / block).saturating_mul(inner as usize).saturating_mul(rows.len())
        && rows.iter().all(|row| *row < count);
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let Parameters { count, inner, rows } = view.parameters()?;
    let input = view.input(0)?;
    let rows = view.constant_of(rows)?;
    let length = (inner as usize).saturating_mul(input.data_type.bytes());
    let regions = call.output()?;
    let [bytes] = regions.writable;
    reference::gather(count as usize, length, rows, regions.rest.read::<u8>(input)?, bytes)
}
