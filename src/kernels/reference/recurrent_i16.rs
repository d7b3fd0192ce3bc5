//! Recurrent layers of int16 with int8 weights over a sequence: RNN, GRU and LSTM.
//!
//! States are codes of `2^-15` (those of a relu have a scale of their own), the cell of an LSTM is int32 in `2^-24`. The
//! pre-activations, products of rows of weights, are int32 with [`FRACTION`] fractional bits and are never narrowed;
//! functions interpolate in one table, and each state is rounded once. Nothing depends on calibration but the scale of the
//! input.

use super::super::rows::RowQuads;
use super::super::{OutOfBounds, Result};
use crate::fixed::{round_shift, round_shift_wide, smooth_logistic, smooth_tanh};

/// Fractional bits of the pre-activations.
pub const FRACTION: u32 = 14;
/// Fractional bits of a relu's pre-activation beyond those of its state.
pub const RELU_FRACTION: u32 = 8;
/// Fractional bits of an LSTM's cell.
pub const CELL_FRACTION: u32 = 24;

/// The weights of a layer: rows of its gates follow each other.
#[derive(Debug, Clone, Copy)]
pub struct RowWeights<'a> {
    /// Of the inputs.
    pub input: RowQuads<'a>,
    /// Of the state.
    pub recurrent: RowQuads<'a>,
    /// Of the new gate on the state behind the reset: a GRU that resets before the product has them here and not among
    /// the recurrent ones.
    pub new: Option<RowQuads<'a>>,
}

/// A sequence to run over, and where its states go.
#[derive(Debug)]
pub struct WideSequence<'a> {
    /// Steps of `depth` codes.
    pub x: &'a [i16],
    /// Codes of a step.
    pub depth: usize,
    /// As many steps of `units` codes.
    pub output: &'a mut [i16],
    /// The state before and after, `units` codes.
    pub hidden: &'a mut [i16],
    /// Whether the last step comes first.
    pub reverse: bool,
    /// [`RowWeights::scratch_words`] words.
    pub scratch: &'a mut [i32],
}

/// A kernel for the products of rows.
pub type RowProduct = fn(&RowQuads<'_>, &[i16], &mut [i32]) -> Result;

/// The results of `weights`, four for each group.
fn results(weights: &RowQuads<'_>) -> usize {
    (weights.words.len() / weights.depth.saturating_add(8)).saturating_mul(4)
}

impl RowWeights<'_> {
    /// Words of working memory: padded inputs and state, and the results of all rows.
    pub fn scratch_words(&self) -> usize {
        let new = self.new.as_ref().map_or(0, results);
        let rows = results(&self.input).saturating_add(results(&self.recurrent)).saturating_add(new);
        (self.input.depth / 2).saturating_add(self.recurrent.depth / 2).saturating_add(rows)
    }
}

/// The products of one step.
struct Step<'a> {
    /// Of the inputs.
    input: &'a [i32],
    /// Of the state.
    recurrent: &'a [i32],
    /// The state behind the reset, to fill, and the products that come of it.
    reset: &'a mut [i16],
    new: &'a mut [i32],
}

impl WideSequence<'_> {
    /// Runs over all steps; `cell` makes the new state of a step from its products and the state before.
    #[inline(always)]
    fn run(
        self,
        weights: &RowWeights<'_>,
        product: RowProduct,
        mut cell: impl FnMut(Step<'_>, &[i16], &mut [i16]) -> Result,
    ) -> Result {
        let Self { x, depth, output, hidden, reverse, scratch } = self;
        let (input, rest) = scratch.split_at_mut_checked(weights.input.depth / 2).ok_or(OutOfBounds)?;
        let (state, rest) = rest.split_at_mut_checked(weights.recurrent.depth / 2).ok_or(OutOfBounds)?;
        let (from_input, rest) = rest.split_at_mut_checked(results(&weights.input)).ok_or(OutOfBounds)?;
        let (from_state, new) = rest.split_at_mut_checked(results(&weights.recurrent)).ok_or(OutOfBounds)?;
        input.fill(0);
        state.fill(0);
        let (input, state): (&mut [i16], &mut [i16]) =
            (bytemuck::cast_slice_mut(input), bytemuck::cast_slice_mut(state));
        let (depth, units) = (depth.max(1), hidden.len().max(1));
        let steps = (x.len() / depth).min(output.len() / units);
        for step in 0..steps {
            let step = if reverse { steps - 1 - step } else { step };
            let x = x.chunks_exact(depth).nth(step).ok_or(OutOfBounds)?;
            let row = output.chunks_exact_mut(units).nth(step).ok_or(OutOfBounds)?;
            input.get_mut(..x.len()).ok_or(OutOfBounds)?.copy_from_slice(x);
            state.get_mut(..hidden.len()).ok_or(OutOfBounds)?.copy_from_slice(hidden);
            product(&weights.input, input, from_input)?;
            product(&weights.recurrent, state, from_state)?;
            cell(Step { input: from_input, recurrent: from_state, reset: state, new }, hidden, row)?;
            if row.len() != hidden.len() {
                return Err(OutOfBounds);
            }
            hidden.copy_from_slice(row);
        }
        Ok(())
    }
}

