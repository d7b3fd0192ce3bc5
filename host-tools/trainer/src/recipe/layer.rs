//! The layers a recipe can name.

use serde::{Deserialize, Serialize};

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
        #[serde(default = "batch_norm_epsilon")]
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
    /// Fully connected.
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

/// `[height, width]`, or one number.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Extent {
    /// The same along both.
    Both(usize),
    /// Height, then width.
    Each([usize; 2]),
}

/// What a convolution or pool does at the borders.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The output is the input's size divided by the stride, rounded up; the odd sample of padding goes to the end.
    #[default]
    Same,
    /// Only where the kernel lies wholly inside.
    Valid,
    /// So many elements on both sides, as PyTorch has it: `[height, width]`, or one number for both.
    #[serde(untagged)]
    Each(Extent),
}

impl Default for Extent {
    fn default() -> Self {
        Self::Both(1)
    }
}

impl Extent {
    /// `[height, width]` over a map of the given height: along a sequence one number means its width.
    pub fn over(self, height: usize) -> [usize; 2] {
        match self {
            Self::Both(size) if height == 1 => [1, size],
            Self::Both(size) => [size, size],
            Self::Each(sizes) => sizes,
        }
    }

    fn has_zero(self) -> bool {
        self.over(2).contains(&0)
    }
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
        matches!(self, Self::Relu | Self::Relu6 | Self::Tanh | Self::Sigmoid)
    }

    /// What is wrong with the layer whatever comes in.
    pub(super) fn check(&self) -> Result<(), String> {
        let above_zero = |name: &str, is_zero: bool| match is_zero {
            true => Err(format!("{name} must be at least 1")),
            false => Ok(()),
        };
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
            Self::BatchNorm { epsilon, momentum } => {
                if !(epsilon.is_finite() && epsilon > 0.0) {
                    return Err(format!("epsilon must be above zero, is {epsilon}"));
                }
                match momentum > 0.0 && momentum <= 1.0 {
                    true => Ok(()),
                    false => Err(format!("momentum must be above 0 and at most 1, is {momentum}")),
                }
            }
            Self::Dropout { rate } => match (0.0..1.0).contains(&rate) {
                true => Ok(()),
                false => Err(format!("rate must be at least 0 and below 1, is {rate}")),
            },
            _ => Ok(()),
        }
    }
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn valid() -> Padding {
    Padding::Valid
}

fn batch_norm_epsilon() -> f64 {
    1e-5
}

fn batch_norm_momentum() -> f64 {
    0.1
}
