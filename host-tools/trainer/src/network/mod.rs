//! The network in training: an [`Architecture`] filled with burn tensors.
//!
//! burn computes in the order batch, channel, height, width. Vectors keep the device's order (height, width, channel),
//! so a dense layer behind a flatten has the same weights here and there.

mod encoder;
mod layer;
mod lengths;
mod recurrent;
mod rounding;
mod weights;

pub(crate) use encoder::sinusoidal;
pub(crate) use lengths::Lengths;
pub(crate) use weights::Start;
pub use weights::{Weight, Weights};

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::architecture::Architecture;
use crate::random::Generator;
use crate::recipe::Initializer;
use layer::Layer;
use weights::Slot;

/// What a network takes: some examples, normalized.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// `[batch, channel, height, width]`.
    pub(crate) input: Tensor<4>,
    /// `[batch, value]`.
    pub(crate) side: Option<Tensor<2>>,
    /// Where sequences have different lengths.
    pub(crate) lengths: Option<Lengths>,
}

impl From<Tensor<4>> for Batch {
    fn from(input: Tensor<4>) -> Self {
        Self { input, side: None, lengths: None }
    }
}

/// What layers take besides the signal.
pub(crate) struct Surroundings<'a, 'r> {
    /// Taken by the layer that concatenates it.
    side: Option<Tensor<2>>,
    lengths: Option<Lengths>,
    mode: &'a mut Mode<'r>,
}

/// What passes between two layers.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// Batch, channel, height, width.
    Map(Tensor<4>),
    /// Batch, value.
    Vector(Tensor<2>),
}

/// Whether dropout drops and batch normalization measures.
#[derive(Debug)]
pub(crate) enum Mode<'a> {
    /// Training: dropout draws from the generator.
    Train(&'a mut Generator),
    /// Evaluation.
    Evaluate,
}

/// A network with its weights.
#[derive(Module, Debug)]
pub(crate) struct Network {
    layers: Vec<Layer>,
    side: Vec<Layer>,
    /// Whether everything in front of the head stays as it is.
    frozen: bool,
    /// Whether maps are rounded to 8 bits; normalizations keep their statistics then.
    rounded: bool,
}

impl Network {
    /// A network with random weights.
    ///
    /// # Errors
    /// None that a planned architecture could cause.
    pub(crate) fn random(
        architecture: &Architecture,
        initializer: Initializer,
        random: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        Self::build(architecture, device, &mut |slot| Ok(slot.random(initializer, random)))
    }

    /// A network with given weights.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub(crate) fn with_weights(architecture: &Architecture, weights: &Weights, device: &Device) -> Result<Self> {
        Self::build(architecture, device, &mut |slot| slot.find(weights))
    }

    fn build(
        architecture: &Architecture,
        device: &Device,
        fill: &mut dyn FnMut(&Slot) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut branch = |layers: &[crate::architecture::Layer]| {
            layers.iter().map(|layer| Layer::build(layer, device, fill)).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            layers: branch(&architecture.layers)?,
            side: branch(architecture.side_layers())?,
            frozen: false,
            rounded: false,
        })
    }

    /// The network with everything in front of its head frozen: neither gradients nor batches change it any more.
    pub(crate) fn freeze_below_head(mut self) -> Self {
        let head = self.head();
        let below = |(index, layer): (usize, Layer)| if index < head { layer.no_grad() } else { layer };
        self.layers = self.layers.into_iter().enumerate().map(below).collect();
        self.side = self.side.into_iter().map(Layer::no_grad).collect();
        self.frozen = true;
        self
    }

    /// The network as 8 bits will see it, with the parameters' identities: what it learns can be taught to the other.
    pub(crate) fn rounded(mut self) -> Self {
        let wide = self.layers.iter().any(Layer::computes_in_16_bits);
        self.layers = self.layers.iter().map(Layer::rounded).collect();
        self.side = self.side.iter().map(Layer::rounded).collect();
        self.rounded = !wide;
        self
    }

    /// The place of the last dense layer.
    fn head(&self) -> usize {
        self.layers.iter().rposition(|layer| matches!(layer, Layer::Dense(_))).unwrap_or(self.layers.len())
    }

    /// All weights and running statistics by name.
    pub(crate) fn weights(&self, architecture: &Architecture) -> Weights {
        let mut weights = Weights::default();
        let main = self.layers.iter().zip(&architecture.layers);
        for (layer, plan) in main.chain(self.side.iter().zip(architecture.side_layers())) {
            layer.collect(&plan.name, &mut weights);
        }
        weights
    }

    /// The output for a batch: logits `[batch, classes]`, or the reconstruction `[batch, values]`.
    pub(crate) fn forward(&self, batch: Batch, mode: &mut Mode<'_>) -> Tensor<2> {
        self.run(batch, mode, self.layers.len())
    }

    /// What the last dense layer, the head, takes: `[batch, features]`, in evaluation.
    pub(crate) fn features(&self, batch: Batch) -> Tensor<2> {
        self.run(batch, &mut Mode::Evaluate, self.head())
    }

    /// Only the first `count` layers.
    fn run(&self, batch: Batch, mode: &mut Mode<'_>, count: usize) -> Tensor<2> {
        let mut around = Surroundings { side: None, lengths: batch.lengths, mode };
        around.side = batch.side.map(|side| {
            let mut signal = Signal::Vector(side);
            for (index, layer) in self.side.iter().enumerate() {
                signal = layer.forward(signal, &mut around, self.frozen || self.rounded);
                signal = self.seen(signal, self.side.get(index + 1));
            }
            signal.into_vector()
        });
        let mut signal = self.seen(Signal::Map(batch.input), None);
        let head = self.head();
        for (index, layer) in self.layers.iter().enumerate().take(count) {
            signal = layer.forward(signal, &mut around, self.frozen && index < head || self.rounded);
            signal = self.seen(signal, self.layers.get(index + 1));
        }
        signal.into_vector()
    }

    /// What the next layer reads. What is folded into this one is rounded with it, after the next.
    fn seen(&self, signal: Signal, next: Option<&Layer>) -> Signal {
        match signal {
            _ if !self.rounded || next.is_some_and(Layer::is_folded) => signal,
            Signal::Map(map) => Signal::Map(rounding::map(map)),
            Signal::Vector(vector) => Signal::Vector(rounding::map(vector)),
        }
    }
}

