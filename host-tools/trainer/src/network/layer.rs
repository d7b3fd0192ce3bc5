//! The layers that compute with burn.

use anyhow::Result;
use burn::module::{Module, Param, RunningState};
use burn::tensor::module::{avg_pool2d, batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::RngExt;

use super::encoder::{Encoder, LayerNorm, sinusoidal};
use super::recurrent::Recurrent;
use super::rounding;
use super::weights::{Slot, Start, Weight, Weights};
use super::{Mode, Signal, Surroundings};
use crate::architecture::{self, Activation, Operation, Part, Window};
use crate::random::Generator;
use crate::recipe::{PositionValues, RecurrentOutput};

/// A layer with its weights.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Layer {
    Convolution(Convolution),
    BatchNorm(BatchNorm),
    Dense(Dense),
    Recurrent(Recurrent),
    Encoder(Encoder),
    LayerNorm(LayerNorm),
    PositionalEncoding(PositionalEncoding),
    Plain(Plain),
}

/// Where the values of a layer's tensors come from.
pub(super) struct Filler<'a> {
    layer: &'a str,
    fill: &'a mut dyn FnMut(&Slot) -> Result<Vec<f32>>,
}

impl Filler<'_> {
    pub(super) fn tensor(&mut self, part: &Part) -> Result<TensorData> {
        let slot = Slot { name: format!("{}.{}", self.layer, part.name), shape: part.shape.clone(), start: part.start };
        (self.fill)(&slot).map(|values| TensorData::new(values, slot.shape))
    }
}

/// Values `[time][channels]` that are added, trained or not.
#[derive(Module, Debug)]
pub(super) struct PositionalEncoding {
    values: Param<Tensor<2>>,
    trained: bool,
}

#[derive(Module, Debug)]
pub(super) struct Convolution {
    #[module(skip)]
    window: Window,
    groups: usize,
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
}

/// As PyTorch's: normalizes by the biased variance of the batch and keeps the unbiased one.
#[derive(Module, Debug)]
pub(super) struct BatchNorm {
    epsilon: f64,
    momentum: f64,
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_variance: RunningState<Tensor<1>>,
}

#[derive(Module, Debug)]
pub(super) struct Dense {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

/// A layer without weights.
#[derive(Module, Debug)]
pub(super) struct Plain {
    #[module(skip)]
    operation: Operation,
}

impl Layer {
    pub(super) fn build(
        layer: &architecture::Layer,
        device: &Device,
        fill: &mut dyn FnMut(&Slot) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let channels = layer.input.channels();
        let mut filler = Filler { layer: &layer.name, fill };
        match layer.operation {
            Operation::Recurrent(plan) => {
                return Recurrent::build(plan, channels, device, &mut filler).map(Self::Recurrent);
            }
            Operation::Encoder(plan) => return Encoder::build(plan, channels, device, &mut filler).map(Self::Encoder),
            _ => {}
        }
        let mut tensor = |part: &str, shape: &[usize], start: Start| {
            filler.tensor(&Part { name: part.to_owned(), shape: shape.to_vec(), start })
        };
        let mut convolution = |window: Window, groups: usize, filters: usize, bias: bool| -> Result<Self> {
            let [height, width] = window.kernel;
            let shape = [filters, channels / groups, height, width];
            let area = height * width;
            let start = Start::Random { fan_in: area * channels / groups, fan_out: area * filters / groups };
            let weight = Param::from_data(tensor("weight", &shape, start)?, device);
            let bias = if bias { Some(tensor("bias", &[filters], Start::Zeros)?) } else { None };
            let bias = bias.map(|bias| Param::from_data(bias, device));
            Ok(Self::Convolution(Convolution { window, groups, weight, bias }))
        };
        match layer.operation {
            Operation::Convolution { filters, window, bias } => convolution(window, 1, filters, bias),
            Operation::Depthwise { multiplier, window, bias } => {
                convolution(window, channels, channels * multiplier, bias)
            }
            Operation::BatchNorm { epsilon, momentum } => {
                let gamma = tensor("gamma", &[channels], Start::Ones)?;
                let beta = tensor("beta", &[channels], Start::Zeros)?;
                let mean = tensor("running_mean", &[channels], Start::Zeros)?;
                let variance = tensor("running_variance", &[channels], Start::Ones)?;
                Ok(Self::BatchNorm(BatchNorm {
                    epsilon,
                    momentum,
                    gamma: Param::from_data(gamma, device),
                    beta: Param::from_data(beta, device),
                    running_mean: RunningState::new(Tensor::from_data(mean, device)),
                    running_variance: RunningState::new(Tensor::from_data(variance, device)),
                }))
            }
            Operation::Dense { units, bias } => {
                let inputs = layer.input.channels();
                let start = Start::Random { fan_in: inputs, fan_out: units };
                let weight = Param::from_data(tensor("weight", &[inputs, units], start)?, device);
                let bias = if bias { Some(tensor("bias", &[units], Start::Zeros)?) } else { None };
                Ok(Self::Dense(Dense { weight, bias: bias.map(|bias| Param::from_data(bias, device)) }))
            }
            Operation::LayerNorm { epsilon } => {
                let gamma = tensor("gamma", &[channels], Start::Ones)?;
                LayerNorm::new(epsilon, gamma, tensor("beta", &[channels], Start::Zeros)?, device).map(Self::LayerNorm)
            }
            Operation::PositionalEncoding(values) => {
                let shape = [layer.input.steps(), channels];
                let trained = values == PositionValues::Learned;
                let data = match values {
                    PositionValues::Learned => tensor("weight", &shape, Start::Normal { deviation: 0.02 })?,
                    PositionValues::Sinusoidal => TensorData::new(sinusoidal(shape[0], shape[1]), shape),
                };
                let values = Param::from_data(data, device);
                let values = if trained { values } else { values.no_grad() };
                Ok(Self::PositionalEncoding(PositionalEncoding { values, trained }))
            }
            operation => Ok(Self::Plain(Plain { operation })),
        }
    }

