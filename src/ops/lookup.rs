//! Any function of one int8 code, as a table of 256 codes that the host made.
//!
//! Logistic and tanh are tables of [`logistic_code`](crate::fixed::logistic_code) and
//! [`tanh_code`](crate::fixed::tanh_code): the same bits as the fixed-point algorithm, at two instructions a code.

use serde::{Deserialize, Serialize};

use super::{Call, DataType, Error, OpKind, Operator, Span, StepView};
use crate::kernels::{self, OutOfBounds};

/// The operator.
pub static INT8: Operator = Operator { kind: OpKind::LookupInt8, verify, run };

/// Parameters of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// 256 output codes; the one for code `c` at index `c + 128`.
    pub table: Span,
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(DataType::Int8)?;
    output.expect(DataType::Int8)?;
    view.constant::<i8>(view.parameters::<Parameters>()?.table, 256)?;
    if input.elements() == output.elements() { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let table = view.constant_of::<u8>(view.parameters::<Parameters>()?.table)?;
    let table: &[u8; 256] = table.try_into().map_err(|_| OutOfBounds)?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    for (code, result) in regions.rest.read::<u8>(input)?.iter().zip(codes) {
        // Flipping the sign bit adds 128.
        *result = table[usize::from(*code ^ 0x80)];
    }
    Ok(())
}
