//! The layers a recipe can name.

use serde::{Deserialize, Serialize};

use super::extent::{Extent, Padding};
use super::sequence::{EncoderSpec, RecurrentSpec};

/// One `[[layers]]` table. A sequence `[time, channels]` is a map of height 1: the `1d` kinds work along its width.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Convolution along time.
    #[serde(rename = "conv1d")]
    Conv1d {
        /// Output channels.
        filters: usize,
        /// Samples under the kernel.
        kernel: usize,
        /// Samples between outputs.
        #[serde(default = "one")]
        stride: usize,
        /// What happens at the ends.
        #[serde(default)]
        padding: Padding,
        /// Whether a bias is added; batch normalization makes it superfluous.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Convolution over height and width.
    #[serde(rename = "conv2d")]
    Conv2d {
        /// Output channels.
        filters: usize,
        /// `[height, width]` of the kernel, or one number for both.
        kernel: Extent,
        /// `[height, width]` between outputs.
        #[serde(default)]
        stride: Extent,
        /// What happens at the borders.
        #[serde(default)]
        padding: Padding,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// A kernel along time for each channel alone.
    #[serde(rename = "depthwise_conv1d")]
    DepthwiseConv1d {
        /// Samples under the kernel.
        kernel: usize,
        /// Samples between outputs.
        #[serde(default = "one")]
        stride: usize,
        /// Outputs of each channel.
        #[serde(default = "one")]
        multiplier: usize,
        /// What happens at the ends.
        #[serde(default)]
        padding: Padding,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// A kernel over height and width for each channel alone.
    #[serde(rename = "depthwise_conv2d")]
    DepthwiseConv2d {
        /// `[height, width]` of the kernel.
        kernel: Extent,
        /// `[height, width]` between outputs.
        #[serde(default)]
        stride: Extent,
        /// Outputs of each channel.
        #[serde(default = "one")]
        multiplier: usize,
        /// What happens at the borders.
        #[serde(default)]
        padding: Padding,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// A depthwise convolution along time, then a pointwise one.
    #[serde(rename = "separable_conv1d")]
    SeparableConv1d {
        /// Output channels of the pointwise convolution.
        filters: usize,
        /// Samples under the depthwise kernel.
        kernel: usize,
        /// Samples between outputs of the depthwise convolution.
        #[serde(default = "one")]
        stride: usize,
        /// What happens at the ends.
        #[serde(default)]
        padding: Padding,
        /// Whether the pointwise convolution adds a bias.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// A depthwise convolution over height and width, then a pointwise one.
    #[serde(rename = "separable_conv2d")]
    SeparableConv2d {
        /// Output channels of the pointwise convolution.
        filters: usize,
        /// `[height, width]` of the depthwise kernel.
        kernel: Extent,
        /// `[height, width]` between outputs of the depthwise convolution.
        #[serde(default)]
        stride: Extent,
        /// What happens at the borders.
        #[serde(default)]
        padding: Padding,
        /// Whether the pointwise convolution adds a bias.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Batch normalization of each channel (Ioffe and Szegedy 2015); folded into the convolution before it at export.
    BatchNorm {
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// Share of the running statistics that each batch replaces.
        #[serde(default = "batch_norm_momentum")]
        momentum: f64,
    },
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// x times the probability that a standard normal variable is below x (Hendrycks and Gimpel 2016).
    Gelu,
    /// Largest value under the window.
    MaxPool {
        /// `[height, width]` of the window; one number is a width along time when the height is 1.
        size: Extent,
        /// Between windows; as large as the window when left out.
        stride: Option<Extent>,
        /// What happens at the borders.
        #[serde(default = "valid")]
        padding: Padding,
    },
    /// Mean under the window, padding not counted.
    AveragePool {
        /// `[height, width]` of the window; one number is a width along time when the height is 1.
        size: Extent,
        /// Between windows; as large as the window when left out.
        stride: Option<Extent>,
        /// What happens at the borders.
        #[serde(default = "valid")]
        padding: Padding,
    },
    /// Mean of each channel: a map becomes a vector.
    GlobalAveragePool,
    /// A map becomes a vector, in the order height, width, channel.
    Flatten,
    /// The last step of a sequence: it becomes a vector.
    LastStep,
    /// A simple recurrent layer (Elman 1990).
    Rnn(RecurrentSpec),
    /// Gated recurrent units (Cho et al. 2014).
    Gru(RecurrentSpec),
    /// Long short-term memory (Hochreiter and Schmidhuber 1997).
    Lstm(RecurrentSpec),
    /// Layers of self-attention and feed-forward networks over a sequence (Vaswani et al. 2017).
    TransformerEncoder(EncoderSpec),
    /// Adds to each step of a sequence what tells it from the others.
    PositionalEncoding {
        /// Where the values come from.
        #[serde(default)]
        values: PositionValues,
    },
    /// Normalization of each step, or of a vector, over its channels (Ba et al. 2016).
    LayerNorm {
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
    /// Fully connected; of a sequence, each step alone.
    Dense {
        /// Outputs. Left out in the last layer: one a class, or one an input value when the loss is `mse`.
        units: Option<usize>,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Zeroes values at random in training, scales the rest by 1 / (1 - rate).
    Dropout {
        /// Share of the values that is zeroed.
        rate: f64,
    },
    /// Appends the side input's values to a vector.
    Concatenate,
}

/// The values of a positional encoding.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PositionValues {
    /// Sines and cosines of the position, with wavelengths from 2 pi to 10 000 times that.
    #[default]
    Sinusoidal,
    /// Trained.
    Learned,
}

impl LayerSpec {
    /// The kind as a recipe writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv1d { .. } => "conv1d",
            Self::Conv2d { .. } => "conv2d",
            Self::DepthwiseConv1d { .. } => "depthwise_conv1d",
            Self::DepthwiseConv2d { .. } => "depthwise_conv2d",
            Self::SeparableConv1d { .. } => "separable_conv1d",
            Self::SeparableConv2d { .. } => "separable_conv2d",
            Self::BatchNorm { .. } => "batch_norm",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Gelu => "gelu",
            Self::LastStep => "last_step",
            Self::Rnn(_) => "rnn",
            Self::Gru(_) => "gru",
            Self::Lstm(_) => "lstm",
            Self::TransformerEncoder(_) => "transformer_encoder",
            Self::PositionalEncoding { .. } => "positional_encoding",
            Self::LayerNorm { .. } => "layer_norm",
            Self::MaxPool { .. } => "max_pool",
            Self::AveragePool { .. } => "average_pool",
            Self::GlobalAveragePool => "global_average_pool",
            Self::Flatten => "flatten",
            Self::Dense { .. } => "dense",
            Self::Dropout { .. } => "dropout",
            Self::Concatenate => "concatenate",
        }
    }

    /// Whether it is a function of each value alone, without parameters.
    pub fn is_activation(&self) -> bool {
        matches!(self, Self::Relu | Self::Relu6 | Self::Tanh | Self::Sigmoid | Self::Gelu)
    }

    /// What is wrong with the layer whatever comes in.
    pub(super) fn check(&self) -> Result<(), String> {
        match *self {
            Self::Conv1d { filters, kernel, stride, .. } | Self::SeparableConv1d { filters, kernel, stride, .. } => {
                above_zero("filters", filters == 0)?;
                above_zero("kernel", kernel == 0)?;
                above_zero("stride", stride == 0)
            }
            Self::Conv2d { filters, kernel, stride, .. } | Self::SeparableConv2d { filters, kernel, stride, .. } => {
                above_zero("filters", filters == 0)?;
                above_zero("kernel", kernel.has_zero())?;
                above_zero("stride", stride.has_zero())
            }
            Self::DepthwiseConv1d { kernel, stride, multiplier, .. } => {
                above_zero("kernel", kernel == 0)?;
                above_zero("stride", stride == 0)?;
                above_zero("multiplier", multiplier == 0)
            }
            Self::DepthwiseConv2d { kernel, stride, multiplier, .. } => {
                above_zero("kernel", kernel.has_zero())?;
                above_zero("stride", stride.has_zero())?;
                above_zero("multiplier", multiplier == 0)
            }
            Self::MaxPool { size, stride, .. } | Self::AveragePool { size, stride, .. } => {
                above_zero("size", size.has_zero())?;
                above_zero("stride", stride.is_some_and(Extent::has_zero))
            }
            Self::Dense { units, .. } => above_zero("units", units == Some(0)),
            Self::Rnn(ref spec) => spec.check(true, false),
            Self::Gru(ref spec) => spec.check(false, true),
            Self::Lstm(ref spec) => spec.check(false, false),
            Self::TransformerEncoder(ref spec) => spec.check(),
            Self::LayerNorm { epsilon } => positive("epsilon", epsilon),
            Self::BatchNorm { epsilon, momentum } => {
                positive("epsilon", epsilon)?;
                match momentum > 0.0 && momentum <= 1.0 {
                    true => Ok(()),
                    false => Err(format!("momentum must be above 0 and at most 1, is {momentum}")),
                }
            }
            Self::Dropout { rate } => share("rate", rate),
            _ => Ok(()),
        }
    }
}

pub(super) fn above_zero(name: &str, is_zero: bool) -> Result<(), String> {
    if is_zero { Err(format!("{name} must be at least 1")) } else { Ok(()) }
}

pub(super) fn positive(name: &str, value: f64) -> Result<(), String> {
    let fits = value.is_finite() && value > 0.0;
    if fits { Ok(()) } else { Err(format!("{name} must be above zero, is {value}")) }
}

pub(super) fn share(name: &str, value: f64) -> Result<(), String> {
    let fits = (0.0..1.0).contains(&value);
    if fits { Ok(()) } else { Err(format!("{name} must be at least 0 and below 1, is {value}")) }
}

pub(super) fn one() -> usize {
    1
}

pub(super) fn yes() -> bool {
    true
}

fn valid() -> Padding {
    Padding::Valid
}

pub(super) fn epsilon() -> f64 {
    1e-5
}

fn batch_norm_momentum() -> f64 {
    0.1
}