    pub(super) fn collect(&self, name: &str, weights: &mut Weights) {
        let mut keep = |part: &str, data: TensorData| {
            let shape = data.shape().to_vec();
            let values = data.iter::<f32>().collect();
            weights.insert(format!("{name}.{part}"), Weight { shape, values });
        };
        match self {
            Self::Convolution(layer) => {
                keep("weight", layer.weight.val().into_data());
                layer.bias.iter().for_each(|bias| keep("bias", bias.val().into_data()));
            }
            Self::BatchNorm(layer) => {
                keep("gamma", layer.gamma.val().into_data());
                keep("beta", layer.beta.val().into_data());
                keep("running_mean", layer.running_mean.value_sync().into_data());
                keep("running_variance", layer.running_variance.value_sync().into_data());
            }
            Self::Dense(layer) => {
                keep("weight", layer.weight.val().into_data());
                layer.bias.iter().for_each(|bias| keep("bias", bias.val().into_data()));
            }
            Self::Recurrent(layer) => {
                let parts = layer.plan().parts(layer.channels());
                parts.iter().zip(layer.tensors()).for_each(|(part, data)| keep(&part.name, data));
            }
            Self::Encoder(layer) => {
                let parts = layer.plan().parts(layer.channels());
                parts.iter().zip(layer.tensors()).for_each(|(part, data)| keep(&part.name, data));
            }
            Self::LayerNorm(layer) => {
                let [gamma, beta] = layer.tensors();
                keep("gamma", gamma);
                keep("beta", beta);
            }
            Self::PositionalEncoding(layer) if layer.trained => keep("weight", layer.values.val().into_data()),
            Self::PositionalEncoding(_) | Self::Plain(_) => {}
        }
    }

    /// With the weights as 8 bits have them.
    pub(super) fn rounded(&self) -> Self {
        match self {
            Self::Convolution(layer) => {
                Self::Convolution(Convolution { weight: rounding::weight(&layer.weight, 0), ..layer.clone() })
            }
            Self::Dense(layer) => Self::Dense(Dense { weight: rounding::weight(&layer.weight, 1), ..layer.clone() }),
            Self::Recurrent(layer) => Self::Recurrent(layer.rounded()),
            Self::Encoder(layer) => Self::Encoder(layer.rounded()),
            other => other.clone(),
        }
    }

