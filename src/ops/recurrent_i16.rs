//! Recurrent layers of int16 with int8 weights over a sequence `[.., time, depth]`: RNN, GRU and LSTM, forwards or
//! backwards in time, in integers throughout.
//!
//! Inputs: the sequence and, optionally, the initial states, which are zero otherwise. Outputs: the states of all steps
//! `[.., time, units]`, then the last state and, for an LSTM, the last cell, `units` values each. Sequences and states are
//! int16 with zero point 0, cells int32. A state lives from one run to the next where the initial state is a tensor that
//! the model file lists among its states, and a copy of the last state into it follows. The arithmetic is that of
//! [`gru_i16`](crate::kernels::reference::gru_i16) and its neighbours.

use serde::{Deserialize, Serialize};

use super::recurrent::{counted, expect_operands, states_given};
use super::regions::{Rest, elements};
use super::rows::{Rows, expect_rows, expect_symmetric, last};
use super::{Call, DataType, Element, Error, OpKind, Operator, Regions, StepView};
use crate::kernels::reference::{self, RowWeights, WideSequence};
use crate::kernels::{self, Active, Core, OutOfBounds};

/// RNN, `h' = f(W x + b + R h + c)`.
pub static RNN: Operator = Operator { kind: OpKind::RnnInt16, verify: verify_rnn, run: run_rnn };
/// GRU (Cho et al., 2014; Keras' and cuDNN's variant with the reset after the product as well).
pub static GRU: Operator = Operator { kind: OpKind::GruInt16, verify: verify_gru, run: run_gru };
/// LSTM (Hochreiter and Schmidhuber, 1997) with a forget gate.
pub static LSTM: Operator = Operator { kind: OpKind::LstmInt16, verify: verify_lstm, run: run_lstm };

/// Weights and direction of a layer; the rows of its gates follow each other. Parameters of an LSTM, whose gates are in
/// the order input, forget, cell, output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// Rows on the input, with their biases.
    pub input: Rows,
    /// Rows on the state.
    pub recurrent: Rows,
    /// Whether the last step of time comes first.
    pub reverse: bool,
}

/// Parameters of an RNN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RnnParameters {
    /// Weights and direction.
    pub layer: Layer,
    /// `max(x, 0)` instead of tanh.
    pub relu: bool,
}

/// Parameters of a GRU, whose gates are in the order reset, update, new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GruParameters {
    /// Weights and direction.
    pub layer: Layer,
    /// The rows of the new gate on the state where the reset gate acts on the state; they are among the recurrent ones
    /// where it acts on the product (PyTorch).
    pub new: Option<Rows>,
}

impl Layer {
    /// Checks the operands of a layer with some states and the weights of its gates.
    fn verify(&self, view: &StepView<'_>, gates: [usize; 2], states: usize, new: Option<Rows>) -> Result<(), Error> {
        let inputs = expect_operands(view, states)?;
        let [depth, units] = expect_rows(view)?;
        for (position, data_type) in (1..=states).zip([DataType::Int16, DataType::Int32]) {
            let initial = if inputs == 1 { None } else { Some(view.input(position)?) };
            for state in initial.into_iter().chain([view.output(position)?]) {
                expect_symmetric(state, data_type)?;
                if state.elements() != units {
                    return Err(Error::Shape);
                }
            }
        }
        let [of_input, of_state] = gates.map(|gates| gates.saturating_mul(units));
        let weights = RowWeights {
            input: self.input.verify(view, of_input, depth)?,
            recurrent: self.recurrent.verify(view, of_state, units)?,
            new: new.map(|rows| rows.verify(view, units, units)).transpose()?,
        };
        view.expect_scratch_words(weights.scratch_words())
    }

    fn weights<'m>(&self, view: &StepView<'m>, new: Option<Rows>) -> Result<RowWeights<'m>, OutOfBounds> {
        let (depth, units) = (last(view.input(0)?), last(view.output(0)?));
        Ok(RowWeights {
            input: self.input.over(view, depth)?,
            recurrent: self.recurrent.over(view, units)?,
            new: new.map(|rows| rows.over(view, units)).transpose()?,
        })
    }

    /// The sequence of a step over its regions, with the initial state in place.
    fn sequence<'r, 'm: 'r>(
        &self,
        view: &StepView<'_>,
        rest: &Rest<'r, 'm>,
        [output, hidden, scratch]: [&'r mut [u8]; 3],
    ) -> Result<WideSequence<'r>, OutOfBounds> {
        let x = view.input(0)?;
        let hidden = elements(hidden)?;
        start::<i16>(view, rest, 1, hidden)?;
        let (depth, scratch) = (last(x), elements(scratch)?);
        let (x, output) = counted(view, rest, [depth, hidden.len()], rest.read(x)?, elements(output)?)?;
        Ok(WideSequence { x, depth, output, hidden, reverse: self.reverse, scratch })
    }
}

/// Fills a state with what an input holds, or with zeros where there is none.
fn start<T: Element + Default>(
    view: &StepView<'_>,
    rest: &Rest<'_, '_>,
    position: usize,
    state: &mut [T],
) -> Result<(), OutOfBounds> {
    match view.input(position) {
        Ok(initial) if position < states_given(view) => {
            let initial = rest.read::<T>(initial)?;
            if initial.len() != state.len() {
                return Err(OutOfBounds);
            }
            state.copy_from_slice(initial);
        }
        _ => state.fill(T::default()),
    }
    Ok(())
}

fn verify_rnn(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<RnnParameters>()?.layer.verify(view, [1, 1], 1, None)
}

fn run_rnn(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let RnnParameters { layer, relu } = view.parameters()?;
    let Regions { writable, rest } = carve(call)?;
    let sequence = layer.sequence(view, &rest, writable)?;
    reference::rnn_i16(&layer.weights(view, None)?, relu, sequence, Active::row_product)
}

fn verify_gru(view: &StepView<'_>) -> Result<(), Error> {
    let GruParameters { layer, new } = view.parameters()?;
    layer.verify(view, [3, if new.is_some() { 2 } else { 3 }], 1, new)
}

fn run_gru(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let GruParameters { layer, new } = view.parameters()?;
    let Regions { writable, rest } = carve(call)?;
    let sequence = layer.sequence(view, &rest, writable)?;
    reference::gru_i16(&layer.weights(view, new)?, sequence, Active::row_product)
}

fn verify_lstm(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Layer>()?.verify(view, [4, 4], 2, None)
}

fn run_lstm(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let layer: Layer = view.parameters()?;
    let [output, hidden, cell] = [view.output(0)?, view.output(1)?, view.output(2)?].map(super::Tensor::span);
    let spans = [output, hidden, view.record.scratch, cell];
    let Regions { writable: [output, hidden, scratch, cell], rest } =
        Regions::carve(call.arena, view.tables.constants, spans)?;
    let cell = elements(cell)?;
    start::<i32>(view, &rest, 2, cell)?;
    let sequence = layer.sequence(view, &rest, [output, hidden, scratch])?;
    reference::lstm_i16(&layer.weights(view, None)?, cell, sequence, Active::row_product)
}

/// The sequence, the state and the scratch memory.
fn carve<'r, 'm>(call: &'r mut Call<'_, 'm>) -> Result<Regions<'r, 'm, 3>, OutOfBounds> {
    let view = call.view;
    let spans = [view.output(0)?.span(), view.output(1)?.span(), view.record.scratch];
    Regions::carve(call.arena, view.tables.constants, spans)
}
