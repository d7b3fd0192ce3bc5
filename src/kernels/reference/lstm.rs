//! Long short-term memory over a sequence, in int8 with an int16 cell, and in f32.
//!
//! Int8: TensorFlow Lite Micro's UNIDIRECTIONAL_SEQUENCE_LSTM (int8 activations and weights, int16 cell; no peephole,
//! projection or layer normalisation): gates in Q3.12, their non-linearities by the table of
//! [`logistic_i16`], products with double rounding, sums that saturate.

use super::super::{Code, OutOfBounds, Result};
use super::nonlinear::{Argument, logistic_i16, tanh_i16};
use crate::fixed::Multiplier;

/// One gate's weights, row-major `[units][in]` and `[units][units]`.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// Weights of the input.
    pub input_weights: &'a [i8],
    /// Weights of the state.
    pub recurrent_weights: &'a [i8],
    /// Bias with what the input's zero point contributes.
    pub input_bias: &'a [i32],
    /// What the state's zero point contributes.
    pub recurrent_bias: &'a [i32],
    /// The factor of the input's sums into Q3.12.
    pub input_multiplier: Multiplier,
    /// The factor of the state's sums into Q3.12.
    pub recurrent_multiplier: Multiplier,
}

/// An int8 LSTM; gates in the order input, forget, cell, output.
#[derive(Debug, Clone, Copy)]
pub struct Lstm<'a> {
    /// The gates.
    pub gates: [Gate<'a>; 4],
    /// The table of the logistic function, see [`logistic_i16`].
    pub table: &'a [u16; 256],
    /// The factors of forget gate times cell, input gate times candidate, and output gate times tanh of the cell.
    pub products: [Multiplier; 3],
    /// How the cell becomes the argument of its tanh.
    pub cell_argument: Argument,
    /// The cell is clipped to this magnitude.
    pub cell_clip: i32,
    /// The zero point of the state and the output.
    pub zero_point: i32,
}

/// A gate in f32.
#[derive(Debug, Clone, Copy)]
pub struct FloatGate<'a> {
    /// Weights of the input.
    pub input_weights: &'a [f32],
    /// Weights of the state.
    pub recurrent_weights: &'a [f32],
    /// One bias for each unit; empty for none.
    pub bias: &'a [f32],
}

/// An f32 LSTM; gates in the order input, forget, cell, output.
#[derive(Debug, Clone, Copy)]
pub struct FloatLstm<'a> {
    /// The gates.
    pub gates: [FloatGate<'a>; 4],
    /// The cell is clipped to this magnitude; infinite for none.
    pub cell_clip: f32,
}

fn row<T>(weights: &[T], unit: usize, length: usize) -> core::result::Result<&[T], OutOfBounds> {
    let at = unit.wrapping_mul(length);
    weights.get(at..at.wrapping_add(length)).ok_or(OutOfBounds)
}

impl Gate<'_> {
    /// The gate's sum for a unit in Q3.12.
    fn sum(&self, unit: usize, x: &[i8], hidden: &[i8]) -> core::result::Result<i16, OutOfBounds> {
        let side = |weights, bias: &[i32], multiplier: Multiplier, values: &[i8]| {
            let sum = super::dot(values, row(weights, unit, values.len())?, 0);
            let bias = bias.get(unit).ok_or(OutOfBounds)?;
            Ok(i16::saturate(multiplier.apply(sum.wrapping_add(*bias))))
        };
        let input = side(self.input_weights, self.input_bias, self.input_multiplier, x)?;
        let recurrent = side(self.recurrent_weights, self.recurrent_bias, self.recurrent_multiplier, hidden)?;
        Ok(input.saturating_add(recurrent))
    }
}

/// Runs the sequence `x` of steps of `depth` codes; `hidden` and `cell` hold the state before and after.
pub fn lstm(
    parameters: &Lstm<'_>,
    depth: usize,
    x: &[i8],
    output: &mut [i8],
    hidden: &mut [i8],
    cell: &mut [i16],
) -> Result {
    // Q3.12 in steps of 1 / (24 * 512).
    const GATE: Argument = Argument { factor: 3, shift: 0 };
    let table = parameters.table;
    let [input_gate, forget_gate, cell_gate, output_gate] = &parameters.gates;
    let [forget_product, input_product, output_product] = parameters.products;
    for (x, output) in x.chunks_exact(depth.max(1)).zip(output.chunks_exact_mut(hidden.len().max(1))) {
        for ((unit, code), cell) in output.iter_mut().enumerate().zip(cell.iter_mut()) {
            let product = |a: i16, b: i16, factor: Multiplier| factor.apply(a.widen().wrapping_mul(b.widen()));
            let forget = logistic_i16(table, GATE, forget_gate.sum(unit, x, hidden)?);
            let input = logistic_i16(table, GATE, input_gate.sum(unit, x, hidden)?);
            let candidate = tanh_i16(table, GATE, cell_gate.sum(unit, x, hidden)?);
            let kept = i16::saturate(product(forget, *cell, forget_product));
            let added = i16::saturate(product(input, candidate, input_product));
            let clip = parameters.cell_clip;
            *cell = i16::saturate(kept.widen().wrapping_add(added.widen()).min(clip).max(clip.wrapping_neg()));
            let open = logistic_i16(table, GATE, output_gate.sum(unit, x, hidden)?);
            let shown = product(open, tanh_i16(table, parameters.cell_argument, *cell), output_product);
            *code = i8::saturate(shown.wrapping_add(parameters.zero_point));
        }
        if output.len() != hidden.len() {
            return Err(OutOfBounds);
        }
        hidden.copy_from_slice(output);
    }
    Ok(())
}

/// As [`lstm`], in f32 with `libm`'s functions.
pub fn lstm_f32(
    parameters: &FloatLstm<'_>,
    depth: usize,
    x: &[f32],
    output: &mut [f32],
    hidden: &mut [f32],
    cell: &mut [f32],
) -> Result {
    let logistic = |x: f32| 1.0 / (1.0 + libm::expf(-x));
    for (x, output) in x.chunks_exact(depth.max(1)).zip(output.chunks_exact_mut(hidden.len().max(1))) {
        for ((unit, value), cell) in output.iter_mut().enumerate().zip(cell.iter_mut()) {
            let gate = |gate: &FloatGate<'_>| {
                let dot = |sum: f32, values: &[f32], weights: &[f32]| {
                    values.iter().zip(weights).fold(sum, |sum, (value, weight)| sum + value * weight)
                };
                let sum = dot(0.0, x, row(gate.input_weights, unit, x.len())?);
                let sum = dot(sum, hidden, row(gate.recurrent_weights, unit, hidden.len())?);
                Ok(sum + gate.bias.get(unit).copied().unwrap_or(0.0))
            };
            let [input, forget, candidate, open] = &parameters.gates;
            let (input, forget) = (logistic(gate(input)?), logistic(gate(forget)?));
            let clip = parameters.cell_clip;
            *cell = (forget * *cell + input * libm::tanhf(gate(candidate)?)).min(clip).max(-clip);
            *value = logistic(gate(open)?) * libm::tanhf(*cell);
        }
        if output.len() != hidden.len() {
            return Err(OutOfBounds);
        }
        hidden.copy_from_slice(output);
    }
    Ok(())
}
