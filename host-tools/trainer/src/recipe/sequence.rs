//! The layers of sequence models.

use serde::{Deserialize, Serialize};

use super::layer::{above_zero, epsilon, one, positive, share, yes};

/// What `rnn`, `gru` and `lstm` have in common.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RecurrentSpec {
    /// Values of the hidden state.
    pub units: usize,
    /// Layers, each reading the hidden states of the one before.
    #[serde(default = "one")]
    pub layers: usize,
    /// Whether as many units read the sequence from its end; their states follow the others'.
    #[serde(default)]
    pub bidirectional: bool,
    /// Whether biases are added, one with the input and one with the state.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Share of the values that is zeroed between layers in training.
    #[serde(default)]
    pub dropout: f64,
    /// What comes out.
    #[serde(default)]
    pub output: RecurrentOutput,
    /// Gradients go back through at most so many steps; through all when left out.
    #[serde(default)]
    pub truncate: Option<usize>,
    /// Of an `rnn` only; tanh when left out.
    #[serde(default)]
    pub activation: Option<RnnActivation>,
    /// Of a `gru` only: whether the reset gate acts on the product with the state, as in PyTorch; so when left out.
    #[serde(default)]
    pub reset_after: Option<bool>,
}

/// What a recurrent layer gives.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RecurrentOutput {
    /// The hidden states of all steps.
    #[default]
    Sequence,
    /// The hidden state that remains at the end; with two directions, that of each.
    Last,
}

/// The function of a simple recurrent layer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RnnActivation {
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0).
    Relu,
}

/// `transformer_encoder`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EncoderSpec {
    /// Heads of the attention; they divide the channels among them.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub feed_forward: usize,
    /// Layers, one after the other.
    #[serde(default = "one")]
    pub layers: usize,
    /// Function of the feed-forward network.
    #[serde(default)]
    pub activation: EncoderActivation,
    /// Whether what is added is normalized before it is computed, and not the sum after it.
    #[serde(default)]
    pub norm_first: bool,
    /// Share of the values that is zeroed in training.
    #[serde(default)]
    pub dropout: f64,
    /// Added to the variance.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
}

/// The function of a feed-forward network.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum EncoderActivation {
    /// See `gelu`.
    #[default]
    Gelu,
    /// max(x, 0).
    Relu,
}

impl RecurrentSpec {
    pub(super) fn check(&self, is_rnn: bool, is_gru: bool) -> Result<(), String> {
        above_zero("units", self.units == 0)?;
        above_zero("layers", self.layers == 0)?;
        above_zero("truncate", self.truncate == Some(0))?;
        share("dropout", self.dropout)?;
        if self.activation.is_some() && !is_rnn {
            return Err("activation is a key of rnn only".into());
        }
        if self.reset_after.is_some() && !is_gru {
            return Err("reset_after is a key of gru only".into());
        }
        Ok(())
    }
}

impl EncoderSpec {
    pub(super) fn check(&self) -> Result<(), String> {
        above_zero("heads", self.heads == 0)?;
        above_zero("feed_forward", self.feed_forward == 0)?;
        above_zero("layers", self.layers == 0)?;
        share("dropout", self.dropout)?;
        positive("epsilon", self.epsilon)
    }
}
