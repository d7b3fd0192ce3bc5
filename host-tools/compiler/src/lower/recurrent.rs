//! Recurrent layers.

use anyhow::{Context, Result, bail, ensure};
use nervelet::fixed::Multiplier;
use nervelet::ops::{DataType, OpKind, Span, lstm, recurrent};

use super::layers::rounded_product;
use super::{Lowering, scale};
use crate::graph::{Activation, Cell, Data, Node, Tensor};
use crate::tables;

impl Lowering<'_> {
    /// An LSTM; `cell_clip` is infinite for none.
    pub(super) fn lstm(&mut self, node: &Node, cell_clip: f32) -> Result<()> {
        ensure!(node.inputs.len() == 13 && node.outputs.len() == 3, "takes 13 inputs and 3 outputs");
        match self.data_type(node, 1)? {
            DataType::Int8 => self.int8_lstm(node, cell_clip),
            DataType::Float32 => {
                let mut gate = |gate: usize| -> Result<lstm::FloatGate> {
                    Ok(lstm::FloatGate {
                        input_weights: self.floats(node, 1 + 3 * gate)?,
                        recurrent_weights: self.floats(node, 2 + 3 * gate)?,
                        bias: self.floats(node, 3 + 3 * gate)?,
                    })
                };
                let gates = [gate(0)?, gate(1)?, gate(2)?, gate(3)?];
                self.step(node, OpKind::LstmFloat32, 1, &lstm::FloatParameters { gates, cell_clip })
            }
            other => bail!("has no kernel for {other:?}"),
        }
    }

    /// A recurrent layer that starts from the initial states that it is given, or from zeros.
    pub(super) fn recurrent(&mut self, node: &Node, cell: Cell, reverse: bool) -> Result<()> {
        let states = cell.states();
        let given = node.inputs.len() - usize::from(self.graph.steps_that_count(node).is_some());
        ensure!([5, 5 + states].contains(&given), "takes 5 inputs, or {} with initial states", 5 + states);
        ensure!(node.outputs.len() == 1 + states, "gives {} outputs", 1 + states);
        if self.input(node, 0)?.data_type == DataType::Int16 {
            return self.int16_recurrent(node, cell, reverse);
        }
        ensure!(self.data_type(node, given)? == DataType::Float32, "has no int8 kernel: leave this model in float32");
        let layer = recurrent::Layer {
            input_weights: self.floats(node, 1)?,
            recurrent_weights: self.floats(node, 2)?,
            input_bias: self.floats(node, 3)?,
            recurrent_bias: self.floats(node, 4)?,
            reverse,
        };
        // The weights are parameters; the sequence and the states are operands.
        let operands: Vec<_> = node.inputs.iter().take(1).chain(node.inputs.iter().skip(5)).copied().collect();
        let operands = Node { inputs: operands, ..node.clone() };
        let count = operands.inputs.len();
        match cell {
            Cell::Rnn { activation } => {
                let relu = match activation {
                    Activation::None => false,
                    Activation::Relu => true,
                    other => bail!("has no kernel for {other:?}"),
                };
                self.step(&operands, OpKind::RnnFloat32, count, &recurrent::RnnParameters { layer, relu })
            }
            Cell::Gru { reset_after } => {
                self.step(&operands, OpKind::GruFloat32, count, &recurrent::GruParameters { layer, reset_after })?;
                let units = self.output(node)?.shape.last().copied().unwrap_or(0);
                if let (false, Some(step)) = (reset_after, self.program.steps.last_mut()) {
                    step.scratch_bytes = units * size_of::<f32>();
                }
                Ok(())
            }
            Cell::Lstm => self.step(&operands, OpKind::LstmSequenceFloat32, count, &layer),
        }
    }

    /// The f32 values of a constant input.
    pub(super) fn floats(&mut self, node: &Node, position: usize) -> Result<Span> {
        let tensor = self.input(node, position)?;
        let data = tensor.data.as_ref().filter(|data| data.data_type() == DataType::Float32);
        let bytes = data.with_context(|| format!("{} is not a constant of f32", tensor.name))?.to_bytes();
        self.program.constant(&bytes)
    }

    fn int8_lstm(&mut self, node: &Node, cell_clip: f32) -> Result<()> {
        let [output, hidden, cell] =
            [node.outputs[0], node.outputs[1], node.outputs[2]].map(|id| self.graph.tensor(id));
        ensure!(output.quantization == hidden.quantization, "output and hidden state have different scales");
        let (hidden_scale, cell_scale) = (scale(hidden)?, scale(cell)?);
        let power = cell_scale.scale.log2().round();
        ensure!(
            cell_scale.scale == power.exp2() && cell_scale.zero_point == 0 && (-15.0..=0.0).contains(&power),
            "the cell's scale of {} is no power of two",
            cell_scale.scale
        );
        let gates = [self.gate(node, 0)?, self.gate(node, 1)?, self.gate(node, 2)?, self.gate(node, 3)?];
        // Gates have scale 2^-15 behind their functions.
        let gate_product = 2.0_f64.powi(-30);
        let products = [
            2.0_f64.powi(-15),
            gate_product / f64::from(cell_scale.scale),
            gate_product / f64::from(hidden_scale.scale),
        ]
        .map(Multiplier::from_real);
        let left = 12 + power as i32;
        let (cell_factor, cell_shift) = if left < 0 { (3, -left as u8) } else { (3 << left, 0) };
        let cell_clip = (f64::from(cell_clip) / f64::from(cell_scale.scale)).trunc();
        let parameters = lstm::Parameters {
            gates,
            table: self.program.constant(&tables::logistic())?,
            mantissas: products.map(|product| product.mantissa),
            exponents: products.map(|product| product.exponent),
            cell_factor,
            cell_shift,
            // Without a limit of its own the cell has that of int16.
            cell_clip: if cell_clip.is_finite() { cell_clip.clamp(0.0, 32_767.0) as u16 } else { 32_768 },
        };
        self.step(node, OpKind::LstmInt8, 1, &parameters)
    }

    fn gate(&mut self, node: &Node, gate: usize) -> Result<lstm::Gate> {
        let (input, hidden) = (self.input(node, 0)?, self.graph.tensor(node.outputs[1]));
        let [input_weights, recurrent_weights, bias] =
            [self.input(node, 1 + 3 * gate)?, self.input(node, 2 + 3 * gate)?, self.input(node, 3 + 3 * gate)?];
        let (input, hidden) = (scale(input)?, scale(hidden)?);
        let factor = |state: f32, weights: &Tensor| -> Result<Multiplier> {
            Ok(Multiplier::from_real(rounded_product(state, scale(weights)?.scale) * 4096.0))
        };
        let factors = [factor(input.scale, input_weights)?, factor(hidden.scale, recurrent_weights)?];
        let Some(Data::Int32(bias)) = &bias.data else { bail!("{} is not a constant of int32", bias.name) };
        let zeros = vec![0; bias.len()];
        let input_bias = without_zero_point(input_weights, input.zero_point, bias)?;
        let recurrent_bias = without_zero_point(recurrent_weights, hidden.zero_point, &zeros)?;
        let [input_weights, recurrent_weights] = [input_weights, recurrent_weights]
            .map(|weights| weights.data.as_ref().map(Data::to_bytes).unwrap_or_default());
        Ok(lstm::Gate {
            input_weights: self.program.constant(&input_weights)?,
            recurrent_weights: self.program.constant(&recurrent_weights)?,
            input_bias: self.program.constant(&Data::Int32(input_bias).to_bytes())?,
            recurrent_bias: self.program.constant(&Data::Int32(recurrent_bias).to_bytes())?,
            mantissas: factors.map(|factor| factor.mantissa),
            exponents: factors.map(|factor| factor.exponent),
        })
    }
}

/// `bias - zero_point * (sum of weights)` for each row.
fn without_zero_point(weights: &Tensor, zero_point: i32, bias: &[i32]) -> Result<Vec<i32>> {
    let Some(Data::Int8(codes)) = &weights.data else { bail!("{} is not a constant of int8", weights.name) };
    let depth = codes.len().checked_div(bias.len()).filter(|depth| depth * bias.len() == codes.len() && *depth > 0);
    let depth =
        depth.with_context(|| format!("{} has {} weights for {} units", weights.name, codes.len(), bias.len()))?;
    let sum = |row: &[i8]| row.iter().map(|code| i32::from(*code)).sum::<i32>();
    let offset = |(row, bias): (&[i8], &i32)| bias.wrapping_sub(zero_point.wrapping_mul(sum(row)));
    Ok(codes.chunks_exact(depth).zip(bias).map(offset).collect())
}
