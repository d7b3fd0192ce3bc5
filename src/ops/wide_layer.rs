//! What layers on int16 activations with int8 weights share.

use serde::{Deserialize, Serialize};

use super::{Error, Span, StepView, Tensor};
use crate::fixed::Multiplier;
use crate::kernels::{OutOfBounds, WideRequantization};

/// The int8 weights of an int16 layer with their requantization. All zero points are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WideLayer {
    /// Int8 weights, row-major.
    pub weights: Span,
    /// One i64 for each output channel, or empty.
    pub bias: Span,
    /// One i32 mantissa for each output channel.
    pub mantissas: Span,
    /// One i8 exponent for each output channel.
    pub exponents: Span,
    /// The range of the fused activation, in output codes.
    pub range: [i16; 2],
}

impl WideLayer {
    /// Checks the parts against `weights` weights and `channels` output channels between two int16 tensors.
    pub fn verify(
        &self,
        view: &StepView<'_>,
        input: &Tensor,
        output: &Tensor,
        weights: usize,
        channels: usize,
    ) -> Result<(), Error> {
        input.expect_codes::<i16>()?;
        output.expect_codes::<i16>()?;
        view.constant::<i8>(self.weights, weights)?;
        view.constant::<i64>(self.bias, if self.bias.length == 0 { 0 } else { channels })?;
        let mantissas = view.constant::<i32>(self.mantissas, channels)?;
        let exponents = view.constant::<i8>(self.exponents, channels)?;
        let defined = input.zero_point == 0
            && output.zero_point == 0
            && mantissas.iter().all(|mantissa| *mantissa >= 0)
            && exponents.iter().all(|exponent| Multiplier::WIDE_EXPONENTS.contains(exponent));
        let [low, high] = self.range;
        if defined && low <= high { Ok(()) } else { Err(Error::Quantization) }
    }

    /// The weights of a verified layer.
    pub fn weights<'m>(&self, view: &StepView<'m>) -> Result<&'m [i8], OutOfBounds> {
        view.constant_of(self.weights)
    }

    /// The requantization of a verified layer.
    pub fn requantization<'m>(&self, view: &StepView<'m>) -> Result<WideRequantization<'m>, OutOfBounds> {
        Ok(WideRequantization {
            bias: view.constant_of(self.bias)?,
            mantissas: view.constant_of(self.mantissas)?,
            exponents: view.constant_of(self.exponents)?,
            range: self.range.map(i32::from),
        })
    }
}
