//! F32 recurrent layers over a sequence `[.., time, depth]`: RNN, GRU and LSTM, forwards or backwards in time.
//!
//! Inputs: the sequence and, optionally, the initial states, which are zero otherwise: every run starts anew; and then, also
//! optionally, the number of steps that count, one int32 between 0 and all of them. Outputs: the states of all steps
//! `[.., time, units]`, 0 where they don't count, then the last state that counts and, for an LSTM, the last cell, `units` values
//! each.
//! Layers on top of each other are steps of their own, and so are the two directions of a bidirectional layer. The
//! arithmetic is that of [`rnn_f32`](crate::kernels::reference::rnn_f32) and its neighbours.

use serde::{Deserialize, Serialize};

use super::regions::{Rest, elements};
use super::{Call, DataType, Element, Error, OpKind, Operator, Regions, Span, StepView, Tensor};
use crate::kernels::reference::{self, RecurrentWeights, Sequence};
use crate::kernels::{self, OutOfBounds};

/// RNN, `h' = f(W x + b + R h + c)`.
pub static RNN_FLOAT32: Operator = Operator { kind: OpKind::RnnFloat32, verify: verify_rnn, run: run_rnn };
/// GRU (Cho et al., 2014; Keras' and cuDNN's variant with the reset after the product as well).
pub static GRU_FLOAT32: Operator = Operator { kind: OpKind::GruFloat32, verify: verify_gru, run: run_gru };
/// LSTM (Hochreiter and Schmidhuber, 1997) with a forget gate.
pub static LSTM_FLOAT32: Operator = Operator { kind: OpKind::LstmSequenceFloat32, verify: verify_lstm, run: run_lstm };

/// Weights and direction of a layer; the rows of its gates follow each other. Parameters of an LSTM, whose gates are in
/// the order input, forget, cell, output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// F32 weights `[gates * units][depth]`.
    pub input_weights: Span,
    /// F32 weights `[gates * units][units]`.
    pub recurrent_weights: Span,
    /// One f32 for each row of the input weights.
    pub input_bias: Span,
    /// One f32 for each row of the recurrent weights.
    pub recurrent_bias: Span,
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
    /// Whether the reset gate acts on the product with the state (PyTorch) and not on the state; if not, the step has
    /// scratch memory for one state.
    pub reset_after: bool,
}

fn last(tensor: &Tensor) -> usize {
    tensor.shape().last().map_or(0, |extent| *extent as usize)
}

/// Checks the number of operands and the length among them; returns the number of inputs before it.
pub(super) fn expect_operands(view: &StepView<'_>, states: usize) -> Result<usize, Error> {
    let limited = length_of(view);
    let given = view.inputs().saturating_sub(limited.is_some().into());
    let inputs = if given == 1 { 1 } else { states.saturating_add(1) };
    view.expect_operands(inputs.saturating_add(limited.is_some().into()), states.saturating_add(1))?;
    if limited.is_some_and(|length| length.elements() != 1) { Err(Error::Shape) } else { Ok(inputs) }
}

/// The number of steps that count, where the step has it: the last input but the cell, which is the third of three.
fn length_of<'m>(view: &StepView<'m>) -> Option<&'m Tensor> {
    let count = view.inputs();
    let has_cells = view.outputs() == 3;
    let last = view.input(count.checked_sub(1)?).ok()?;
    let is_cell = has_cells && count == 3;
    (count > 1 && !is_cell && last.data_type == DataType::Int32).then_some(last)
}

/// The number of inputs that are no length.
pub(super) fn states_given(view: &StepView<'_>) -> usize {
    view.inputs().saturating_sub(length_of(view).is_some().into())
}

/// The steps of a sequence that count, and where their states go; the other states are filled with zeros.
pub(super) fn counted<'r, T: Element + Default>(
    view: &StepView<'_>,
    rest: &Rest<'r, '_>,
    [depth, units]: [usize; 2],
    x: &'r [T],
    output: &'r mut [T],
) -> Result<(&'r [T], &'r mut [T]), OutOfBounds> {
    let Some(length) = length_of(view) else { return Ok((x, output)) };
    let steps = x.len() / depth.max(1);
    let length = rest.read::<i32>(length)?.first().copied().unwrap_or(0).max(0) as usize;
    let length = length.min(steps);
    let x = x.get(..length.wrapping_mul(depth)).ok_or(OutOfBounds)?;
    let (output, padding) = output.split_at_mut_checked(length.wrapping_mul(units)).ok_or(OutOfBounds)?;
    padding.fill(T::default());
    Ok((x, output))
}

