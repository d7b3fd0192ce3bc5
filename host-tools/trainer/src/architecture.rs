//! A recipe's layers with every shape worked out: what the trained network, the exported graph and the report share.

mod plan;
mod sequence;

use std::fmt;

use anyhow::Result;

use crate::dataset::Facts;
use crate::recipe::{Extent, Padding, PositionValues, Recipe, Task};
use plan::Plan;
pub(crate) use sequence::Part;
pub use sequence::{Encoder, Recurrent};

/// The shape of one example between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Height, width, channels. A sequence has height 1.
    Map([usize; 3]),
    /// So many values.
    Vector(usize),
}

/// What a layer computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Each filter sees all channels.
    Convolution {
        /// Output channels.
        filters: usize,
        /// Where it slides.
        window: Window,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Each filter sees one channel; output channel `channel * multiplier + j`.
    Depthwise {
        /// Outputs of each channel.
        multiplier: usize,
        /// Where it slides.
        window: Window,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Per channel.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
        /// Share of the running statistics that each batch replaces.
        momentum: f64,
    },
    /// A function of each value.
    Activation(Activation),
    /// Largest value under the window.
    MaxPool(Window),
    /// Mean under the window, padding not counted.
    AveragePool(Window),
    /// Mean of each channel.
    GlobalAveragePool,
    /// Map to vector in the order height, width, channel.
    Flatten,
    /// The last step of a sequence.
    LastStep,
    /// Recurrent layers over a sequence.
    Recurrent(Recurrent),
    /// A Transformer's encoder layer over a sequence.
    Encoder(Encoder),
    /// A constant added to each step of a sequence.
    PositionalEncoding(PositionValues),
    /// Over the channels of each step, or of a vector.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Fully connected; of a sequence, each step alone.
    Dense {
        /// Outputs.
        units: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Zeroes values in training.
    Dropout {
        /// Share that is zeroed.
        rate: f64,
    },
    /// Appends the side branch's output.
    Concatenate,
}

/// Functions of each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// x times the probability that a standard normal variable is below x.
    Gelu,
}

/// A sliding window; rows first, then columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Extent.
    pub kernel: [usize; 2],
    /// Step.
    pub stride: [usize; 2],
    /// Elements added before and after rows, before and after columns.
    pub padding: [(usize, usize); 2],
}

/// One layer with its shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Unique among the layers: place and kind in the recipe.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// What comes in.
    pub input: Shape,
    /// What goes out.
    pub output: Shape,
}

/// A network on paper.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The example's height, width and channels.
    pub input: [usize; 3],
    /// From the input to the output (logits, or the reconstruction).
    pub layers: Vec<Layer>,
    /// Values of the side input and the layers it passes; absent without one.
    pub side: Option<(usize, Vec<Layer>)>,
    /// Whether it is told how many steps of an example count.
    pub lengths: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map([1, time, channels]) => write!(formatter, "{time} × {channels}"),
            Self::Map([height, width, channels]) => write!(formatter, "{height} × {width} × {channels}"),
            Self::Vector(length) => write!(formatter, "{length}"),
        }
    }
}

impl Shape {
    /// The number of values.
    pub fn len(self) -> usize {
        match self {
            Self::Map(sizes) => sizes.iter().product(),
            Self::Vector(length) => length,
        }
    }

    /// Whether it has no value.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Steps of a sequence, pixels of a map; a vector has one.
    pub fn steps(self) -> usize {
        match self {
            Self::Map([height, width, _]) => height * width,
            Self::Vector(_) => 1,
        }
    }

    /// Extent of the innermost axis.
    pub fn channels(self) -> usize {
        match self {
            Self::Map([_, _, channels]) => channels,
            Self::Vector(length) => length,
        }
    }
}

impl Window {
    fn new(input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], padding: Padding) -> Self {
        let pad = |axis: usize| match padding {
            Padding::Valid => (0, 0),
            Padding::Each(Extent::Both(size)) => (size, size),
            Padding::Each(Extent::Each(sizes)) => (sizes[axis], sizes[axis]),
            Padding::Same => {
                let reach = (input[axis].div_ceil(stride[axis]) - 1) * stride[axis] + kernel[axis];
                let total = reach.saturating_sub(input[axis]);
                (total / 2, total - total / 2)
            }
        };
        // A sequence has no height to pad.
        let rows = if input[0] == 1 && kernel[0] == 1 { (0, 0) } else { pad(0) };
        Self { kernel, stride, padding: [rows, pad(1)] }
    }

    /// Rows and columns that come out, or `None` where the kernel does not fit.
    pub fn output(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let axis = |axis: usize| {
            let (before, after) = self.padding[axis];
            Some((input[axis] + before + after).checked_sub(self.kernel[axis])? / self.stride[axis] + 1)
        };
        Some([axis(0)?, axis(1)?])
    }
}

