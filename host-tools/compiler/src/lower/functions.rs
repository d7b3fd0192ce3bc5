//! Functions of one tensor: activations, tables, softmax.

use anyhow::{Result, bail, ensure};
use nervelet::fixed::{Multiplier, logistic_code, tanh_code};
use nervelet::kernels::reference::{LogSoftmaxParameters, SoftmaxParameters};
use nervelet::ops::{DataType, OpKind};
use nervelet::ops::{lookup, nonlinear_i16, normalize, softmax, unary};

use super::{Lowering, Scale, real_range, scale};
use crate::graph::{Activation, Function, Node};
use crate::tables;

impl Lowering<'_> {
    pub(super) fn softmax(&mut self, node: &Node, beta: f32) -> Result<()> {
        let kind = self.by_type(node, 1, [OpKind::SoftmaxInt8, OpKind::SoftmaxInt16, OpKind::SoftmaxFloat32])?;
        match kind {
            OpKind::SoftmaxInt8 => {
                expect_scale(scale(self.output(node)?)?, 1.0 / 256.0, -128)?;
                let parameters = SoftmaxParameters::new(scale(self.input(node, 0)?)?.scale, beta);
                self.step(node, kind, 1, &softmax::Parameters::from(parameters))
            }
            OpKind::SoftmaxInt16 => {
                expect_scale(scale(self.output(node)?)?, 1.0 / 32_768.0, 0)?;
                let factor = f64::from(scale(self.input(node, 0)?)?.scale) * f64::from(beta) / (10.0 / 65_535.0);
                let Multiplier { mantissa, exponent } = Multiplier::from_real(factor);
                let parameters = nonlinear_i16::SoftmaxParameters {
                    mantissa,
                    exponent,
                    exponentials: self.program.constant(&tables::interpolation(f32::exp, -10.0, 0.0))?,
                    reciprocals: self.program.constant(&tables::interpolation(|x| 1.0 / (1.0 + x), 0.0, 1.0))?,
                };
                self.step(node, kind, 1, &parameters)
            }
            _ => self.step(node, kind, 1, &softmax::FloatParameters { beta }),
        }
    }

    pub(super) fn logistic(&mut self, node: &Node) -> Result<()> {
        match self.by_type(node, 1, [OpKind::LookupInt8, OpKind::LogisticInt16, OpKind::LogisticFloat32])? {
            OpKind::LookupInt8 => {
                expect_scale(scale(self.output(node)?)?, 1.0 / 256.0, -128)?;
                self.lookup(node, logistic_code)
            }
            OpKind::LogisticInt16 => self.interpolated(node, OpKind::LogisticInt16, false),
            kind => self.step(node, kind, 1, &()),
        }
    }

    pub(super) fn tanh(&mut self, node: &Node) -> Result<()> {
        match self.by_type(node, 1, [OpKind::LookupInt8, OpKind::TanhInt16, OpKind::TanhFloat32])? {
            OpKind::LookupInt8 => {
                expect_scale(scale(self.output(node)?)?, 1.0 / 128.0, 0)?;
                self.lookup(node, tanh_code)
            }
            OpKind::TanhInt16 => self.interpolated(node, OpKind::TanhInt16, true),
            kind => self.step(node, kind, 1, &()),
        }
    }

    /// An int16 logistic function or tanh.
    fn interpolated(&mut self, node: &Node, kind: OpKind, tanh: bool) -> Result<()> {
        expect_scale(scale(self.output(node)?)?, 1.0 / 32_768.0, 0)?;
        let (factor, shift) = tables::argument(scale(self.input(node, 0)?)?.scale, tanh);
        let table = self.program.constant(&tables::logistic())?;
        self.step(node, kind, 1, &nonlinear_i16::Parameters { table, factor, shift })
    }

    fn lookup(&mut self, node: &Node, function: impl Fn(i8, f32, i32) -> i8) -> Result<()> {
        let Scale { scale, zero_point } = scale(self.input(node, 0)?)?;
        let codes: Vec<i8> = (-128..=127).map(|code| function(code, scale, zero_point)).collect();
        self.table(node, &codes)
    }

    /// A function of int8 codes, given by the 256 codes of its output.
    pub(super) fn table(&mut self, node: &Node, codes: &[i8]) -> Result<()> {
        ensure!(codes.len() == 256, "a table of {} codes, not 256", codes.len());
        ensure!(self.data_type(node, 1)? == DataType::Int8, "a table is for int8");
        let table: Vec<u8> = codes.iter().map(|code| *code as u8).collect();
        let table = self.program.constant(&table)?;
        self.step(node, OpKind::LookupInt8, 1, &lookup::Parameters { table })
    }

    pub(super) fn clamp(&mut self, node: &Node, activation: Activation) -> Result<()> {
        let kind = self.by_type(node, 1, [OpKind::Requantize, OpKind::RequantizeInt16, OpKind::ClampFloat32])?;
        if kind == OpKind::ClampFloat32 {
            return self.step(node, kind, 1, &unary::ClampParameters { range: real_range(activation) });
        }
        // The reference forms this quotient in f32.
        let (input, output) = (scale(self.input(node, 0)?)?, scale(self.output(node)?)?);
        self.requantize(node, kind, f64::from(input.scale / output.scale), activation)
    }

    /// A function of each element: a table for int8, an operator for f32.
    pub(super) fn function(&mut self, node: &Node, function: Function) -> Result<()> {
        match (self.data_type(node, 1)?, function) {
            (DataType::Int8, _) => {
                let (input, output) = (scale(self.input(node, 0)?)?, scale(self.output(node)?)?);
                self.table(node, &tables::codes(function, input, output))
            }
            (DataType::Int16, Function::LeakyRelu { slope }) => {
                let (input, output) = (scale(self.input(node, 0)?)?, scale(self.output(node)?)?);
                ensure!(slope >= 0.0, "a slope of {slope} is not taken for int16");
                let [s_in, s_out] = [input, output].map(|scale| f64::from(scale.scale));
                let factors = [
                    Multiplier::from_real(f64::from(input.scale / output.scale)),
                    Multiplier::from_real(s_in * f64::from(slope) / s_out),
                ];
                let parameters = nonlinear_i16::LeakyReluParameters {
                    mantissas: factors.map(|factor| factor.mantissa),
                    exponents: factors.map(|factor| factor.exponent),
                };
                self.step(node, OpKind::LeakyReluInt16, 1, &parameters)
            }
            (DataType::Int16, _) => {
                let (input, output) = (scale(self.input(node, 0)?)?, scale(self.output(node)?)?);
                let table = self.program.constant(&tables::wide_codes(function, input.scale, output.scale))?;
                self.step(node, OpKind::LookupInt16, 1, &nonlinear_i16::LookupParameters { table })
            }
            (DataType::Float32, Function::LeakyRelu { slope }) => {
                self.step(node, OpKind::LeakyReluFloat32, 1, &unary::LeakyReluParameters { slope })
            }
            (DataType::Float32, _) => self.step(node, float_kind(function), 1, &()),
            (other, _) => bail!("has no kernel for {other:?}"),
        }
    }

    pub(super) fn layer_norm(&mut self, node: &Node, epsilon: f32) -> Result<()> {
        if self.output(node)?.data_type == DataType::Int16 {
            return self.int16_norm(node, epsilon, true);
        }
        ensure!(self.data_type(node, 3)? == DataType::Float32, "has no int8 kernel: leave this model in float32");
        let parameters =
            normalize::LayerNormParameters { gamma: self.floats(node, 1)?, beta: self.floats(node, 2)?, epsilon };
        self.step(node, OpKind::LayerNormFloat32, 1, &parameters)
    }

    pub(super) fn rms_norm(&mut self, node: &Node, epsilon: f32) -> Result<()> {
        if self.output(node)?.data_type == DataType::Int16 {
            return self.int16_norm(node, epsilon, false);
        }
        ensure!(self.data_type(node, 2)? == DataType::Float32, "has no int8 kernel: leave this model in float32");
        let parameters = normalize::RmsNormParameters { gamma: self.floats(node, 1)?, epsilon };
        self.step(node, OpKind::RmsNormFloat32, 1, &parameters)
    }

    pub(super) fn masked_softmax(&mut self, node: &Node, beta: f32, visible: Option<usize>) -> Result<()> {
        ensure!(
            self.data_type(node, 1)? == DataType::Float32,
            "has no integer kernel but as a part of an attention: leave this model in float32"
        );
        let parameters = softmax::MaskedParameters { beta, visible: super::visible_keys(visible)? };
        self.step(node, OpKind::MaskedSoftmaxFloat32, node.inputs.len(), &parameters)
    }

    pub(super) fn log_softmax(&mut self, node: &Node) -> Result<()> {
        let kind = self.by_narrow_type(node, 1, OpKind::LogSoftmaxInt8, OpKind::LogSoftmaxFloat32)?;
        if kind == OpKind::LogSoftmaxFloat32 {
            return self.step(node, kind, 1, &());
        }
        expect_scale(scale(self.output(node)?)?, 1.0 / 16.0, 127)?;
        let parameters = LogSoftmaxParameters::new(scale(self.input(node, 0)?)?.scale);
        self.step(node, kind, 1, &normalize::Parameters::from(parameters))
    }

    pub(super) fn l2_normalization(&mut self, node: &Node) -> Result<()> {
        let kind = self.by_narrow_type(node, 1, OpKind::L2NormalizationInt8, OpKind::L2NormalizationFloat32)?;
        if kind == OpKind::L2NormalizationInt8 {
            expect_scale(scale(self.output(node)?)?, 1.0 / 128.0, 0)?;
        }
        self.step(node, kind, 1, &())
    }
}

fn float_kind(function: Function) -> OpKind {
    match function {
        Function::Exp => OpKind::ExpFloat32,
        Function::Log => OpKind::LogFloat32,
        Function::Abs => OpKind::AbsFloat32,
        Function::Neg => OpKind::NegFloat32,
        Function::Square => OpKind::SquareFloat32,
        Function::Sqrt => OpKind::SqrtFloat32,
        Function::Rsqrt => OpKind::RsqrtFloat32,
        Function::Sin => OpKind::SinFloat32,
        Function::Cos => OpKind::CosFloat32,
        Function::Floor => OpKind::FloorFloat32,
        Function::Ceil => OpKind::CeilFloat32,
        Function::Round => OpKind::RoundFloat32,
        Function::Elu => OpKind::EluFloat32,
        Function::HardSwish => OpKind::HardSwishFloat32,
        Function::Erf => OpKind::ErfFloat32,
        Function::Gelu => OpKind::GeluFloat32,
        Function::GeluTanh => OpKind::GeluTanhFloat32,
        Function::LeakyRelu { .. } => OpKind::LeakyReluFloat32,
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
