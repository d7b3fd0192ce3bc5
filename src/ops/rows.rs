//! Rows of int8 weights over int16 inputs, and a dense layer of them.
//!
//! Input `[.., depth]`, output `[.., outputs]`, both int16 with zero point 0: every sum is exact, every output code rounded
//! once, see [`kernels::rows`]. The step has scratch memory for a padded input and the results of all
//! rows.

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, Span, StepView, Tensor};
use crate::kernels::reference::dense_rows;
use crate::kernels::{self, Active, Core, OutOfBounds, RowQuads};

/// The dense layer.
pub static DENSE: Operator = Operator { kind: OpKind::DenseRowsInt16, verify, run };

/// Rows of int8 weights with the factors of their sums; see [`kernels::rows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rows {
    /// The groups of four rows.
    pub words: Span,
    /// The shift of their results.
    pub shift: u8,
}

/// Parameters of a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DenseParameters {
    /// One row for each output.
    pub rows: Rows,
    /// The range of the fused activation, in output codes.
    pub range: [i16; 2],
}

impl Rows {
    /// The rows over a number of inputs.
    pub(super) fn over<'m>(&self, view: &StepView<'m>, depth: usize) -> Result<RowQuads<'m>, OutOfBounds> {
        let depth = depth.checked_next_multiple_of(4).ok_or(OutOfBounds)?;
        Ok(RowQuads { words: view.constant_of(self.words)?, depth, shift: self.shift.into() })
    }

    /// The same, checked: as many rows as asked for, and no sum that could overflow.
    pub(super) fn verify<'m>(&self, view: &StepView<'m>, rows: usize, depth: usize) -> Result<RowQuads<'m>, Error> {
        let quads = self.over(view, depth)?;
        view.constant::<u32>(self.words, RowQuads::words_for(rows, quads.depth))?;
        if quads.is_sound() { Ok(quads) } else { Err(Error::Quantization) }
    }
}

/// The extent of the last axis.
pub(super) fn last(tensor: &Tensor) -> usize {
    tensor.shape().last().map_or(0, |extent| *extent as usize)
}

/// Fails unless a tensor holds codes of a type whose zero point is 0.
pub(super) fn expect_symmetric(tensor: &Tensor, data_type: DataType) -> Result<(), Error> {
    tensor.expect(data_type)?;
    if tensor.zero_point == 0 { Ok(()) } else { Err(Error::Quantization) }
}

/// The last extents of the first input and output, where both are int16 and have as many rows.
#[inline(never)]
pub(super) fn expect_rows(view: &StepView<'_>) -> Result<[usize; 2], Error> {
    let (input, output) = (view.input(0)?, view.output(0)?);
    expect_symmetric(input, DataType::Int16)?;
    expect_symmetric(output, DataType::Int16)?;
    let (depth, units) = (last(input), last(output));
    let fits = depth > 0
        && units > 0
        && input.elements().is_multiple_of(depth)
        && output.elements() == (input.elements() / depth).saturating_mul(units);
    if fits { Ok([depth, units]) } else { Err(Error::Shape) }
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let [depth, outputs] = expect_rows(view)?;
    let DenseParameters { rows, range: [low, high] } = view.parameters()?;
    let rows = rows.verify(view, outputs, depth)?;
    if low > high {
        return Err(Error::Quantization);
    }
    view.expect_scratch_words((rows.depth / 2).saturating_add(outputs.div_ceil(4).saturating_mul(4)))
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let DenseParameters { rows, range } = view.parameters()?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    let extents = [last(input), last(output)];
    let rows = rows.over(view, extents[0])?;
    let (x, scratch, codes) = call.input_scratch_and_output(input, output)?;
    let x = bytemuck::try_cast_slice(x).map_err(|_| OutOfBounds)?;
    dense_rows(&rows, extents, range, x, elements(scratch)?, elements(codes)?, Active::row_product)
}