impl Operation {
    /// The number of trained parameters for an input shape.
    pub fn parameters(&self, input: Shape) -> usize {
        match *self {
            Self::Convolution { filters, window, bias } => {
                filters * (window.kernel.iter().product::<usize>() * input.channels() + usize::from(bias))
            }
            Self::Depthwise { multiplier, window, bias } => {
                input.channels() * multiplier * (window.kernel.iter().product::<usize>() + usize::from(bias))
            }
            Self::BatchNorm { .. } | Self::LayerNorm { .. } => 2 * input.channels(),
            Self::Dense { units, bias } => units * (input.channels() + usize::from(bias)),
            Self::PositionalEncoding(PositionValues::Learned) => input.len(),
            Self::Recurrent(layer) => elements(&layer.parts(input.channels())),
            Self::Encoder(layer) => elements(&layer.parts(input.channels())),
            _ => 0,
        }
    }

    /// Multiplications with a weight for one example.
    pub fn multiply_accumulates(&self, input: Shape, output: Shape) -> usize {
        match *self {
            Self::Convolution { window, .. } => {
                output.len() * window.kernel.iter().product::<usize>() * input.channels()
            }
            Self::Depthwise { window, .. } => output.len() * window.kernel.iter().product::<usize>(),
            Self::Dense { units, .. } => units * input.len(),
            Self::Recurrent(layer) => input.steps() * layer.multiply_accumulates(input.channels()),
            Self::Encoder(layer) => layer.multiply_accumulates(input.steps(), input.channels()),
            _ => 0,
        }
    }
}

fn elements(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.shape.iter().product::<usize>()).sum()
}

impl Architecture {
    /// Works out the shapes of a recipe's network on a dataset.
    ///
    /// # Errors
    /// Which layer, what came in, what it needs; or what the last layer must give.
    pub fn plan(recipe: &Recipe, dataset: &Facts) -> Result<Self> {
        let source = &recipe.source;
        let task = recipe.task();
        let outputs = match task {
            Task::Classification => dataset.classes.len(),
            Task::Reconstruction => dataset.example_len(),
            Task::Regression => dataset.targets.len(),
        };
        let side = match (&recipe.input.side, &dataset.side) {
            (Some(spec), &Some((_, width))) => {
                let mut branch = Plan::new("side", Shape::Vector(width), outputs, None);
                for (index, layer) in spec.layers.iter().enumerate() {
                    branch.add(index, layer, false).map_err(|message| {
                        source
                            .error(&["input", "side", "layers"], format!("layer {index} ({}): {message}", layer.kind()))
                    })?;
                }
                Some((width, branch))
            }
            _ => None,
        };
        let side_values = side.as_ref().map(|(_, branch)| branch.shape.len());
        let mut plan = Plan::new("layer", Shape::Map(dataset.shape), outputs, side_values);
        plan.lengths = dataset.lengths;
        for (index, layer) in recipe.layers.iter().enumerate() {
            let last = index + 1 == recipe.layers.len();
            plan.add(index, layer, last).map_err(|message| source.layer_error(index, layer.kind(), &message))?;
        }
        if plan.side_values.is_some() {
            return Err(source.error(&["input", "side"], "no layer of kind concatenate takes the side input".into()));
        }
        if plan.shape != Shape::Vector(outputs) {
            let wanted = match task {
                Task::Classification => format!("one value for each of the {outputs} classes"),
                Task::Reconstruction => format!("the {outputs} values of the input again"),
                Task::Regression => format!("one value for each of {}", dataset.targets.join(", ")),
            };
            let hint = match plan.shape {
                Shape::Map(_) => ": put last_step, global_average_pool or flatten before the last dense layer",
                Shape::Vector(_) => "",
            };
            let message = format!("the last layer gives {}, but must give {wanted}{hint}", plan.shape);
            return Err(source.error(&["layers"], message));
        }
        // Its weights take on the scale of what is predicted.
        let dense = Some(Operation::Dense { units: outputs, bias: true });
        if task == Task::Regression && plan.layers.last().map(|layer| layer.operation) != dense {
            return Err(source.error(&["layers"], "a regression ends in a dense layer with a bias".into()));
        }
        if !plan.layers.iter().any(|layer| matches!(layer.operation, Operation::Dense { .. })) {
            return Err(source.error(&["layers"], "there is no dense layer".into()));
        }
        Ok(Self {
            input: dataset.shape,
            layers: plan.layers,
            side: side.map(|(width, branch)| (width, branch.layers)),
            lengths: dataset.lengths,
        })
    }

