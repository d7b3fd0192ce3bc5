//! From a recipe's layers to operations, shape by shape.

use nervelet_compiler::graph::{self, Cell};

use super::{Activation, Layer, Operation, Recurrent, Shape, Window};
use crate::recipe::{Extent, LayerSpec, Padding, RecurrentOutput};

/// A branch while it grows.
pub(super) struct Plan {
    prefix: &'static str,
    pub(super) shape: Shape,
    outputs: usize,
    pub(super) side_values: Option<usize>,
    /// Whether sequences have different lengths.
    pub(super) lengths: bool,
    pub(super) layers: Vec<Layer>,
}

impl Plan {
    pub(super) fn new(prefix: &'static str, shape: Shape, outputs: usize, side_values: Option<usize>) -> Self {
        Self { prefix, shape, outputs, side_values, lengths: false, layers: Vec::new() }
    }

    pub(super) fn add(&mut self, index: usize, spec: &LayerSpec, last: bool) -> Result<(), String> {
        let window = |input: Shape, kernel: Extent, stride: Extent, padding: Padding| match input {
            Shape::Map([height, width, _]) => {
                let window = Window::new([height, width], kernel.over(height), stride.over(height), padding);
                let wide = window.padding.iter().zip(window.kernel).any(|(padding, kernel)| padding.0 >= kernel);
                if wide { Err("its padding is not smaller than its kernel".into()) } else { Ok(window) }
            }
            Shape::Vector(length) => Err(format!("needs a map, but {length} values come in")),
        };
        let along_time = |size: usize| Extent::Each([1, size]);
        let input = self.shape;
        let name = format!("{}{index}.{}", self.prefix, spec.kind());
        match *spec {
            LayerSpec::Conv1d { filters, kernel, stride, padding, bias } => {
                self.sequence()?;
                let window = window(input, along_time(kernel), along_time(stride), padding)?;
                self.push(name, Operation::Convolution { filters, window, bias })
            }
            LayerSpec::Conv2d { filters, kernel, stride, padding, bias } => {
                let window = window(input, kernel, stride, padding)?;
                self.push(name, Operation::Convolution { filters, window, bias })
            }
            LayerSpec::DepthwiseConv1d { kernel, stride, multiplier, padding, bias } => {
                self.sequence()?;
                let window = window(input, along_time(kernel), along_time(stride), padding)?;
                self.push(name, Operation::Depthwise { multiplier, window, bias })
            }
            LayerSpec::DepthwiseConv2d { kernel, stride, multiplier, padding, bias } => {
                let window = window(input, kernel, stride, padding)?;
                self.push(name, Operation::Depthwise { multiplier, window, bias })
            }
            LayerSpec::SeparableConv1d { filters, kernel, stride, padding, bias } => {
                self.sequence()?;
                let window = window(input, along_time(kernel), along_time(stride), padding)?;
                self.separable(name, filters, window, bias)
            }
            LayerSpec::SeparableConv2d { filters, kernel, stride, padding, bias } => {
                let window = window(input, kernel, stride, padding)?;
                self.separable(name, filters, window, bias)
            }
            LayerSpec::BatchNorm { epsilon, momentum } => self.push(name, Operation::BatchNorm { epsilon, momentum }),
            LayerSpec::Relu => self.push(name, Operation::Activation(Activation::Relu)),
            LayerSpec::Relu6 => self.push(name, Operation::Activation(Activation::Relu6)),
            LayerSpec::Tanh => self.push(name, Operation::Activation(Activation::Tanh)),
            LayerSpec::Sigmoid => self.push(name, Operation::Activation(Activation::Sigmoid)),
            LayerSpec::Gelu => self.push(name, Operation::Activation(Activation::Gelu)),
            LayerSpec::LastStep => {
                self.sequence()?;
                self.push(name, Operation::LastStep)
            }
            LayerSpec::Rnn(ref spec) => {
                self.recurrent(name, Recurrent::new(Cell::Rnn { activation: graph::Activation::None }, spec))
            }
            LayerSpec::Gru(ref spec) => self.recurrent(name, Recurrent::new(Cell::Gru { reset_after: true }, spec)),
            LayerSpec::Lstm(ref spec) => self.recurrent(name, Recurrent::new(Cell::Lstm, spec)),
            LayerSpec::TransformerEncoder(ref spec) => {
                self.sequence()?;
                let channels = input.channels();
                if !channels.is_multiple_of(spec.heads) {
                    return Err(format!("{} heads don't divide {channels} channels", spec.heads));
                }
                for layer in 0..spec.layers {
                    self.push(format!("{name}.{layer}"), Operation::Encoder(spec.into()))?;
                }
                Ok(())
            }
            LayerSpec::PositionalEncoding { values } => {
                self.sequence()?;
                self.push(name, Operation::PositionalEncoding(values))
            }
            LayerSpec::LayerNorm { epsilon } => self.push(name, Operation::LayerNorm { epsilon }),
            LayerSpec::MaxPool { size, stride, padding } => {
                let window = window(input, size, stride.unwrap_or(size), padding)?;
                self.push(name, Operation::MaxPool(window))
            }
            LayerSpec::AveragePool { size, stride, padding } => {
                let window = window(input, size, stride.unwrap_or(size), padding)?;
                self.push(name, Operation::AveragePool(window))
            }
            LayerSpec::GlobalAveragePool => self.push(name, Operation::GlobalAveragePool),
            LayerSpec::Flatten => self.push(name, Operation::Flatten),
            LayerSpec::Dense { units, bias } => {
                let units = match units {
                    Some(units) => units,
                    None if last => self.outputs,
                    None => return Err("units can only be left out in the last layer".into()),
                };
                self.push(name, Operation::Dense { units, bias })
            }
            LayerSpec::Dropout { rate } => self.push(name, Operation::Dropout { rate }),
            LayerSpec::Concatenate => self.push(name, Operation::Concatenate),
        }
    }

