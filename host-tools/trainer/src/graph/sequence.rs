//! Recurrent layers, encoder layers and positional encodings as graph nodes.

use anyhow::{Context, Result, ensure};
use nervelet_compiler::builder::{Mask, RecurrentWeights};
use nervelet_compiler::graph::{self, TensorId};

use super::Branch;
use crate::architecture::{Encoder, Layer, Recurrent};
use crate::network::sinusoidal;
use crate::recipe::{EncoderActivation, PositionValues, RecurrentOutput};

impl Branch<'_> {
    pub(super) fn recurrent(&mut self, layer: &Layer, plan: &Recurrent, mut x: TensorId) -> Result<TensorId> {
        let name = layer.name.as_str();
        let mut last = x;
        for index in 0..plan.layers {
            let (mut sequences, mut hidden) = (Vec::new(), Vec::new());
            for (direction, ending) in plan.endings(index).enumerate() {
                let weights = RecurrentWeights {
                    input: self.constant(layer, &format!("weight_ih_{ending}"))?,
                    recurrent: self.constant(layer, &format!("weight_hh_{ending}"))?,
                    input_bias: self.recurrent_bias(layer, plan, &format!("bias_ih_{ending}"))?,
                    recurrent_bias: self.recurrent_bias(layer, plan, &format!("bias_hh_{ending}"))?,
                };
                let own = format!("{name}.{ending}");
                let reverse = direction == 1;
                let [sequence, state] =
                    self.builder.recurrent_of_length(&own, x, plan.cell, reverse, weights, self.length)?;
                sequences.push(sequence);
                hidden.push(state);
            }
            x = self.joined(&format!("{name}.l{index}.states"), &sequences)?;
            last = self.joined(&format!("{name}.l{index}.last"), &hidden)?;
        }
        Ok(match plan.output {
            RecurrentOutput::Sequence => x,
            RecurrentOutput::Last => last,
        })
    }

    /// Side by side in the last axis; one alone as it is.
    fn joined(&mut self, name: &str, parts: &[TensorId]) -> Result<TensorId> {
        match parts {
            [one] => Ok(*one),
            _ => {
                let rank = self.builder.shape(*parts.first().context("nothing to join")?).len();
                self.builder.concatenation(name, parts, rank.saturating_sub(1))
            }
        }
    }

    fn recurrent_bias(&mut self, layer: &Layer, plan: &Recurrent, part: &str) -> Result<TensorId> {
        if plan.bias {
            return self.constant(layer, part);
        }
        let rows = plan.cell.gates() * plan.units;
        self.builder.constant(&format!("{}.{part}", layer.name), &[rows], vec![0.0; rows])
    }

    pub(super) fn encoder(&mut self, layer: &Layer, plan: &Encoder, x: TensorId) -> Result<TensorId> {
        let name = layer.name.as_str();
        if plan.norm_first {
            let normal = self.encoder_norm(layer, plan, "norm1", x)?;
            let attended = self.attention(layer, plan, normal)?;
            let x = self.builder.add(&format!("{name}.add1"), x, attended)?;
            let normal = self.encoder_norm(layer, plan, "norm2", x)?;
            let fed = self.feed_forward(layer, plan, normal)?;
            self.builder.add(&format!("{name}.add2"), x, fed)
        } else {
            let attended = self.attention(layer, plan, x)?;
            let sum = self.builder.add(&format!("{name}.add1"), x, attended)?;
            let x = self.encoder_norm(layer, plan, "norm1", sum)?;
            let fed = self.feed_forward(layer, plan, x)?;
            let sum = self.builder.add(&format!("{name}.add2"), x, fed)?;
            self.encoder_norm(layer, plan, "norm2", sum)
        }
    }

    fn attention(&mut self, layer: &Layer, plan: &Encoder, x: TensorId) -> Result<TensorId> {
        let name = format!("{}.self_attn", layer.name);
        let channels = layer.input.channels();
        let weight = self.weight(layer, "self_attn.in_proj_weight")?.values.clone();
        let bias = self.weight(layer, "self_attn.in_proj_bias")?.values.clone();
        ensure!(weight.len() == 3 * channels * channels && bias.len() == 3 * channels, "{name}: weights are missing");
        let rows = weight.chunks_exact(channels * channels).zip(bias.chunks_exact(channels));
        let mut operands = Vec::new();
        for (part, (weight, bias)) in ["q", "k", "v"].iter().zip(rows) {
            let name = format!("{name}.{part}");
            let shape = [channels, channels];
            let weights = self.builder.constant(&format!("{name}.weight"), &shape, weight.to_vec())?;
            let bias = self.builder.constant(&format!("{name}.bias"), &[channels], bias.to_vec())?;
            operands.push(self.builder.linear(&name, x, weights, Some(bias))?);
        }
        let operands = operands.try_into().ok().context("an attention has three operands")?;
        let mask = Mask { causal: false, length: self.length };
        let context = self.builder.masked_attention(&name, operands, plan.heads, mask)?;
        self.part(layer, "self_attn.out_proj", context)
    }

    fn feed_forward(&mut self, layer: &Layer, plan: &Encoder, x: TensorId) -> Result<TensorId> {
        let name = format!("{}.activation", layer.name);
        let inner = self.part(layer, "linear1", x)?;
        let inner = match plan.activation {
            EncoderActivation::Gelu => self.builder.gelu(&name, inner),
            EncoderActivation::Relu => self.builder.clamp(&name, inner, graph::Activation::Relu),
        };
        self.part(layer, "linear2", inner)
    }

    /// A dense layer inside of a layer.
    fn part(&mut self, layer: &Layer, part: &str, x: TensorId) -> Result<TensorId> {
        let weights = self.constant(layer, &format!("{part}.weight"))?;
        let bias = self.constant(layer, &format!("{part}.bias"))?;
        self.builder.linear(&format!("{}.{part}", layer.name), x, weights, Some(bias))
    }

    fn encoder_norm(&mut self, layer: &Layer, plan: &Encoder, part: &str, x: TensorId) -> Result<TensorId> {
        let gamma = self.constant(layer, &format!("{part}.weight"))?;
        let beta = self.constant(layer, &format!("{part}.bias"))?;
        self.builder.layer_norm(&format!("{}.{part}", layer.name), x, gamma, beta, plan.epsilon as f32)
    }

    pub(super) fn positional_encoding(
        &mut self,
        layer: &Layer,
        values: PositionValues,
        x: TensorId,
    ) -> Result<TensorId> {
        let name = layer.name.as_str();
        let (steps, channels) = (layer.input.steps(), layer.input.channels());
        let values = match values {
            PositionValues::Learned => self.weight(layer, "weight")?.values.clone(),
            PositionValues::Sinusoidal => sinusoidal(steps, channels),
        };
        let shape = self.builder.shape(x);
        let constant = self.builder.constant(&format!("{name}.weight"), &shape, values)?;
        self.builder.add(name, x, constant)
    }
}