/// The first `N` gates of some units among the products of rows.
fn gates<const N: usize>(rows: &[i32], units: usize) -> core::result::Result<[&[i32]; N], OutOfBounds> {
    let mut gates = [&[][..]; N];
    for (gate, rows) in gates.iter_mut().zip(rows.chunks_exact(units.max(1))) {
        *gate = rows;
    }
    if gates.iter().all(|gate| gate.len() == units) { Ok(gates) } else { Err(OutOfBounds) }
}

fn saturate(value: i32) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

/// `h' = tanh(X + H)`, or with `relu` the positive part, whose results have [`RELU_FRACTION`] bits below those of the state.
pub fn rnn_i16(weights: &RowWeights<'_>, relu: bool, sequence: WideSequence<'_>, product: RowProduct) -> Result {
    sequence.run(weights, product, |step, _, output| {
        for ((x, h), state) in step.input.iter().zip(step.recurrent).zip(output) {
            let sum = x.wrapping_add(*h);
            let value = if relu { round_shift(sum.max(0), RELU_FRACTION) } else { smooth_tanh::<FRACTION>(sum) };
            *state = saturate(value);
        }
        Ok(())
    })
}

/// Gates in the order reset, update, new: `h' = z h + (1 - z) n`, rounded once.
pub fn gru_i16(weights: &RowWeights<'_>, sequence: WideSequence<'_>, product: RowProduct) -> Result {
    sequence.run(weights, product, |step, hidden, output| {
        let [reset, update, new] = gates::<3>(step.input, hidden.len())?;
        let blend = |x: i32, h: i32, state: i16, n: i32| {
            let z = smooth_logistic::<FRACTION>(x.wrapping_add(h));
            let n = smooth_tanh::<FRACTION>(n);
            saturate(round_shift((z * i32::from(state)).wrapping_add((32_768 - z) * n), 15))
        };
        if let Some(weights) = &weights.new {
            let [of_reset, of_update] = gates::<2>(step.recurrent, hidden.len())?;
            for (((x, h), state), product) in reset.iter().zip(of_reset).zip(hidden).zip(step.reset.iter_mut()) {
                let r = smooth_logistic::<FRACTION>(x.wrapping_add(*h));
                *product = round_shift(r * i32::from(*state), 15) as i16;
            }
            product(weights, step.reset, step.new)?;
            let update = update.iter().zip(of_update);
            let new = new.iter().zip(step.new.iter());
            for ((((x, h), (y, recurrent)), state), value) in update.zip(new).zip(hidden).zip(output) {
                *value = blend(*x, *h, *state, y.wrapping_add(*recurrent));
            }
            return Ok(());
        }
        let [of_reset, of_update, of_new] = gates::<3>(step.recurrent, hidden.len())?;
        let reset = reset.iter().zip(of_reset);
        let update = update.iter().zip(of_update);
        let new = new.iter().zip(of_new);
        for (((((a, b), (x, h)), (y, recurrent)), state), value) in reset.zip(update).zip(new).zip(hidden).zip(output) {
            let r = smooth_logistic::<FRACTION>(a.wrapping_add(*b));
            let recurrent = round_shift_wide(i64::from(r) * i64::from(*recurrent), 15) as i32;
            *value = blend(*x, *h, *state, y.wrapping_add(recurrent));
        }
        Ok(())
    })
}

/// Gates in the order input, forget, cell, output: `c' = f c + i g`, rounded once, and `h' = o tanh(c')`.
pub fn lstm_i16(weights: &RowWeights<'_>, cell: &mut [i32], sequence: WideSequence<'_>, product: RowProduct) -> Result {
    sequence.run(weights, product, |step, hidden, output| {
        let x = gates::<4>(step.input, hidden.len())?;
        let h = gates::<4>(step.recurrent, hidden.len())?;
        let [input, forget, candidate, exit] =
            [0, 1, 2, 3].map(|gate| x[gate].iter().zip(h[gate]).map(|(x, h)| x.wrapping_add(*h)));
        let gates = input.zip(forget).zip(candidate.zip(exit));
        for ((((i, f), (g, o)), cell), value) in gates.zip(cell.iter_mut()).zip(output) {
            let f = smooth_logistic::<FRACTION>(f);
            let product = smooth_logistic::<FRACTION>(i) * smooth_tanh::<FRACTION>(g);
            let sum = i64::from(f) * i64::from(*cell) + (i64::from(product) << (CELL_FRACTION - 15));
            *cell = round_shift_wide(sum, 15).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            let o = smooth_logistic::<FRACTION>(o);
            *value = saturate(round_shift(o * smooth_tanh::<CELL_FRACTION>(*cell), 15));
        }
        Ok(())
    })
}
