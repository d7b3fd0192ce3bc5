//! F32 recurrent layers over a sequence: RNN, GRU and LSTM with PyTorch's equations.
//!
//! Every sum starts at zero, runs over its inputs in order and takes its bias last; functions are `libm`'s. The state is
//! read and written in place, and each step's new state is a row of the output.

use super::super::{OutOfBounds, Result};

/// The weights of a layer; the rows of its gates follow each other.
#[derive(Debug, Clone, Copy)]
pub struct RecurrentWeights<'a> {
    /// `[gates * units][depth]`.
    pub input: &'a [f32],
    /// `[gates * units][units]`.
    pub recurrent: &'a [f32],
    /// One for each row of `input`.
    pub input_bias: &'a [f32],
    /// One for each row of `recurrent`.
    pub recurrent_bias: &'a [f32],
}

/// `bias[row] + weights[row] * values`.
fn row(weights: &[f32], bias: &[f32], row: usize, values: &[f32]) -> core::result::Result<f32, OutOfBounds> {
    let at = row.wrapping_mul(values.len());
    let weights = weights.get(at..at.wrapping_add(values.len())).ok_or(OutOfBounds)?;
    let sum = values.iter().zip(weights).fold(0.0, |sum, (value, weight)| sum + value * weight);
    Ok(sum + bias.get(row).ok_or(OutOfBounds)?)
}

impl RecurrentWeights<'_> {
    fn of_input(&self, at: usize, x: &[f32]) -> core::result::Result<f32, OutOfBounds> {
        row(self.input, self.input_bias, at, x)
    }

    fn of_state(&self, at: usize, hidden: &[f32]) -> core::result::Result<f32, OutOfBounds> {
        row(self.recurrent, self.recurrent_bias, at, hidden)
    }

    fn both(&self, at: usize, x: &[f32], hidden: &[f32]) -> core::result::Result<f32, OutOfBounds> {
        Ok(self.of_input(at, x)? + self.of_state(at, hidden)?)
    }
}

/// A sequence to run over, and where its states go.
#[derive(Debug)]
pub struct Sequence<'a> {
    /// Steps of `depth` values.
    pub x: &'a [f32],
    /// Values of a step.
    pub depth: usize,
    /// As many steps of `units` values.
    pub output: &'a mut [f32],
    /// The state before and after, `units` values.
    pub hidden: &'a mut [f32],
    /// Whether the last step comes first.
    pub reverse: bool,
}