    /// Whether the compiler gives it, and what is around it, 16 bits.
    pub(super) fn computes_in_16_bits(&self) -> bool {
        matches!(self, Self::Recurrent(_) | Self::Encoder(_) | Self::LayerNorm(_))
    }

    /// Whether the compiler makes one layer of it and the one before.
    pub(super) fn is_folded(&self) -> bool {
        match self {
            Self::BatchNorm(_) => true,
            Self::Plain(layer) => matches!(layer.operation, Operation::Activation(_) | Operation::Dropout { .. }),
            _ => false,
        }
    }

    /// A frozen normalization keeps its statistics in training.
    pub(super) fn forward(&self, signal: Signal, around: &mut Surroundings<'_, '_>, frozen: bool) -> Signal {
        let measures = !frozen && matches!(around.mode, Mode::Train(_));
        match (self, signal) {
            (Self::Convolution(layer), Signal::Map(map)) => Signal::Map(layer.forward(map)),
            (Self::BatchNorm(layer), Signal::Map(map)) => Signal::Map(layer.forward(map, measures)),
            (Self::BatchNorm(layer), Signal::Vector(vector)) => Signal::Vector(layer.forward(vector, measures)),
            (Self::Dense(layer), Signal::Map(map)) => {
                let sequence = to_sequence(map);
                let [batch, time, channels] = sequence.dims();
                let rows = layer.forward(sequence.reshape([batch * time, channels]));
                let units = rows.dims()[1];
                to_map(rows.reshape([batch, time, units]))
            }
            (Self::Dense(layer), Signal::Vector(vector)) => Signal::Vector(layer.forward(vector)),
            (Self::Recurrent(layer), Signal::Map(map)) => {
                let states = layer.forward(to_sequence(map), around);
                match layer.plan().output {
                    RecurrentOutput::Sequence => to_map(states),
                    RecurrentOutput::Last => Signal::Vector(states.squeeze_dim(1)),
                }
            }
            (Self::Encoder(layer), Signal::Map(map)) => to_map(layer.forward(to_sequence(map), around)),
            (Self::LayerNorm(layer), Signal::Map(map)) => {
                Signal::Map(layer.forward(map.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]))
            }
            (Self::LayerNorm(layer), Signal::Vector(vector)) => Signal::Vector(layer.forward(vector)),
            (Self::PositionalEncoding(layer), Signal::Map(map)) => {
                to_map(to_sequence(map) + layer.values.val().unsqueeze())
            }
            (Self::Plain(layer), signal) => layer.forward(signal, around),
            // A planned architecture gives these nothing but maps.
            (
                Self::Convolution(_) | Self::Recurrent(_) | Self::Encoder(_) | Self::PositionalEncoding(_),
                vector @ Signal::Vector(_),
            ) => vector,
        }
    }
}

impl Convolution {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let Window { stride, padding, .. } = self.window;
        let options = ConvOptions::new_with_padding(stride, padding, [1, 1], self.groups);
        conv2d(input, self.weight.val(), self.bias.as_ref().map(Param::val), options)
    }
}

impl BatchNorm {
    fn forward<const D: usize>(&self, input: Tensor<D>, measures: bool) -> Tensor<D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if !measures {
            let (mean, variance) = (self.running_mean.value_sync(), self.running_variance.value_sync());
            return batch_norm(input, gamma, beta, mean, variance, self.epsilon);
        }
        let dims = input.dims();
        let samples = (dims.iter().product::<usize>() / dims[1]) as f64;
        let result = batch_norm_train(input, gamma, beta, self.epsilon);
        let unbiased = samples / (samples - 1.0).max(1.0);
        for (state, batch) in
            [(&self.running_mean, result.mean), (&self.running_variance, result.variance.mul_scalar(unbiased))]
        {
            let kept = state.value_sync().mul_scalar(1.0 - self.momentum);
            state.update((kept + batch.detach().mul_scalar(self.momentum)).detach());
        }
        result.output
    }
}

impl Dense {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = input.matmul(self.weight.val());
        match &self.bias {
            Some(bias) => output + bias.val().unsqueeze(),
            None => output,
        }
    }
}

