//! The layers that compute with burn.

use anyhow::Result;
use burn::module::{Module, Param, RunningState};
use burn::tensor::module::{avg_pool2d, batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::RngExt;

use super::weights::{Slot, Start, Weight, Weights};
use super::{Mode, Signal};
use crate::architecture::{self, Activation, Operation, Window};
use crate::random::Generator;

/// A layer with its weights.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Layer {
    Convolution(Convolution),
    BatchNorm(BatchNorm),
    Dense(Dense),
    Plain(Plain),
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
        let mut tensor = |part: &str, shape: &[usize], start: Start| {
            let slot = Slot { name: format!("{}.{part}", layer.name), shape: shape.to_vec(), start };
            fill(&slot).map(|values| TensorData::new(values, slot.shape))
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
                let inputs = layer.input.len();
                let start = Start::Random { fan_in: inputs, fan_out: units };
                let weight = Param::from_data(tensor("weight", &[inputs, units], start)?, device);
                let bias = if bias { Some(tensor("bias", &[units], Start::Zeros)?) } else { None };
                Ok(Self::Dense(Dense { weight, bias: bias.map(|bias| Param::from_data(bias, device)) }))
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
            Self::Plain(_) => {}
        }
    }

    /// `side` is taken by the layer that concatenates it. A frozen normalization keeps its statistics in training.
    pub(super) fn forward(
        &self,
        signal: Signal,
        side: &mut Option<Tensor<2>>,
        mode: &mut Mode<'_>,
        frozen: bool,
    ) -> Signal {
        let measures = !frozen && matches!(mode, Mode::Train(_));
        match (self, signal) {
            (Self::Convolution(layer), Signal::Map(map)) => Signal::Map(layer.forward(map)),
            (Self::BatchNorm(layer), Signal::Map(map)) => Signal::Map(layer.forward(map, measures)),
            (Self::BatchNorm(layer), Signal::Vector(vector)) => Signal::Vector(layer.forward(vector, measures)),
            (Self::Dense(layer), signal) => Signal::Vector(layer.forward(signal.into_vector())),
            (Self::Plain(layer), signal) => layer.forward(signal, side, mode),
            // A planned architecture gives a convolution nothing but maps.
            (Self::Convolution(_), vector) => vector,
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
    fn forward(&self, signal: Signal, side: &mut Option<Tensor<2>>, mode: &mut Mode<'_>) -> Signal {
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
                let mean = map.reshape([batch, channels, height * width]).mean_dim(2);
                Signal::Vector(mean.reshape([batch, channels]))
            }
            (Operation::Dropout { rate }, signal) => match (mode, signal) {
                (Mode::Train(random), Signal::Map(map)) => Signal::Map(drop_values(map, rate, random)),
                (Mode::Train(random), Signal::Vector(vector)) => Signal::Vector(drop_values(vector, rate, random)),
                (Mode::Evaluate, signal) => signal,
            },
            (Operation::Concatenate, signal) => match side.take() {
                Some(side) => Signal::Vector(Tensor::cat(vec![signal.into_vector(), side], 1)),
                None => signal,
            },
            (_, signal) => Signal::Vector(signal.into_vector()),
        }
    }
}

fn activate<const D: usize>(function: Activation, tensor: Tensor<D>) -> Tensor<D> {
    match function {
        Activation::Relu => activation::relu(tensor),
        Activation::Relu6 => tensor.clamp(0.0, 6.0),
        Activation::Tanh => tensor.tanh(),
        Activation::Sigmoid => activation::sigmoid(tensor),
    }
}

/// Inverted dropout (Srivastava et al. 2014) with a mask drawn here, so that it follows the recipe's seed.
fn drop_values<const D: usize>(tensor: Tensor<D>, rate: f64, random: &mut Generator) -> Tensor<D> {
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
