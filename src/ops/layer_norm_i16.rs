//! Layer normalisation (Ba, Kiros and Hinton, 2016) and root-mean-square normalisation of int16 rows along the last axis.
//!
//! Zero points are 0. The arithmetic is that of [`layer_norm_i16`](crate::kernels::reference::layer_norm_i16).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, Error, OpKind, Operator, Span, StepView};
use crate::kernels::reference::{self, LayerNorm, MAX_ROW};
use crate::kernels::{self, Active, Core, OutOfBounds};

/// The operator.
pub static OPERATOR: Operator = Operator { kind: OpKind::LayerNormInt16, verify, run };

/// Parameters of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// One i16 factor for each value of a row.
    pub gamma: Span,
    /// One i32 offset for each value of a row, below `2^30`.
    pub beta: Span,
    /// Added to the sum of squares.
    pub epsilon: u64,
    /// Fractional bits before the last rounding.
    pub shift: u8,
    /// Whether the mean is taken off.
    pub centred: bool,
}

impl Parameters {
    fn norm<'m>(&self, view: &StepView<'m>, length: usize) -> Result<LayerNorm<'m>, OutOfBounds> {
        Ok(LayerNorm {
            gamma: view.constant_of(self.gamma)?,
            beta: view.constant_of(self.beta)?,
            epsilon: self.epsilon,
            fraction: reference::fraction_bits(length),
            shift: self.shift.into(),
            centred: self.centred,
        })
    }
}

fn length(view: &StepView<'_>) -> Result<usize, OutOfBounds> {
    Ok(view.input(0)?.shape().last().map_or(0, |extent| *extent as usize))
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect_codes::<i16>()?;
    output.expect_codes::<i16>()?;
    let length = length(view)?;
    if !(2..=MAX_ROW).contains(&length) || input.elements() != output.elements() {
        return Err(Error::Shape);
    }
    let parameters: Parameters = view.parameters()?;
    view.constant::<i16>(parameters.gamma, length)?;
    view.constant::<i32>(parameters.beta, length)?;
    let norm = parameters.norm(view, length)?;
    // Sums with the products before them have 31 bits and a sign.
    let bounded = norm.beta.iter().all(|beta| beta.unsigned_abs() < 1 << 30);
    let defined = bounded && (1..=31).contains(&parameters.shift) && input.zero_point == 0 && output.zero_point == 0;
    if defined { Ok(()) } else { Err(Error::Quantization) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let length = length(view)?;
    let norm = view.parameters::<Parameters>()?.norm(view, length)?;
    let input = view.input(0)?;
    let regions = call.output()?;
    let [codes] = regions.writable;
    let rows = regions.rest.read::<i16>(input)?.chunks_exact(length.max(1));
    for (x, codes) in rows.zip(elements(codes)?.chunks_exact_mut(length.max(1))) {
        Active::layer_norm_i16(&norm, x, codes);
    }
    Ok(())
}
