//! Long short-term memory over a sequence `[1, time, depth]`, in int8 with an int16 cell, and in f32.
//!
//! The outputs of a step are the sequence `[1, time, units]` and the two parts of the state, hidden and cell, which
//! the model file lists as states: they live from one run to the next until the session is reset. The arithmetic is
//! that of [`lstm`](crate::kernels::reference::lstm).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Error, OpKind, Operator, Regions, Span, StepView};
use crate::fixed::Multiplier;
use crate::kernels::reference::{self, Argument};
use crate::kernels::{self, OutOfBounds};

/// The int8 operator.
pub static INT8: Operator = Operator { kind: OpKind::LstmInt8, verify, run };
/// The f32 operator.
pub static FLOAT32: Operator = Operator { kind: OpKind::LstmFloat32, verify: verify_f32, run: run_f32 };

/// One gate of an int8 LSTM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gate {
    /// Int8 weights `[units][depth]`.
    pub input_weights: Span,
    /// Int8 weights `[units][units]`.
    pub recurrent_weights: Span,
    /// One i32 for each unit: the bias with what the input's zero point contributes.
    pub input_bias: Span,
    /// One i32 for each unit: what the state's zero point contributes.
    pub recurrent_bias: Span,
    /// The mantissas of the two sums' factors into Q3.12.
    pub mantissas: [i32; 2],
    /// Their exponents.
    pub exponents: [i8; 2],
}

/// Parameters of an int8 LSTM; gates in the order input, forget, cell, output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The gates.
    pub gates: [Gate; 4],
    /// `2^16 / (1 + exp(-i / 24))` for `i` below 256, u16.
    pub table: Span,
    /// The mantissas of forget gate times cell, input gate times candidate, output gate times tanh of the cell.
    pub mantissas: [i32; 3],
    /// Their exponents.
    pub exponents: [i8; 3],
    /// How the cell becomes the argument of its tanh.
    pub cell_factor: i32,
    /// The shift that belongs to the factor.
    pub cell_shift: u8,
    /// The cell is clipped to this magnitude; 32768 for none.
    pub cell_clip: u16,
}

/// One gate of an f32 LSTM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FloatGate {
    /// F32 weights `[units][depth]`.
    pub input_weights: Span,
    /// F32 weights `[units][units]`.
    pub recurrent_weights: Span,
    /// One f32 for each unit, or empty.
    pub bias: Span,
}

/// Parameters of an f32 LSTM.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FloatParameters {
    /// The gates.
    pub gates: [FloatGate; 4],
    /// The cell is clipped to this magnitude; infinite for none.
    pub cell_clip: f32,
}

/// Checks types and shapes; returns depth and units.
fn expect_sequence(view: &StepView<'_>, value: DataType, cell: DataType) -> Result<[usize; 2], Error> {
    view.expect_operands(1, 3)?;
    let (input, [output, hidden, cells]) = (view.input(0)?, [view.output(0)?, view.output(1)?, view.output(2)?]);
    for (tensor, data_type) in [(&input, value), (&output, value), (&hidden, value), (&cells, cell)] {
        tensor.expect(data_type)?;
    }
    let [depth, units] = [&input, &output].map(|tensor| tensor.shape().last().map_or(0, |extent| *extent as usize));
    let fits = depth > 0
        && units > 0
        && hidden.elements() == units
        && cells.elements() == units
        && input.elements().is_multiple_of(depth)
        && output.elements() == (input.elements() / depth).saturating_mul(units);
    if fits { Ok([depth, units]) } else { Err(Error::Shape) }
}

