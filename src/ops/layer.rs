//! What weighted layers share: spans of weights, biases and multipliers, and the fused activation.

use serde::{Deserialize, Serialize};

use super::{Error, Span, StepView, Tensor};
use crate::fixed::Multiplier;
use crate::kernels::{FloatOutput, OutOfBounds, Requantization};

/// The weights of an int8 layer with their requantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QuantizedLayer {
    /// Int8 weights, row-major.
    pub weights: Span,
    /// One i32 for each output channel.
    pub bias: Span,
    /// One i32 mantissa for each output channel.
    pub mantissas: Span,
    /// One i8 exponent for each output channel.
    pub exponents: Span,
    /// The range of the fused activation, in output codes.
    pub range: [i8; 2],
}

impl QuantizedLayer {
    /// Checks the parts against `weights` weights and `channels` output channels between two int8 tensors.
    pub fn verify(
        &self,
        view: &StepView<'_>,
        input: &Tensor,
        output: &Tensor,
        weights: usize,
        channels: usize,
    ) -> Result<(), Error> {
        input.expect_int8()?;
        output.expect_int8()?;
        view.constant::<i8>(self.weights, weights)?;
        view.constant::<i32>(self.bias, channels)?;
        let mantissas = view.constant::<i32>(self.mantissas, channels)?;
        let exponents = view.constant::<i8>(self.exponents, channels)?;
        let defined = mantissas.iter().all(|mantissa| *mantissa >= 0)
            && exponents.iter().all(|exponent| Multiplier::EXPONENTS.contains(exponent));
        let [low, high] = self.range;
        if defined && low <= high { Ok(()) } else { Err(Error::Quantization) }
    }

    /// The weights of a verified layer.
    pub fn weights<'m>(&self, view: &StepView<'m>) -> Result<&'m [i8], OutOfBounds> {
        view.constant_of(self.weights)
    }

    /// The requantization of a verified layer.
    pub fn requantization<'m>(
        &self,
        view: &StepView<'m>,
        input: &Tensor,
        output: &Tensor,
    ) -> Result<Requantization<'m>, OutOfBounds> {
        Ok(Requantization {
            bias: view.constant_of(self.bias)?,
            mantissas: view.constant_of(self.mantissas)?,
            exponents: view.constant_of(self.exponents)?,
            input_offset: input.zero_point.wrapping_neg(),
            output_zero_point: output.zero_point,
            range: self.range.map(i32::from),
        })
    }
}

/// The weights of an f32 layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FloatLayer {
    /// F32 weights, row-major.
    pub weights: Span,
    /// One f32 for each output channel, or empty.
    pub bias: Span,
    /// The range of the fused activation.
    pub range: [f32; 2],
}

impl FloatLayer {
    /// Checks the parts against `weights` weights and `channels` output channels between two f32 tensors.
    pub fn verify(
        &self,
        view: &StepView<'_>,
        input: &Tensor,
        output: &Tensor,
        weights: usize,
        channels: usize,
    ) -> Result<(), Error> {
        input.expect(super::DataType::Float32)?;
        output.expect(super::DataType::Float32)?;
        view.constant::<f32>(self.weights, weights)?;
        view.constant::<f32>(self.bias, if self.bias.length == 0 { 0 } else { channels })?;
        let [low, high] = self.range;
        if low <= high { Ok(()) } else { Err(Error::Quantization) }
    }

    /// The weights of a verified layer.
    pub fn weights<'m>(&self, view: &StepView<'m>) -> Result<&'m [f32], OutOfBounds> {
        view.constant_of(self.weights)
    }

    /// The bias and activation of a verified layer.
    pub fn output<'m>(&self, view: &StepView<'m>) -> Result<FloatOutput<'m>, OutOfBounds> {
        Ok(FloatOutput { bias: view.constant_of(self.bias)?, range: self.range })
    }
}
