//! Recurrent layers as PyTorch computes them: one product with the input and one with the state a step, for all gates.

use anyhow::Result;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};
use nervelet_compiler::graph::{Activation, Cell};

use super::layer::{Filler, drop_values};
use super::{Mode, Surroundings, rounding};
use crate::architecture;
use crate::recipe::RecurrentOutput;

#[derive(Module, Debug)]
pub(super) struct Recurrent {
    #[module(skip)]
    plan: architecture::Recurrent,
    /// Those of a layer stand together.
    directions: Vec<Direction>,
}

/// The weights of a layer in a direction.
#[derive(Module, Debug)]
struct Direction {
    input: Param<Tensor<2>>,
    recurrent: Param<Tensor<2>>,
    input_bias: Option<Param<Tensor<1>>>,
    recurrent_bias: Option<Param<Tensor<1>>>,
}

impl Recurrent {
    pub(super) fn build(
        plan: architecture::Recurrent,
        channels: usize,
        device: &Device,
        fill: &mut Filler<'_>,
    ) -> Result<Self> {
        let mut tensors = plan.parts(channels).into_iter();
        let mut directions = Vec::new();
        while let (Some(input), Some(recurrent)) = (tensors.next(), tensors.next()) {
            let (input, recurrent) = (fill.tensor(&input)?, fill.tensor(&recurrent)?);
            let mut bias = || -> Result<Option<Param<Tensor<1>>>> {
                let part = if plan.bias { tensors.next() } else { None };
                part.map(|part| Ok(Param::from_data(fill.tensor(&part)?, device))).transpose()
            };
            directions.push(Direction {
                input_bias: bias()?,
                recurrent_bias: bias()?,
                input: Param::from_data(input, device),
                recurrent: Param::from_data(recurrent, device),
            });
        }
        Ok(Self { plan, directions })
    }

    /// In the order of the plan's parts.
    pub(super) fn tensors(&self) -> Vec<burn::tensor::TensorData> {
        let of = |direction: &Direction| {
            let weights = [&direction.input, &direction.recurrent].map(|weight| weight.val().into_data());
            let biases = [&direction.input_bias, &direction.recurrent_bias].map(|bias| bias.as_ref().map(Param::val));
            weights.into_iter().chain(biases.into_iter().flatten().map(Tensor::into_data)).collect::<Vec<_>>()
        };
        self.directions.iter().flat_map(of).collect()
    }

    pub(super) fn rounded(&self) -> Self {
        let of = |direction: &Direction| Direction {
            input: rounding::weight(&direction.input, 0),
            recurrent: rounding::weight(&direction.recurrent, 0),
            ..direction.clone()
        };
        Self { directions: self.directions.iter().map(of).collect(), ..self.clone() }
    }

    pub(super) fn plan(&self) -> &architecture::Recurrent {
        &self.plan
    }

    /// Values of a step that comes in.
    pub(super) fn channels(&self) -> usize {
        self.directions.first().map_or(0, |direction| direction.input.dims()[1])
    }

    /// The hidden states `[batch, time, units]` of `[batch, time, channels]`, or only the last ones, with a time of 1. Behind a
    /// sequence's end they are 0, and its last state is that of its own last step.
    pub(super) fn forward(&self, sequence: Tensor<3>, around: &mut Surroundings<'_, '_>) -> Tensor<3> {
        let [batch, time, channels] = sequence.dims();
        let masks = match &around.lengths {
            Some(lengths) => lengths.of_steps(time, &sequence.device()),
            None => vec![None; time],
        };
        let mut steps: Vec<Tensor<2>> =
            (0..time).map(|step| sequence.clone().narrow(1, step, 1).reshape([batch, channels])).collect();
        let mut last = Vec::new();
        for (layer, directions) in self.directions.chunks(self.plan.directions).enumerate() {
            if let (Mode::Train(random), true) = (&mut *around.mode, layer > 0) {
                steps = steps.into_iter().map(|step| drop_values(step, self.plan.dropout, random)).collect();
            }
            let mut states = Vec::new();
            last.clear();
            for (index, direction) in directions.iter().enumerate() {
                let (own, own_last) = direction.states(&self.plan, &steps, &masks, index == 1);
                last.extend(own_last);
                states.push(own);
            }
            let mut states = states.into_iter();
            steps = states.next().unwrap_or_default();
            for others in states {
                steps = steps.into_iter().zip(others).map(|(a, b)| Tensor::cat(vec![a, b], 1)).collect();
            }
        }
        match self.plan.output {
            RecurrentOutput::Sequence => Tensor::stack(steps, 1),
            RecurrentOutput::Last => Tensor::cat(last, 1).unsqueeze_dim(1),
        }
    }
}

