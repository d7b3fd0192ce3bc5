//! The layers of sequence models with every tensor that they train, named and laid out as PyTorch's.

use nervelet_compiler::graph::{Activation, Cell};

use crate::network::Start;
use crate::recipe::{EncoderActivation, EncoderSpec, RecurrentOutput, RecurrentSpec, RnnActivation};

/// A stack of recurrent layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent {
    /// What a step computes.
    pub cell: Cell,
    /// Values of the hidden state.
    pub units: usize,
    /// Layers.
    pub layers: usize,
    /// 2 where as many units read the sequence from its end.
    pub directions: usize,
    /// Whether biases are added.
    pub bias: bool,
    /// Share that is zeroed between layers in training.
    pub dropout: f64,
    /// Steps that gradients go back through.
    pub truncate: Option<usize>,
    /// What comes out.
    pub output: RecurrentOutput,
}

/// A layer of self-attention and a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoder {
    /// Heads of the attention.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub feed_forward: usize,
    /// Its function.
    pub activation: EncoderActivation,
    /// Whether normalization comes first.
    pub norm_first: bool,
    /// Share that is zeroed in training.
    pub dropout: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

/// A tensor that a layer trains.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) start: Start,
}

impl Recurrent {
    /// `gru` and `lstm` have the cells that are named; `rnn` has that of its activation.
    pub(super) fn new(cell: Cell, spec: &RecurrentSpec) -> Self {
        let cell = match cell {
            Cell::Rnn { .. } => Cell::Rnn {
                activation: match spec.activation {
                    Some(RnnActivation::Relu) => Activation::Relu,
                    Some(RnnActivation::Tanh) | None => Activation::None,
                },
            },
            Cell::Gru { reset_after } => Cell::Gru { reset_after: spec.reset_after.unwrap_or(reset_after) },
            Cell::Lstm => Cell::Lstm,
        };
        Self {
            cell,
            units: spec.units,
            layers: spec.layers,
            directions: if spec.bidirectional { 2 } else { 1 },
            bias: spec.bias,
            dropout: spec.dropout,
            truncate: spec.truncate,
            output: spec.output,
        }
    }

    /// Values that come in at each step of a layer.
    pub(crate) fn depth(&self, layer: usize, channels: usize) -> usize {
        if layer == 0 { channels } else { self.units * self.directions }
    }

    /// The ending of the names of a layer's tensors, for each direction.
    pub(crate) fn endings(&self, layer: usize) -> impl Iterator<Item = String> {
        ["", "_reverse"].into_iter().take(self.directions).map(move |direction| format!("l{layer}{direction}"))
    }

    /// Layer by layer, direction by direction. Everything starts uniform within 1 / sqrt(units), as in PyTorch.
    pub(crate) fn parts(&self, channels: usize) -> Vec<Part> {
        let rows = self.cell.gates() * self.units;
        let start = Start::Uniform { bound: 1.0 / (self.units as f32).sqrt() };
        let mut parts = Vec::new();
        for layer in 0..self.layers {
            for ending in self.endings(layer) {
                let mut part = |name: &str, shape: Vec<usize>| {
                    parts.push(Part { name: format!("{name}_{ending}"), shape, start });
                };
                part("weight_ih", vec![rows, self.depth(layer, channels)]);
                part("weight_hh", vec![rows, self.units]);
                if self.bias {
                    part("bias_ih", vec![rows]);
                    part("bias_hh", vec![rows]);
                }
            }
        }
        parts
    }

    /// Multiplications with a weight in a step.
    pub(super) fn multiply_accumulates(&self, channels: usize) -> usize {
        let rows = self.cell.gates() * self.units * self.directions;
        (0..self.layers).map(|layer| rows * (self.depth(layer, channels) + self.units)).sum()
    }
}

impl From<&EncoderSpec> for Encoder {
    fn from(spec: &EncoderSpec) -> Self {
        Self {
            heads: spec.heads,
            feed_forward: spec.feed_forward,
            activation: spec.activation,
            norm_first: spec.norm_first,
            dropout: spec.dropout,
            epsilon: spec.epsilon,
        }
    }
}

impl Encoder {
    /// Weights are `[out][in]`.
    pub(crate) fn parts(&self, channels: usize) -> Vec<Part> {
        let inner = self.feed_forward;
        let random = |inputs: usize| Start::Uniform { bound: 1.0 / (inputs as f32).sqrt() };
        let projection = Start::Xavier { fan_in: channels, fan_out: 3 * channels };
        let parts: [(&str, &[usize], Start); 12] = [
            ("self_attn.in_proj_weight", &[3 * channels, channels], projection),
            ("self_attn.in_proj_bias", &[3 * channels], Start::Zeros),
            ("self_attn.out_proj.weight", &[channels, channels], random(channels)),
            ("self_attn.out_proj.bias", &[channels], Start::Zeros),
            ("linear1.weight", &[inner, channels], random(channels)),
            ("linear1.bias", &[inner], Start::Zeros),
            ("linear2.weight", &[channels, inner], random(inner)),
            ("linear2.bias", &[channels], Start::Zeros),
            ("norm1.weight", &[channels], Start::Ones),
            ("norm1.bias", &[channels], Start::Zeros),
            ("norm2.weight", &[channels], Start::Ones),
            ("norm2.bias", &[channels], Start::Zeros),
        ];
        parts.map(|(name, shape, start)| Part { name: name.to_owned(), shape: shape.to_vec(), start }).to_vec()
    }

    /// Multiplications of a sequence, those of queries, keys and values included.
    pub(super) fn multiply_accumulates(&self, time: usize, channels: usize) -> usize {
        let dense = channels * (4 * channels + 2 * self.feed_forward);
        time * (dense + 2 * time * channels)
    }
}
