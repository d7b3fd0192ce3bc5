//! A Transformer's encoder layer, layer normalization and positional encodings, as PyTorch computes them.

use anyhow::{Context, Result};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::layer::{Filler, drop_values};
use super::{Mode, Surroundings, rounding};
use crate::architecture;
use crate::recipe::EncoderActivation;

#[derive(Module, Debug)]
pub(super) struct Encoder {
    #[module(skip)]
    plan: architecture::Encoder,
    projection: Linear,
    output: Linear,
    expand: Linear,
    contract: Linear,
    attention_norm: LayerNorm,
    feed_forward_norm: LayerNorm,
}

/// Weights are `[out][in]`.
#[derive(Module, Debug)]
struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
pub(super) struct LayerNorm {
    epsilon: f64,
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl Encoder {
    pub(super) fn build(
        plan: architecture::Encoder,
        channels: usize,
        device: &Device,
        fill: &mut Filler<'_>,
    ) -> Result<Self> {
        let mut parts = plan.parts(channels).into_iter();
        let mut next = || fill.tensor(&parts.next().context("an encoder has twelve tensors")?);
        let mut linear = || -> Result<Linear> {
            Ok(Linear { weight: Param::from_data(next()?, device), bias: Param::from_data(next()?, device) })
        };
        let (projection, output, expand, contract) = (linear()?, linear()?, linear()?, linear()?);
        let mut norm = || LayerNorm::new(plan.epsilon, next()?, next()?, device);
        let (attention_norm, feed_forward_norm) = (norm()?, norm()?);
        Ok(Self { plan, projection, output, expand, contract, attention_norm, feed_forward_norm })
    }

    /// In the order of the plan's parts.
    pub(super) fn tensors(&self) -> Vec<TensorData> {
        let linear = [&self.projection, &self.output, &self.expand, &self.contract];
        let linear =
            linear.into_iter().flat_map(|layer| [layer.weight.val().into_data(), layer.bias.val().into_data()]);
        let norms = [&self.attention_norm, &self.feed_forward_norm];
        linear.chain(norms.into_iter().flat_map(LayerNorm::tensors)).collect()
    }

    pub(super) fn rounded(&self) -> Self {
        let of = |layer: &Linear| Linear { weight: rounding::weight(&layer.weight, 0), ..layer.clone() };
        Self {
            projection: of(&self.projection),
            output: of(&self.output),
            expand: of(&self.expand),
            contract: of(&self.contract),
            ..self.clone()
        }
    }

    pub(super) fn plan(&self) -> &architecture::Encoder {
        &self.plan
    }

    /// Values of a step that comes in.
    pub(super) fn channels(&self) -> usize {
        self.output.weight.dims()[0]
    }

    /// Of `[batch, time, channels]`; no step sees those behind a sequence's end.
    pub(super) fn forward(&self, x: Tensor<3>, around: &mut Surroundings<'_, '_>) -> Tensor<3> {
        if self.plan.norm_first {
            let x = x.clone() + self.attention(self.attention_norm.forward(x), around);
            x.clone() + self.feed_forward(self.feed_forward_norm.forward(x), around.mode)
        } else {
            let x = self.attention_norm.forward(x.clone() + self.attention(x, around));
            self.feed_forward_norm.forward(x.clone() + self.feed_forward(x, around.mode))
        }
    }

    fn attention(&self, x: Tensor<3>, around: &mut Surroundings<'_, '_>) -> Tensor<3> {
        let [batch, time, channels] = x.dims();
        let heads = self.plan.heads;
        let depth = channels / heads;
        let projected = self.projection.forward(x);
        // [batch, heads, time, depth]
        let part = |index: usize| {
            let part = projected.clone().narrow(2, index * channels, channels);
            part.reshape([batch, time, heads, depth]).swap_dims(1, 2)
        };
        let mut scores = part(0).matmul(part(1).swap_dims(2, 3)).div_scalar((depth as f32).sqrt());
        if let Some(lengths) = &around.lengths {
            scores = scores.clone() + lengths.hidden(time, &scores.device()).reshape([batch, 1, 1, time]);
        }
        let shares = self.drop(activation::softmax(scores, 3), around.mode);
        let context = shares.matmul(part(2)).swap_dims(1, 2).reshape([batch, time, channels]);
        self.drop(self.output.forward(context), around.mode)
    }

    fn feed_forward(&self, x: Tensor<3>, mode: &mut Mode<'_>) -> Tensor<3> {
        let inner = self.expand.forward(x);
        let inner = match self.plan.activation {
            EncoderActivation::Gelu => activation::gelu(inner),
            EncoderActivation::Relu => activation::relu(inner),
        };
        let inner = self.drop(inner, mode);
        self.drop(self.contract.forward(inner), mode)
    }

    fn drop<const D: usize>(&self, tensor: Tensor<D>, mode: &mut Mode<'_>) -> Tensor<D> {
        match mode {
            Mode::Train(random) => drop_values(tensor, self.plan.dropout, random),
            Mode::Evaluate => tensor,
        }
    }
}

impl Linear {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, channels] = x.dims();
        let rows = x.reshape([batch * time, channels]).matmul(self.weight.val().transpose());
        let rows = rows + self.bias.val().unsqueeze();
        let outputs = rows.dims()[1];
        rows.reshape([batch, time, outputs])
    }
}

impl LayerNorm {
    pub(super) fn new(epsilon: f64, gamma: TensorData, beta: TensorData, device: &Device) -> Result<Self> {
        Ok(Self { epsilon, gamma: Param::from_data(gamma, device), beta: Param::from_data(beta, device) })
    }

    /// Gamma, then beta.
    pub(super) fn tensors(&self) -> [TensorData; 2] {
        [self.gamma.val().into_data(), self.beta.val().into_data()]
    }

    /// Along the last axis.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let centred = x.clone() - x.mean_dim(D - 1);
        let variance = (centred.clone() * centred.clone()).mean_dim(D - 1);
        let normalized = centred / (variance + self.epsilon).sqrt();
        normalized * self.gamma.val().unsqueeze() + self.beta.val().unsqueeze()
    }
}

/// Sines and cosines `[time][channels]` of section 3.5 of Vaswani et al. 2017.
pub(crate) fn sinusoidal(time: usize, channels: usize) -> Vec<f32> {
    let value = |step: usize, channel: usize| {
        let angle = step as f64 / 10_000_f64.powf((channel / 2 * 2) as f64 / channels as f64);
        if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    (0..time).flat_map(|step| (0..channels).map(move |channel| value(step, channel) as f32)).collect()
}
