//! Element-wise operators, softmax, conversions, and those that move elements.

use anyhow::{Context, Result, bail, ensure};
use nervelet::fixed::{Multiplier, logistic_code, tanh_code};
use nervelet::kernels::reference::SoftmaxParameters;
use nervelet::ops::{Broadcast, DataType, OpKind};
use nervelet::ops::{add, concatenation, lookup, pad, quantize, softmax, unary};

use super::{Lowering, Scale, code_range, real_range, scale};
use crate::graph::{Activation, Node};

impl Lowering<'_> {
    pub(super) fn add(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 2, OpKind::AddInt8, OpKind::AddFloat32)?;
        if kind == OpKind::AddFloat32 {
            return self.float_binary(node, kind, activation);
        }
        let (a, b, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        let [a, b, out] = [scale(a)?, scale(b)?, scale(output)?].map(|scale| f64::from(scale.scale));
        let twice_larger = 2.0 * a.max(b);
        let factors = [a / twice_larger, b / twice_larger, twice_larger / (f64::from(1 << 20) * out)];
        self.int8_binary(node, kind, activation, factors.map(Multiplier::from_real))
    }

    pub(super) fn mul(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 2, OpKind::MulInt8, OpKind::MulFloat32)?;
        if kind == OpKind::MulFloat32 {
            return self.float_binary(node, kind, activation);
        }
        let (a, b, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        // The reference forms this product and quotient in f32.
        let factor = scale(a)?.scale * scale(b)?.scale / scale(output)?.scale;
        let unused = Multiplier::default();
        self.int8_binary(node, kind, activation, [unused, unused, Multiplier::from_real(f64::from(factor))])
    }

    fn int8_binary(
        &mut self,
        node: &Node,
        kind: OpKind,
        activation: Activation,
        factors: [Multiplier; 3],
    ) -> Result<()> {
        let parameters = add::Parameters {
            broadcast: self.broadcast(node)?,
            range: code_range(activation, self.output(node)?)?,
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

    pub(super) fn pad(&mut self, node: &Node, amounts: &[(usize, usize)]) -> Result<()> {
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        ensure!(input.quantization == output.quantization, "input and output have different scales");
        ensure!(
            amounts.len() == input.shape.len() && amounts.len() <= 4,
            "pads {} axes of {:?}",
            amounts.len(),
            input.shape
        );
        let value = match input.data_type {
            DataType::Int8 => vec![scale(input)?.zero_point as u8],
            other => vec![0; other.bytes()],
        };
        let (mut before, mut after) = ([0; 4], [0; 4]);
        for (axis, amount) in amounts.iter().enumerate() {
            let slot = 4 - amounts.len() + axis;
            (before[slot], after[slot]) = (u32::try_from(amount.0)?, u32::try_from(amount.1)?);
        }
        self.step(node, OpKind::Pad, 1, &pad::Parameters { before, after, value: &value })
    }

    pub(super) fn softmax(&mut self, node: &Node, beta: f32) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::SoftmaxInt8, OpKind::SoftmaxFloat32)?;
        if kind == OpKind::SoftmaxFloat32 {
            return self.step(node, kind, 1, &softmax::FloatParameters { beta });
        }
        expect_scale(scale(self.output(node)?)?, 1.0 / 256.0, -128)?;
        let parameters = SoftmaxParameters::new(scale(self.input(node, 0)?)?.scale, beta);
        self.step(node, kind, 1, &softmax::Parameters::from(parameters))
    }

    pub(super) fn logistic(&mut self, node: &Node) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::LookupInt8, OpKind::LogisticFloat32)?;
        if kind == OpKind::LogisticFloat32 {
            return self.step(node, kind, 1, &());
        }
        expect_scale(scale(self.output(node)?)?, 1.0 / 256.0, -128)?;
        self.lookup(node, logistic_code)
    }

    pub(super) fn tanh(&mut self, node: &Node) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::LookupInt8, OpKind::TanhFloat32)?;
        if kind == OpKind::TanhFloat32 {
            return self.step(node, kind, 1, &());
        }
        expect_scale(scale(self.output(node)?)?, 1.0 / 128.0, 0)?;
        self.lookup(node, tanh_code)
    }

    fn lookup(&mut self, node: &Node, function: impl Fn(i8, f32, i32) -> i8) -> Result<()> {
        let Scale { scale, zero_point } = scale(self.input(node, 0)?)?;
        let table: Vec<u8> = (-128..=127).map(|code| function(code, scale, zero_point) as u8).collect();
        let table = self.program.constant(&table)?;
        self.step(node, OpKind::LookupInt8, 1, &lookup::Parameters { table })
    }

    pub(super) fn clamp(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 1, OpKind::Requantize, OpKind::ClampFloat32)?;
        if kind == OpKind::ClampFloat32 {
            return self.step(node, kind, 1, &unary::ClampParameters { range: real_range(activation) });
        }
        // The reference forms this quotient in f32.
        let (input, output) = (scale(self.input(node, 0)?)?, scale(self.output(node)?)?);
        let factor = Multiplier::from_real(f64::from(input.scale / output.scale));
        let range = code_range(activation, self.output(node)?)?;
        self.requantize(node, factor, range)
    }

    pub(super) fn quantize(&mut self, node: &Node) -> Result<()> {
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        match (input.data_type, output.data_type) {
            (DataType::Float32, DataType::Int8) => self.step(node, OpKind::Quantize, 1, &()),
            (DataType::Int8, DataType::Float32) => self.step(node, OpKind::Dequantize, 1, &()),
            (DataType::Int8, DataType::Int8) => {
                let factor = f64::from(scale(input)?.scale) / f64::from(scale(output)?.scale);
                self.requantize(node, Multiplier::from_real(factor), [-128, 127])
            }
            (from, to) => bail!("has no kernel from {from:?} to {to:?}"),
        }
    }

    fn requantize(&mut self, node: &Node, factor: Multiplier, range: [i8; 2]) -> Result<()> {
        let Multiplier { mantissa, exponent } = factor;
        self.step(node, OpKind::Requantize, 1, &quantize::Parameters { mantissa, exponent, range })
    }
}

fn expect_scale(found: Scale, scale: f32, zero_point: i32) -> Result<()> {
    let same = (found.scale - scale).abs() <= scale * 1e-6 && found.zero_point == zero_point;
    ensure!(
        same,
        "the output's scale has to be {scale} with zero point {zero_point}, it is {} with {}",
        found.scale,
        found.zero_point
    );
    Ok(())
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
                *extent *= output[axis]
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