    fn recurrent(&mut self, name: String, layer: Recurrent) -> Result<(), String> {
        self.sequence()?;
        self.push(name, Operation::Recurrent(layer))
    }

    /// What works along time needs a sequence.
    fn sequence(&self) -> Result<(), String> {
        match self.shape {
            Shape::Map([1, ..]) => Ok(()),
            Shape::Map(shape) => Err(format!("needs a sequence [time, channels], but a map {shape:?} comes in")),
            Shape::Vector(length) => Err(format!("needs a sequence [time, channels], but {length} values come in")),
        }
    }

    fn separable(&mut self, name: String, filters: usize, window: Window, bias: bool) -> Result<(), String> {
        self.push(format!("{name}.depthwise"), Operation::Depthwise { multiplier: 1, window, bias: false })?;
        let pointwise = Window { kernel: [1, 1], stride: [1, 1], padding: [(0, 0); 2] };
        self.push(format!("{name}.pointwise"), Operation::Convolution { filters, window: pointwise, bias })
    }

    fn push(&mut self, name: String, operation: Operation) -> Result<(), String> {
        let input = self.shape;
        if self.lengths && matches!(input, Shape::Map(_)) && mixes_padding(operation) {
            return Err("takes what is behind a sequence's end for a part of it: with lengths, sequences pass dense, \
                        layer_norm, recurrent and encoder layers and activations, up to global_average_pool or last_step"
                .into());
        }
        let output = match (operation, input) {
            (Operation::Convolution { filters, window, .. }, Shape::Map(map)) => slide(map, &window, filters)?,
            (Operation::Depthwise { multiplier, window, .. }, Shape::Map(map)) => {
                slide(map, &window, map[2] * multiplier)?
            }
            (Operation::MaxPool(window) | Operation::AveragePool(window), Shape::Map(map)) => {
                slide(map, &window, map[2])?
            }
            (Operation::GlobalAveragePool, Shape::Map([_, _, channels])) => Shape::Vector(channels),
            (Operation::Flatten, shape) => Shape::Vector(shape.len()),
            (Operation::Dense { units, .. }, Shape::Vector(_)) => Shape::Vector(units),
            (Operation::Dense { units, .. }, Shape::Map([1, time, _])) => Shape::Map([1, time, units]),
            (Operation::Dense { .. }, Shape::Map(_)) => {
                let needs = "needs a vector or a sequence";
                return Err(format!(
                    "{needs}, but a map {input} comes in: put flatten or global_average_pool before it"
                ));
            }
            (Operation::LastStep, Shape::Map([_, _, channels])) => Shape::Vector(channels),
            (Operation::Recurrent(layer), Shape::Map([_, time, _])) => match layer.output {
                RecurrentOutput::Sequence => Shape::Map([1, time, layer.units * layer.directions]),
                RecurrentOutput::Last => Shape::Vector(layer.units * layer.directions),
            },
            (Operation::Encoder(_) | Operation::PositionalEncoding(_), shape) => shape,
            (Operation::Concatenate, Shape::Vector(length)) => match self.side_values.take() {
                Some(side) => Shape::Vector(length + side),
                None => return Err("there is no side input (input.side), or it was already taken".into()),
            },
            (
                Operation::BatchNorm { .. }
                | Operation::LayerNorm { .. }
                | Operation::Activation(_)
                | Operation::Dropout { .. },
                shape,
            ) => shape,
            (_, shape) => return Err(format!("can't take what comes in: {shape}")),
        };
        self.layers.push(Layer { name, operation, input, output });
        self.shape = output;
        Ok(())
    }
}

/// Whether a layer can't tell the steps of a sequence from those behind its end.
fn mixes_padding(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Convolution { .. }
            | Operation::Depthwise { .. }
            | Operation::BatchNorm { .. }
            | Operation::MaxPool(_)
            | Operation::AveragePool(_)
            | Operation::Flatten
    )
}

fn slide([height, width, _]: [usize; 3], window: &Window, channels: usize) -> Result<Shape, String> {
    let [rows, columns] = window
        .output([height, width])
        .ok_or_else(|| format!("a kernel of {:?} does not fit into {height} × {width}", window.kernel))?;
    Ok(Shape::Map([rows, columns, channels]))
}