    /// The layers of the side branch; none without one.
    pub fn side_layers(&self) -> &[Layer] {
        self.side.as_ref().map_or(&[], |(_, layers)| layers)
    }

    /// Trained parameters.
    pub fn parameters(&self) -> usize {
        self.layers.iter().chain(self.side_layers()).map(|layer| layer.operation.parameters(layer.input)).sum()
    }

    /// Multiplications with a weight for one example.
    pub fn multiply_accumulates(&self) -> usize {
        let count = |layer: &Layer| layer.operation.multiply_accumulates(layer.input, layer.output);
        self.layers.iter().chain(self.side_layers()).map(count).sum()
    }

    /// What the last dense layer, the head that a device trains, takes.
    pub fn head_features(&self) -> usize {
        self.head().map_or(0, |layer| layer.input.channels())
    }

    /// The last dense layer.
    pub fn head(&self) -> Option<&Layer> {
        self.layers.iter().rev().find(|layer| matches!(layer.operation, Operation::Dense { .. }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEAD: &str = "[dataset]\nkind = \"gestures\"\ntrain_users = 1\nval_users = 1\ntest_users = 1\nrepetitions = 2\nadapt_repetitions = 1\n";

    fn plan(layers: &str) -> Result<Architecture> {
        let recipe = Recipe::parse(Path::new("demo.toml"), &format!("{HEAD}{layers}"))?;
        Architecture::plan(&recipe, &crate::dataset::Dataset::load(&recipe, None)?.facts())
    }

    fn layer(kind: &str, rest: &str) -> String {
        format!("[[layers]]\nkind = \"{kind}\"\n{rest}\n")
    }

    #[test]
    fn shapes_follow_the_layers() {
        let layers = layer("conv1d", "filters = 12\nkernel = 5\nstride = 2")
            + &layer("separable_conv1d", "filters = 16\nkernel = 3\npadding = \"valid\"")
            + &layer("max_pool", "size = 2")
            + &layer("global_average_pool", "")
            + &layer("dense", "");
        let architecture = plan(&layers).unwrap();
        let shapes: Vec<String> = architecture.layers.iter().map(|layer| layer.output.to_string()).collect();
        assert_eq!(shapes, ["40 × 12", "38 × 12", "38 × 16", "19 × 16", "16", "8"]);
        let parameters = 12 * (5 * 6 + 1) + 12 * 3 + 16 * (12 + 1) + 8 * (16 + 1);
        assert_eq!(architecture.parameters(), parameters);
        assert_eq!(architecture.head_features(), 16);
    }

    #[test]
    fn layers_that_would_take_padding_for_steps_are_refused() {
        for (layers, refused) in [
            (layer("conv1d", "filters = 2\nkernel = 3"), true),
            (layer("batch_norm", ""), true),
            (layer("max_pool", "size = 2"), true),
            (layer("flatten", ""), true),
            (layer("gru", "units = 3") + &layer("last_step", "") + &layer("batch_norm", ""), false),
        ] {
            let recipe =
                Recipe::parse(Path::new("demo.toml"), &format!("{HEAD}{layers}{}", layer("dense", ""))).unwrap();
            let mut facts = crate::dataset::Dataset::load(&recipe, None).unwrap().facts();
            facts.lengths = true;
            let error = Architecture::plan(&recipe, &facts).err().map(|error| format!("{error:#}"));
            let named = error.as_ref().is_some_and(|error| error.contains("layer 0") && error.contains("behind"));
            assert_eq!(named, refused, "{layers}: {error:?}");
            assert_eq!(error.is_some(), refused, "{layers}: {error:?}");
        }
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named_with_what_came_in() {
        for (layers, wanted) in [
            (layer("dense", ""), "gives 80 × 8, but must give one value for each of the 8 classes: put last_step"),
            (
                layer("flatten", "") + &layer("gru", "units = 2"),
                "demo.toml:11: layer 1 (gru): needs a sequence [time, channels], but 480 values come in",
            ),
            (layer("transformer_encoder", "heads = 4\nfeed_forward = 8"), "4 heads don't divide 6 channels"),
            (layer("flatten", "") + &layer("conv1d", "filters = 2\nkernel = 3"), "layer 1 (conv1d): needs a sequence"),
            (layer("conv1d", "filters = 2\nkernel = 81\npadding = \"valid\""), "does not fit into 1 × 80"),
            (layer("flatten", "") + &layer("dense", "units = 3"), "must give one value for each of the 8 classes"),
            (layer("flatten", "") + &layer("concatenate", ""), "no side input"),
        ] {
            let error = format!("{:#}", plan(&layers).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