impl Layer {
    /// Checks operands and weights of a layer with some gates and states; returns the number of units.
    fn verify(&self, view: &StepView<'_>, gates: usize, states: usize) -> Result<usize, Error> {
        let inputs = expect_operands(view, states)?;
        let (x, output) = (view.input(0)?, view.output(0)?);
        x.expect(DataType::Float32)?;
        output.expect(DataType::Float32)?;
        let (depth, units) = (last(x), last(output));
        if depth == 0 || units == 0 || !x.elements().is_multiple_of(depth) {
            return Err(Error::Shape);
        }
        if output.elements() != (x.elements() / depth).saturating_mul(units) {
            return Err(Error::Shape);
        }
        for position in 1..=states {
            let initial = if inputs == 1 { None } else { Some(view.input(position)?) };
            for state in initial.into_iter().chain([view.output(position)?]) {
                state.expect(DataType::Float32)?;
                if state.elements() != units {
                    return Err(Error::Shape);
                }
            }
        }
        let rows = gates.saturating_mul(units);
        view.constant::<f32>(self.input_weights, rows.saturating_mul(depth))?;
        view.constant::<f32>(self.recurrent_weights, rows.saturating_mul(units))?;
        view.constant::<f32>(self.input_bias, rows)?;
        view.constant::<f32>(self.recurrent_bias, rows)?;
        Ok(units)
    }

    fn weights<'m>(&self, view: &StepView<'m>) -> Result<RecurrentWeights<'m>, OutOfBounds> {
        Ok(RecurrentWeights {
            input: view.constant_of(self.input_weights)?,
            recurrent: view.constant_of(self.recurrent_weights)?,
            input_bias: view.constant_of(self.input_bias)?,
            recurrent_bias: view.constant_of(self.recurrent_bias)?,
        })
    }

    /// The sequence of a step over its regions, with the initial state in place.
    fn sequence<'r, 'm: 'r>(
        &self,
        view: &StepView<'_>,
        rest: &Rest<'r, 'm>,
        output: &'r mut [u8],
        hidden: &'r mut [u8],
    ) -> Result<Sequence<'r>, OutOfBounds> {
        let x = view.input(0)?;
        let hidden = elements(hidden)?;
        start(view, rest, 1, hidden)?;
        let depth = last(x);
        let (x, output) = counted(view, rest, [depth, hidden.len()], rest.read(x)?, elements(output)?)?;
        Ok(Sequence { x, depth, output, hidden, reverse: self.reverse })
    }
}

/// Fills a state with what an input holds, or with zeros where there is none.
fn start(view: &StepView<'_>, rest: &Rest<'_, '_>, position: usize, state: &mut [f32]) -> Result<(), OutOfBounds> {
    match view.input(position) {
        Ok(initial) if position < states_given(view) => {
            let initial = rest.read::<f32>(initial)?;
            if initial.len() != state.len() {
                return Err(OutOfBounds);
            }
            state.copy_from_slice(initial);
        }
        _ => state.fill(0.0),
    }
    Ok(())
}

fn verify_rnn(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<RnnParameters>()?.layer.verify(view, 1, 1).map(|_| ())
}

fn run_rnn(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let RnnParameters { layer, relu } = view.parameters()?;
    let spans = [view.output(0)?.span(), view.output(1)?.span()];
    let Regions { writable: [output, hidden], rest } = Regions::carve(call.arena, view.tables.constants, spans)?;
    reference::rnn_f32(&layer.weights(view)?, relu, layer.sequence(view, &rest, output, hidden)?)
}

fn verify_gru(view: &StepView<'_>) -> Result<(), Error> {
    let GruParameters { layer, reset_after } = view.parameters()?;
    let units = layer.verify(view, 3, 1)?;
    let scratch = view.record.scratch;
    if reset_after {
        return Ok(());
    }
    let (need, have) = (units.saturating_mul(size_of::<f32>()), scratch.length as usize);
    if !(scratch.offset as usize).is_multiple_of(size_of::<f32>()) {
        return Err(Error::Misaligned);
    }
    if need == have { Ok(()) } else { Err(Error::Constant { need, have }) }
}

fn run_gru(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let GruParameters { layer, reset_after } = view.parameters()?;
    let weights = layer.weights(view)?;
    let spans = [view.output(0)?.span(), view.output(1)?.span()];
    if reset_after {
        let Regions { writable: [output, hidden], rest } = Regions::carve(call.arena, view.tables.constants, spans)?;
        return reference::gru_f32(&weights, true, &mut [], layer.sequence(view, &rest, output, hidden)?);
    }
    let spans = [spans[0], spans[1], view.record.scratch];
    let Regions { writable: [output, hidden, scratch], rest } =
        Regions::carve(call.arena, view.tables.constants, spans)?;
    let sequence = layer.sequence(view, &rest, output, hidden)?;
    reference::gru_f32(&weights, false, elements(scratch)?, sequence)
}

fn verify_lstm(view: &StepView<'_>) -> Result<(), Error> {
    view.parameters::<Layer>()?.verify(view, 4, 2).map(|_| ())
}

fn run_lstm(call: &mut Call<'_, '_>) -> kernels::Result {
    let view = call.view;
    let layer: Layer = view.parameters()?;
    let spans = [view.output(0)?.span(), view.output(1)?.span(), view.output(2)?.span()];
    let Regions { writable: [output, hidden, cell], rest } = Regions::carve(call.arena, view.tables.constants, spans)?;
    let cell = elements(cell)?;
    start(view, &rest, 2, cell)?;
    let sequence = layer.sequence(view, &rest, output, hidden)?;
    reference::lstm_sequence_f32(&layer.weights(view)?, cell, sequence)
}