impl Sequence<'_> {
    /// Runs a step over each row; what it writes becomes the state.
    #[inline(always)]
    fn run(self, mut step: impl FnMut(&[f32], &[f32], &mut [f32]) -> Result) -> Result {
        let Self { x, depth, output, hidden, reverse } = self;
        let mut rows = x.chunks_exact(depth.max(1)).zip(output.chunks_exact_mut(hidden.len().max(1)));
        let mut one = |(x, row): (&[f32], &mut [f32])| {
            step(x, hidden, row)?;
            if row.len() != hidden.len() {
                return Err(OutOfBounds);
            }
            hidden.copy_from_slice(row);
            Ok(())
        };
        if reverse { rows.rev().try_for_each(one) } else { rows.try_for_each(&mut one) }
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

/// `h' = f(W x + b + R h + c)` with tanh, or with `max(x, 0)` where `relu`.
pub fn rnn_f32(weights: &RecurrentWeights<'_>, relu: bool, sequence: Sequence<'_>) -> Result {
    sequence.run(|x, hidden, output| {
        for (unit, value) in output.iter_mut().enumerate() {
            let sum = weights.both(unit, x, hidden)?;
            *value = if relu { sum.max(0.0) } else { libm::tanhf(sum) };
        }
        Ok(())
    })
}

/// Gates in the order reset, update, new: `n = tanh(W x + b + r (R h + c))` or, unless `reset_after`,
/// `n = tanh(W x + b + R (r h) + c)`; `h' = (1 - z) n + z h`. `scratch` holds `units` values unless `reset_after`.
pub fn gru_f32(
    weights: &RecurrentWeights<'_>,
    reset_after: bool,
    scratch: &mut [f32],
    sequence: Sequence<'_>,
) -> Result {
    sequence.run(|x, hidden, output| {
        let units = hidden.len();
        if !reset_after {
            if scratch.len() != units {
                return Err(OutOfBounds);
            }
            for ((unit, value), state) in scratch.iter_mut().enumerate().zip(hidden) {
                *value = logistic(weights.both(unit, x, hidden)?) * state;
            }
        }
        for ((unit, value), state) in output.iter_mut().enumerate().zip(hidden) {
            let (update, new) = (unit.wrapping_add(units), unit.wrapping_add(units).wrapping_add(units));
            let z = logistic(weights.both(update, x, hidden)?);
            let recurrent = if reset_after {
                logistic(weights.both(unit, x, hidden)?) * weights.of_state(new, hidden)?
            } else {
                weights.of_state(new, scratch)?
            };
            let n = libm::tanhf(weights.of_input(new, x)? + recurrent);
            *value = (1.0 - z) * n + z * state;
        }
        Ok(())
    })
}

/// Gates in the order input, forget, cell, output: `c' = f c + i g`, `h' = o tanh(c')`.
pub fn lstm_sequence_f32(weights: &RecurrentWeights<'_>, cell: &mut [f32], sequence: Sequence<'_>) -> Result {
    sequence.run(|x, hidden, output| {
        for ((unit, value), cell) in output.iter_mut().enumerate().zip(cell.iter_mut()) {
            let gate = |gate: usize| weights.both(unit.wrapping_add(hidden.len().wrapping_mul(gate)), x, hidden);
            let (input, forget) = (logistic(gate(0)?), logistic(gate(1)?));
            *cell = forget * *cell + input * libm::tanhf(gate(2)?);
            *value = logistic(gate(3)?) * libm::tanhf(*cell);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONES: [f32; 3] = [1.0; 3];

    fn weights<'a>(input: &'a [f32], recurrent: &'a [f32], bias: &'a [f32]) -> RecurrentWeights<'a> {
        RecurrentWeights { input, recurrent, input_bias: bias, recurrent_bias: bias }
    }

    #[test]
    fn a_relu_counts_forwards_and_backwards() {
        let weights = weights(&ONES[..1], &ONES[..1], &[0.0]);
        for (reverse, expected) in [(false, [1.0, 3.0, 6.0]), (true, [6.0, 5.0, 3.0])] {
            let (mut output, mut hidden) = ([0.0; 3], [0.0]);
            let sequence =
                Sequence { x: &[1.0, 2.0, 3.0], depth: 1, output: &mut output, hidden: &mut hidden, reverse };
            rnn_f32(&weights, true, sequence).unwrap();
            assert_eq!((output, hidden), (expected, [6.0]));
        }
    }

    #[test]
    fn reset_before_and_after_differ_by_the_bias() {
        // With h = 0 the new gate is tanh(x + b + r c) or tanh(x + b + c).
        let weights = weights(&ONES, &ONES, &[0.5; 3]);
        let run = |reset_after| {
            let (mut output, mut hidden, mut scratch) = ([0.0], [0.0], [0.0]);
            let sequence = Sequence { x: &[1.0], depth: 1, output: &mut output, hidden: &mut hidden, reverse: false };
            gru_f32(&weights, reset_after, &mut scratch, sequence).unwrap();
            output[0]
        };
        let (z, tanh) = (logistic(2.0), |x: f32| libm::tanhf(x));
        assert_eq!(run(true), (1.0 - z) * tanh(1.5 + z * 0.5));
        assert_eq!(run(false), (1.0 - z) * tanh(1.5 + 0.5));
    }

    #[test]
    fn short_weights_are_an_error() {
        let weights = weights(&ONES[..1], &[], &[0.0]);
        let (mut output, mut hidden) = ([0.0], [0.0]);
        let sequence = Sequence { x: &[1.0], depth: 1, output: &mut output, hidden: &mut hidden, reverse: false };
        assert_eq!(rnn_f32(&weights, false, sequence), Err(OutOfBounds));
    }
}
