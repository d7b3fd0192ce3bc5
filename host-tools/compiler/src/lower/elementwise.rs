//! Element-wise operators on two tensors, conversions, and operators that join or surround tensors.

use anyhow::{Context, Result, bail, ensure};
use nervelet::fixed::Multiplier;
use nervelet::ops::{Broadcast, DataType, OpKind, QuantizedElement};
use nervelet::ops::{add, concatenation, pad, quantize};

use super::{Lowering, code_range, real_range, scale};
use crate::graph::{Activation, Data, Node};

impl Lowering<'_> {
    /// A sum or a difference.
    pub(super) fn sum(&mut self, node: &Node, activation: Activation, kinds: [OpKind; 3]) -> Result<()> {
        let kind = self.by_type(node, 2, kinds)?;
        match self.output(node)?.data_type {
            DataType::Int8 => self.scaled_binary::<i8>(node, kind, activation, |t, out| t / (f64::from(1 << 20) * out)),
            DataType::Int16 => {
                self.scaled_binary::<i16>(node, kind, activation, |t, out| t / (f64::from(1 << 15) * out))
            }
            _ => self.float_binary(node, kind, activation),
        }
    }

    pub(super) fn squared_difference(&mut self, node: &Node) -> Result<()> {
        let kind = self.by_narrow_type(node, 2, OpKind::SquaredDifferenceInt8, OpKind::SquaredDifferenceFloat32)?;
        if kind == OpKind::SquaredDifferenceFloat32 {
            return self.float_binary(node, kind, Activation::None);
        }
        self.scaled_binary::<i8>(node, kind, Activation::None, |t, out| t * t / (f64::from(1 << 14) * out))
    }

    /// An operator that brings both operands to twice the larger scale `t`; `finish` makes the output's factor of `t`
    /// and the output's scale.
    fn scaled_binary<C: QuantizedElement>(
        &mut self,
        node: &Node,
        kind: OpKind,
        activation: Activation,
        finish: impl Fn(f64, f64) -> f64,
    ) -> Result<()> {
        let (a, b, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        let [a, b, out] = [scale(a)?, scale(b)?, scale(output)?].map(|scale| f64::from(scale.scale));
        let twice_larger = 2.0 * a.max(b);
        let factors = [a / twice_larger, b / twice_larger, finish(twice_larger, out)];
        self.code_binary::<C>(node, kind, activation, factors.map(Multiplier::from_real))
    }

    pub(super) fn mul(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 2, [OpKind::MulInt8, OpKind::MulInt16, OpKind::MulFloat32])?;
        if kind == OpKind::MulFloat32 {
            return self.float_binary(node, kind, activation);
        }
        let (a, b, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        // The reference forms this product and quotient in f32.
        let factor = scale(a)?.scale * scale(b)?.scale / scale(output)?.scale;
        let unused = Multiplier::default();
        let factors = [unused, unused, Multiplier::from_real(f64::from(factor))];
        match kind {
            OpKind::MulInt8 => self.code_binary::<i8>(node, kind, activation, factors),
            _ => self.code_binary::<i16>(node, kind, activation, factors),
        }
    }

    pub(super) fn div(&mut self, node: &Node, activation: Activation) -> Result<()> {
        match self.data_type(node, 2)? {
            DataType::Float32 => self.float_binary(node, OpKind::DivFloat32, activation),
            other => bail!("has no kernel for {other:?}: multiply by the reciprocal, or keep this part in float"),
        }
    }

    /// A maximum or minimum.
    pub(super) fn select(&mut self, node: &Node, int8: OpKind, float32: OpKind) -> Result<()> {
        let kind = self.by_narrow_type(node, 2, int8, float32)?;
        if kind == float32 {
            return self.float_binary(node, kind, Activation::None);
        }
        let output = &self.output(node)?.quantization;
        for position in [0, 1] {
            let input = self.input(node, position)?;
            ensure!(input.quantization == *output, "{} has another scale than the output", input.name);
        }
        self.code_binary::<i8>(node, kind, Activation::None, [Multiplier::default(); 3])
    }

    pub(super) fn prelu(&mut self, node: &Node) -> Result<()> {
        let kind = self.by_narrow_type(node, 2, OpKind::PreluInt8, OpKind::PreluFloat32)?;
        if kind == OpKind::PreluFloat32 {
            return self.float_binary(node, kind, Activation::None);
        }
        let [x, slope, output] = [self.input(node, 0)?, self.input(node, 1)?, self.output(node)?];
        let [x, slope, output] = [scale(x)?.scale, scale(slope)?.scale, scale(output)?.scale];
        let factor = |real: f32| Multiplier::from_real(f64::from(real));
        let factors = [factor(x / output), Multiplier::default(), factor(x * slope / output)];
        self.code_binary::<i8>(node, kind, Activation::None, factors)
    }

    fn code_binary<C: QuantizedElement>(
        &mut self,
        node: &Node,
        kind: OpKind,
        activation: Activation,
        factors: [Multiplier; 3],
    ) -> Result<()> {
        let parameters = add::Parameters {
            broadcast: self.broadcast(node)?,
            range: code_range::<C>(activation, self.output(node)?)?,
            mantissas: factors.map(|factor| factor.mantissa),
            exponents: factors.map(|factor| factor.exponent),
        };
        self.step(node, kind, 2, &parameters)
    }

    fn float_binary(&mut self, node: &Node, kind: OpKind, activation: Activation) -> Result<()> {
        let parameters = add::Parameters {
            broadcast: self.broadcast(node)?,
            range: real_range(activation),
            mantissas: [0; 3],
            exponents: [0; 3],
        };
        self.step(node, kind, 2, &parameters)
    }

    fn broadcast(&self, node: &Node) -> Result<Broadcast> {
        let (a, b, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        broadcast(&a.shape, &b.shape, &output.shape)
            .with_context(|| format!("{:?} and {:?} don't broadcast to {:?}", a.shape, b.shape, output.shape))
    }

    pub(super) fn concatenation(&mut self, node: &Node, axis: usize) -> Result<()> {
        let output = self.output(node)?;
        for position in 0..node.inputs.len() {
            let input = self.input(node, position)?;
            ensure!(input.quantization == output.quantization, "{} has another scale than the output", input.name);
        }
        let axis = u8::try_from(axis)?;
        self.step(node, OpKind::Concatenation, node.inputs.len(), &concatenation::Parameters { axis })
    }

    pub(super) fn pad(&mut self, node: &Node, amounts: &[(usize, usize)], value: Option<&Data>) -> Result<()> {
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        ensure!(input.quantization == output.quantization, "input and output have different scales");
        ensure!(
            amounts.len() == input.shape.len() && amounts.len() <= 4,
            "pads {} axes of {:?}",
            amounts.len(),
            input.shape
        );
        let element = match (value, input.data_type) {
            (Some(value), _) => value.to_bytes(),
            (None, DataType::Int8) => vec![scale(input)?.zero_point as u8],
            (None, other) => vec![0; other.bytes()],
        };
        ensure!(element.len() == input.data_type.bytes(), "the padding of {} is no single element", input.name);
        let value = std::array::from_fn(|byte| element.get(byte).copied().unwrap_or(0));
        let (mut before, mut after) = ([0; 4], [0; 4]);
        for (axis, amount) in amounts.iter().enumerate() {
            let slot = 4 - amounts.len() + axis;
            (before[slot], after[slot]) = (u32::try_from(amount.0)?, u32::try_from(amount.1)?);
        }
        self.step(node, OpKind::Pad, 1, &pad::Parameters { before, after, value })
    }

    pub(super) fn quantize(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        let kind = match (input.data_type, output.data_type) {
            (DataType::Float32, DataType::Int8) => return self.step(node, OpKind::Quantize, 1, &()),
            (DataType::Float32, DataType::Int16) => return self.step(node, OpKind::QuantizeInt16, 1, &()),
            (DataType::Int8, DataType::Float32) => return self.step(node, OpKind::Dequantize, 1, &()),
            (DataType::Int16, DataType::Float32) => return self.step(node, OpKind::DequantizeInt16, 1, &()),
            (DataType::Int8, DataType::Int8) => OpKind::Requantize,
            (DataType::Int16, DataType::Int16) => OpKind::RequantizeInt16,
            (DataType::Int8, DataType::Int16) => OpKind::Widen,
            (DataType::Int16, DataType::Int8) => OpKind::Narrow,
            (DataType::Int32, DataType::Int16) => OpKind::NarrowInt32,
            (from, to) => bail!("has no kernel from {from:?} to {to:?}"),
        };
        let factor = f64::from(scale(input)?.scale) / f64::from(scale(output)?.scale);
        self.requantize(node, kind, factor, Activation::None)
    }

    /// Codes of one scale as codes of another, clamped.
    pub(super) fn requantize(&mut self, node: &Node, kind: OpKind, factor: f64, activation: Activation) -> Result<()> {
        let Multiplier { mantissa, exponent } = Multiplier::from_real(factor);
        let output = self.output(node)?;
        if output.data_type == DataType::Int8 {
            let range = code_range::<i8>(activation, output)?;
            self.step(node, kind, 1, &quantize::Parameters { mantissa, exponent, range })
        } else {
            let range = code_range::<i16>(activation, output)?;
            self.step(node, kind, 1, &quantize::Parameters { mantissa, exponent, range })
        }
    }
}

/// Strides of two shapes along an output shape, over four axes; neighbouring axes that both walk alike are merged.
fn broadcast(a: &[usize], b: &[usize], output: &[usize]) -> Result<Broadcast> {
    let strides = |shape: &[usize]| -> Result<Vec<usize>> {
        let lead = output.len().checked_sub(shape.len()).context("an operand has more axes than the output")?;
        let mut strides = vec![0; output.len()];
        let mut stride = 1;
        for axis in (0..shape.len()).rev() {
            ensure!(
                shape[axis] == 1 || shape[axis] == output[lead + axis],
                "extents differ along axis {}",
                lead + axis
            );
            if shape[axis] > 1 {
                strides[lead + axis] = stride;
            }
            stride *= shape[axis];
        }
        Ok(strides)
    };
    let (first, second) = (strides(a)?, strides(b)?);
    // From the innermost axis outwards: (extent, stride of a, stride of b).
    let mut merged: Vec<(usize, usize, usize)> = Vec::new();
    for axis in (0..output.len()).rev().filter(|axis| output[*axis] > 1) {
        match merged.last_mut() {
            Some((extent, a, b)) if *a * *extent == first[axis] && *b * *extent == second[axis] => {
                *extent *= output[axis];
            }
            _ => merged.push((output[axis], first[axis], second[axis])),
        }
    }
    ensure!(merged.len() <= 4, "more than four axes are left after merging");
    let mut result = Broadcast { extents: [1; 4], ..Broadcast::default() };
    for (slot, (extent, a, b)) in (0..4).rev().zip(merged) {
        result.extents[slot] = u32::try_from(extent)?;
        result.first[slot] = u32::try_from(a)?;
        result.second[slot] = u32::try_from(b)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shapes_are_one_axis() {
        let result = broadcast(&[1, 4, 5, 3], &[1, 4, 5, 3], &[1, 4, 5, 3]).unwrap();
        assert_eq!((result.extents, result.first, result.second), ([1, 1, 1, 60], [0, 0, 0, 1], [0, 0, 0, 1]));
    }

    #[test]
    fn channels_and_planes_repeat() {
        let result = broadcast(&[1, 4, 5, 3], &[3], &[1, 4, 5, 3]).unwrap();
        assert_eq!((result.extents, result.second), ([1, 1, 20, 3], [0, 0, 0, 1]));
        let result = broadcast(&[1, 4, 5, 3], &[1, 4, 5, 1], &[1, 4, 5, 3]).unwrap();
        assert_eq!((result.extents, result.first, result.second), ([1, 1, 20, 3], [0, 0, 3, 1], [0, 0, 1, 0]));
        assert!(broadcast(&[2, 3], &[4], &[2, 3]).is_err());
    }
}