impl Direction {
    /// The hidden state after each step, in the order of the steps, 0 where the step doesn't count; and the last that does.
    fn states(
        &self,
        plan: &architecture::Recurrent,
        steps: &[Tensor<2>],
        masks: &[Option<Tensor<2>>],
        reverse: bool,
    ) -> (Vec<Tensor<2>>, Option<Tensor<2>>) {
        let Some(first) = steps.first() else { return (Vec::new(), None) };
        let zero = Tensor::zeros([first.dims()[0], plan.units], &first.device());
        let (mut hidden, mut cell) = (zero.clone(), zero);
        let weights = Transposed {
            input: self.input.val().transpose(),
            recurrent: self.recurrent.val().transpose(),
            input_bias: self.input_bias.as_ref().map(|bias| bias.val().unsqueeze()),
            recurrent_bias: self.recurrent_bias.as_ref().map(|bias| bias.val().unsqueeze()),
            units: plan.units,
        };
        let mut states = Vec::with_capacity(steps.len());
        for count in 0..steps.len() {
            if plan.truncate.is_some_and(|truncate| count > 0 && count % truncate == 0) {
                (hidden, cell) = (hidden.detach(), cell.detach());
            }
            let step = if reverse { steps.len() - 1 - count } else { count };
            let input = steps[step].clone();
            let (old_hidden, old_cell) = (hidden.clone(), cell.clone());
            (hidden, cell) = match plan.cell {
                Cell::Rnn { activation } => (weights.rnn(activation, input, hidden), cell),
                Cell::Gru { reset_after } => (weights.gru(reset_after, input, hidden), cell),
                Cell::Lstm => weights.lstm(input, hidden, cell),
            };
            states.push(match &masks[step] {
                None => hidden.clone(),
                Some(mask) => {
                    let kept = mask.clone().neg().add_scalar(1.0);
                    let state = hidden * mask.clone();
                    hidden = state.clone() + old_hidden * kept.clone();
                    cell = cell * mask.clone() + old_cell * kept;
                    state
                }
            });
        }
        if reverse {
            states.reverse();
        }
        (states, Some(hidden))
    }
}

/// Weights as `[in][gates * units]`, biases as rows.
struct Transposed {
    input: Tensor<2>,
    recurrent: Tensor<2>,
    input_bias: Option<Tensor<2>>,
    recurrent_bias: Option<Tensor<2>>,
    units: usize,
}

impl Transposed {
    fn rnn(&self, function: Activation, input: Tensor<2>, hidden: Tensor<2>) -> Tensor<2> {
        let sum = self.of_input(input) + self.of_state(hidden);
        if function == Activation::None { sum.tanh() } else { activation::relu(sum) }
    }

    fn gru(&self, reset_after: bool, input: Tensor<2>, hidden: Tensor<2>) -> Tensor<2> {
        let units = self.units;
        let x = self.of_input(input);
        // The gates reset and update first, then the new state.
        let (gates, new) = if reset_after {
            let h = self.of_state(hidden.clone());
            let gates = activation::sigmoid(x.clone().narrow(1, 0, 2 * units) + h.clone().narrow(1, 0, 2 * units));
            let reset = gates.clone().narrow(1, 0, units);
            (gates, x.narrow(1, 2 * units, units) + reset * h.narrow(1, 2 * units, units))
        } else {
            let part = |from: usize, count: usize, state: Tensor<2>| {
                let product = state.matmul(self.recurrent.clone().narrow(1, from, count));
                plus(product, self.recurrent_bias.clone().map(|bias| bias.narrow(1, from, count)))
            };
            let h = part(0, 2 * units, hidden.clone());
            let gates = activation::sigmoid(x.clone().narrow(1, 0, 2 * units) + h);
            let reset = gates.clone().narrow(1, 0, units);
            (gates, x.narrow(1, 2 * units, units) + part(2 * units, units, reset * hidden.clone()))
        };
        let (update, new) = (gates.narrow(1, units, units), new.tanh());
        new.clone() + update * (hidden - new)
    }

    fn lstm(&self, input: Tensor<2>, hidden: Tensor<2>, cell: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let units = self.units;
        let sum = self.of_input(input) + self.of_state(hidden);
        let gate = |index: usize| sum.clone().narrow(1, index * units, units);
        let (admit, forget) = (activation::sigmoid(gate(0)), activation::sigmoid(gate(1)));
        let cell = forget * cell + admit * gate(2).tanh();
        (activation::sigmoid(gate(3)) * cell.clone().tanh(), cell)
    }

    fn of_input(&self, input: Tensor<2>) -> Tensor<2> {
        plus(input.matmul(self.input.clone()), self.input_bias.clone())
    }

    fn of_state(&self, hidden: Tensor<2>) -> Tensor<2> {
        plus(hidden.matmul(self.recurrent.clone()), self.recurrent_bias.clone())
    }
}

fn plus(product: Tensor<2>, bias: Option<Tensor<2>>) -> Tensor<2> {
    match bias {
        Some(bias) => product + bias,
        None => product,
    }
}