impl Signal {
    /// Flattens in the order height, width, channel.
    pub(crate) fn into_vector(self) -> Tensor<2> {
        match self {
            Self::Vector(vector) => vector,
            Self::Map(map) => {
                let [batch, channels, height, width] = map.dims();
                map.permute([0, 2, 3, 1]).reshape([batch, height * width * channels])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::TensorData;

    use super::*;
    use crate::dataset::Dataset;
    use crate::random::{Purpose, stream};
    use crate::recipe::Recipe;

    const RECIPE: &str = r#"
dataset = { kind = "gestures", train_users = 1, val_users = 1, test_users = 1, repetitions = 2, adapt_repetitions = 1 }
layers = [
    { kind = "conv1d", filters = 4, kernel = 4, stride = 3 },
    { kind = "batch_norm" },
    { kind = "relu" },
    { kind = "depthwise_conv1d", kernel = 3, multiplier = 2, padding = "valid" },
    { kind = "max_pool", size = 2 },
    { kind = "separable_conv1d", filters = 5, kernel = 3 },
    { kind = "tanh" },
    { kind = "average_pool", size = 3, stride = 2, padding = "same" },
    { kind = "flatten" },
    { kind = "dropout", rate = 0.5 },
    { kind = "dense" },
]
"#;

    fn architecture() -> Architecture {
        let recipe = Recipe::parse(Path::new("demo.toml"), RECIPE).unwrap();
        Architecture::plan(&recipe, &Dataset::load(&recipe, None).unwrap().facts()).unwrap()
    }

    fn input(batch: usize, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..batch * 480).map(|index| ((index * 37 % 101) as f32 - 50.0) / 25.0).collect();
        Tensor::from_data(TensorData::new(values, [batch, 6, 1, 80]), device)
    }

    #[test]
    fn the_output_has_the_planned_shape_and_number_of_parameters() {
        let architecture = architecture();
        let device = Device::default();
        let network =
            Network::random(&architecture, Initializer::He, &mut stream(1, Purpose::Weights), &device).unwrap();
        let output = network.forward(input(3, &device).into(), &mut Mode::Evaluate);
        assert_eq!(output.dims(), [3, 8]);
        let weights = network.weights(&architecture);
        let trained = weights.iter().filter(|(name, _)| !name.contains("running"));
        assert_eq!(trained.map(|(_, weight)| weight.values.len()).sum::<usize>(), architecture.parameters());
    }

    #[test]
    fn the_same_weights_give_the_same_output() {
        let architecture = architecture();
        let device = Device::default();
        let first =
            Network::random(&architecture, Initializer::Xavier, &mut stream(1, Purpose::Weights), &device).unwrap();
        let second = Network::with_weights(&architecture, &first.weights(&architecture), &device).unwrap();
        let run = |network: &Network| {
            network.forward(input(2, &device).into(), &mut Mode::Evaluate).into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(run(&first), run(&second));
    }

    #[test]
    fn dropout_follows_its_generator_and_only_in_training() {
        let architecture = architecture();
        let device = Device::default().autodiff();
        let network =
            Network::random(&architecture, Initializer::He, &mut stream(1, Purpose::Weights), &device).unwrap();
        let run = |seed: u64| {
            let mut random = stream(seed, Purpose::Dropout);
            let output = network.forward(input(4, &device).into(), &mut Mode::Train(&mut random));
            output.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