impl Plain {
    fn forward(&self, signal: Signal, around: &mut Surroundings<'_, '_>) -> Signal {
        match (self.operation, signal) {
            (Operation::Activation(function), Signal::Map(map)) => Signal::Map(activate(function, map)),
            (Operation::Activation(function), Signal::Vector(vector)) => Signal::Vector(activate(function, vector)),
            (Operation::MaxPool(window), Signal::Map(map)) => {
                let options = MaxPoolOptions::new(window.kernel).with_stride(window.stride);
                Signal::Map(max_pool2d(map, options.with_padding_pairs(window.padding)))
            }
            (Operation::AveragePool(window), Signal::Map(map)) => {
                let options = AvgPoolOptions::new(window.kernel).with_stride(window.stride);
                let options = options.with_padding_pairs(window.padding).with_count_include_pad(false);
                Signal::Map(avg_pool2d(map, options))
            }
            (Operation::GlobalAveragePool, Signal::Map(map)) => {
                let [batch, channels, height, width] = map.dims();
                let steps = map.reshape([batch, channels, height * width]);
                match &around.lengths {
                    Some(lengths) => weighted(steps, |time, device| lengths.shares(time, device)),
                    None => Signal::Vector(steps.mean_dim(2).reshape([batch, channels])),
                }
            }
            (Operation::LastStep, Signal::Map(map)) => {
                let [batch, channels, _, width] = map.dims();
                match &around.lengths {
                    Some(lengths) => weighted(map.squeeze_dim(2), |time, device| lengths.last(time, device)),
                    None => Signal::Vector(map.narrow(3, width - 1, 1).reshape([batch, channels])),
                }
            }
            (Operation::Dropout { rate }, signal) => match (&mut *around.mode, signal) {
                (Mode::Train(random), Signal::Map(map)) => Signal::Map(drop_values(map, rate, random)),
                (Mode::Train(random), Signal::Vector(vector)) => Signal::Vector(drop_values(vector, rate, random)),
                (Mode::Evaluate, signal) => signal,
            },
            (Operation::Concatenate, signal) => match around.side.take() {
                Some(side) => Signal::Vector(Tensor::cat(vec![signal.into_vector(), side], 1)),
                None => signal,
            },
            (_, signal) => Signal::Vector(signal.into_vector()),
        }
    }
}

/// The sum over time of `[batch, channels, time]` with weights `[batch, time]`.
fn weighted(steps: Tensor<3>, weights: impl Fn(usize, &Device) -> Tensor<2>) -> Signal {
    let [batch, channels, time] = steps.dims();
    let weights = weights(time, &steps.device()).unsqueeze_dim::<3>(1);
    Signal::Vector((steps * weights).sum_dim(2).reshape([batch, channels]))
}

fn activate<const D: usize>(function: Activation, tensor: Tensor<D>) -> Tensor<D> {
    match function {
        Activation::Relu => activation::relu(tensor),
        Activation::Relu6 => tensor.clamp(0.0, 6.0),
        Activation::Tanh => tensor.tanh(),
        Activation::Sigmoid => activation::sigmoid(tensor),
        Activation::Gelu => activation::gelu(tensor),
    }
}

/// `[batch, channels, 1, time]` as `[batch, time, channels]`.
fn to_sequence(map: Tensor<4>) -> Tensor<3> {
    map.squeeze_dim::<3>(2).swap_dims(1, 2)
}

/// `[batch, time, channels]` as `[batch, channels, 1, time]`.
fn to_map(sequence: Tensor<3>) -> Signal {
    Signal::Map(sequence.swap_dims(1, 2).unsqueeze_dim(2))
}

/// Inverted dropout (Srivastava et al. 2014) with a mask drawn here, so that it follows the recipe's seed.
pub(super) fn drop_values<const D: usize>(tensor: Tensor<D>, rate: f64, random: &mut Generator) -> Tensor<D> {
    if rate == 0.0 {
        return tensor;
    }
    let kept = (1.0 / (1.0 - rate)) as f32;
    let dims = tensor.dims();
    let draw = |_| if random.random_bool(rate) { 0.0 } else { kept };
    let mask: Vec<f32> = (0..dims.iter().product::<usize>()).map(draw).collect();
    let mask = Tensor::from_data(TensorData::new(mask, dims), &tensor.device());
    tensor * mask
}