fn defined(mantissas: &[i32], exponents: &[i8]) -> bool {
    mantissas.iter().all(|mantissa| *mantissa >= 0)
        && exponents.iter().all(|exponent| Multiplier::EXPONENTS.contains(exponent))
}

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    let [depth, units] = expect_sequence(view, DataType::Int8, DataType::Int16)?;
    view.input(0)?.expect_int8()?;
    let hidden = view.output(1)?;
    hidden.expect_int8()?;
    let parameters: Parameters = view.parameters()?;
    view.constant::<u16>(parameters.table, 256)?;
    let mut sound = defined(&parameters.mantissas, &parameters.exponents)
        && parameters.cell_shift < 32
        && view.output(0)?.zero_point == hidden.zero_point;
    for gate in &parameters.gates {
        view.constant::<i8>(gate.input_weights, units.saturating_mul(depth))?;
        view.constant::<i8>(gate.recurrent_weights, units.saturating_mul(units))?;
        view.constant::<i32>(gate.input_bias, units)?;
        view.constant::<i32>(gate.recurrent_bias, units)?;
        sound &= defined(&gate.mantissas, &gate.exponents);
    }
    if sound { Ok(()) } else { Err(Error::Quantization) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let parameters: Parameters = view.parameters()?;
    let gate = |gate: &Gate| -> Result<reference::Gate<'_>, OutOfBounds> {
        let [input, recurrent] = gate.mantissas;
        Ok(reference::Gate {
            input_weights: view.constant_of(gate.input_weights)?,
            recurrent_weights: view.constant_of(gate.recurrent_weights)?,
            input_bias: view.constant_of(gate.input_bias)?,
            recurrent_bias: view.constant_of(gate.recurrent_bias)?,
            input_multiplier: Multiplier { mantissa: input, exponent: gate.exponents[0] },
            recurrent_multiplier: Multiplier { mantissa: recurrent, exponent: gate.exponents[1] },
        })
    };
    let ([a, b, c], [x, y, z]) = (parameters.mantissas, parameters.exponents);
    let [input_gate, forget_gate, cell_gate, output_gate] = &parameters.gates;
    let kernel = reference::Lstm {
        gates: [gate(input_gate)?, gate(forget_gate)?, gate(cell_gate)?, gate(output_gate)?],
        table: view.constant_of::<u16>(parameters.table)?.try_into().map_err(|_| OutOfBounds)?,
        products: [(a, x), (b, y), (c, z)].map(|(mantissa, exponent)| Multiplier { mantissa, exponent }),
        cell_argument: Argument { factor: parameters.cell_factor, shift: parameters.cell_shift.into() },
        cell_clip: parameters.cell_clip.into(),
        zero_point: view.output(1)?.zero_point,
    };
    let input = view.input(0)?;
    let regions = carve(call)?;
    let [output, hidden, cell] = regions.writable;
    let depth = input.shape().last().map_or(0, |extent| *extent as usize);
    let x = regions.rest.read(input)?;
    reference::lstm(&kernel, depth, x, elements(output)?, elements(hidden)?, elements(cell)?)
}

fn verify_f32(view: &StepView<'_>) -> Result<(), Error> {
    let [depth, units] = expect_sequence(view, DataType::Float32, DataType::Float32)?;
    let parameters: FloatParameters = view.parameters()?;
    for gate in &parameters.gates {
        view.constant::<f32>(gate.input_weights, units.saturating_mul(depth))?;
        view.constant::<f32>(gate.recurrent_weights, units.saturating_mul(units))?;
        view.constant::<f32>(gate.bias, if gate.bias.length == 0 { 0 } else { units })?;
    }
    if parameters.cell_clip >= 0.0 { Ok(()) } else { Err(Error::Quantization) }
}

fn run_f32(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let FloatParameters { gates, cell_clip } = view.parameters()?;
    let gate = |gate: &FloatGate| -> Result<reference::FloatGate<'_>, OutOfBounds> {
        Ok(reference::FloatGate {
            input_weights: view.constant_of(gate.input_weights)?,
            recurrent_weights: view.constant_of(gate.recurrent_weights)?,
            bias: view.constant_of(gate.bias)?,
        })
    };
    let [input_gate, forget_gate, cell_gate, output_gate] = &gates;
    let gates = [gate(input_gate)?, gate(forget_gate)?, gate(cell_gate)?, gate(output_gate)?];
    let kernel = reference::FloatLstm { gates, cell_clip };
    let input = view.input(0)?;
    let regions = carve(call)?;
    let [output, hidden, cell] = regions.writable;
    let depth = input.shape().last().map_or(0, |extent| *extent as usize);
    let x = regions.rest.read(input)?;
    reference::lstm_f32(&kernel, depth, x, elements(output)?, elements(hidden)?, elements(cell)?)
}

/// The sequence, the hidden state and the cell.
fn carve<'r, 'm>(call: &'r mut Call<'_, 'm>) -> Result<Regions<'r, 'm, 3>, OutOfBounds> {
    let view = call.view;
    let spans = [view.output(0)?.span(), view.output(1)?.span(), view.output(2)?.span()];
    Regions::carve(call.arena, view.tables.constants, spans)
}
