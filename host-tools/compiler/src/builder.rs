//! Builds a float [`Graph`] layer by layer, inferring and checking shapes at once.

mod sequence;

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
pub use sequence::{Mask, RecurrentWeights};

use crate::graph::{Activation, Data, Graph, Node, Normalization, Op, Tensor, TensorId, Window};

/// Adds layers to a float graph; every method returns the new layer's output.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
}

impl GraphBuilder {
    /// An empty graph with a name for the model file.
    pub fn new(name: &str) -> Self {
        Self { graph: Graph { name: name.into(), ..Graph::default() } }
    }

    /// An input of the network; `shape` includes the batch axis of 1.
    pub fn input(&mut self, name: &str, shape: &[usize], normalization: Option<Normalization>) -> TensorId {
        let id = self.tensor(name.into(), shape.to_vec(), None);
        self.graph.inputs.push(id);
        self.graph.normalization.push(normalization);
        id
    }

    /// A constant; fails where the values don't fill the shape.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<TensorId> {
        let elements: usize = shape.iter().product();
        ensure!(
            values.len() == elements,
            "constant {name}: shape {shape:?} holds {elements} values, {} given",
            values.len()
        );
        Ok(self.tensor(name.into(), shape.to_vec(), Some(Data::Float32(values))))
    }

    /// A convolution, `weights` as `[out][kernel_height][kernel_width][in / groups]`.
    pub fn conv_2d(
        &mut self,
        name: &str,
        x: TensorId,
        weights: TensorId,
        bias: Option<TensorId>,
        window: Window,
        groups: usize,
    ) -> Result<TensorId> {
        let (input, filter) = (self.shape(x), self.shape(weights));
        let [1, height, width, channels] = input[..] else {
            bail!("{name}: input shape {input:?} is not [1, h, w, c]")
        };
        let [out, kernel_height, kernel_width, depth] = filter[..] else {
            bail!("{name}: weight shape {filter:?} is not [out, kh, kw, in]")
        };
        ensure!(
            groups > 0 && depth * groups == channels && out % groups == 0,
            "{name}: {groups} groups of {depth} channels don't make {channels}, or don't divide {out}"
        );
        ensure!(
            window.kernel == [kernel_height, kernel_width],
            "{name}: window {:?} but weights {filter:?}",
            window.kernel
        );
        let [rows, columns] = window
            .output([height, width])
            .with_context(|| format!("{name}: a kernel of {:?} does not fit {height} x {width}", window.kernel))?;
        let inputs = self.with_bias(name, x, weights, bias, out)?;
        Ok(self.node(
            name,
            Op::Conv2d { window, groups, activation: Activation::None },
            inputs,
            vec![1, rows, columns, out],
        ))
    }

    /// A depthwise convolution, `weights` as `[kernel_height][kernel_width][channels * multiplier]`.
    pub fn depthwise_conv_2d(
        &mut self,
        name: &str,
        x: TensorId,
        weights: TensorId,
        bias: Option<TensorId>,
        window: Window,
    ) -> Result<TensorId> {
        let (input, filter) = (self.shape(x), self.shape(weights));
        let [1, height, width, channels] = input[..] else {
            bail!("{name}: input shape {input:?} is not [1, h, w, c]")
        };
        let [kernel_height, kernel_width, out] = filter[..] else {
            bail!("{name}: weight shape {filter:?} is not [kh, kw, channels * multiplier]")
        };
        ensure!(channels > 0 && out % channels == 0, "{name}: {out} outputs are no multiple of {channels} channels");
        ensure!(
            window.kernel == [kernel_height, kernel_width],
            "{name}: window {:?} but weights {filter:?}",
            window.kernel
        );
        let [rows, columns] = window
            .output([height, width])
            .with_context(|| format!("{name}: a kernel of {:?} does not fit {height} x {width}", window.kernel))?;
        let inputs = self.with_bias(name, x, weights, bias, out)?;
        let op = Op::DepthwiseConv2d { window, multiplier: out / channels, activation: Activation::None };
        Ok(self.node(name, op, inputs, vec![1, rows, columns, out]))
    }

    /// A dense layer over all elements of `x`, `weights` as `[out][in]`.
    pub fn fully_connected(
        &mut self,
        name: &str,
        x: TensorId,
        weights: TensorId,
        bias: Option<TensorId>,
    ) -> Result<TensorId> {
        let (input, filter) = (self.shape(x), self.shape(weights));
        let [out, depth] = filter[..] else { bail!("{name}: weight shape {filter:?} is not [out, in]") };
        let elements: usize = input.iter().product();
        ensure!(depth > 0 && elements == depth, "{name}: {elements} values come in, the weights want {depth}");
        let inputs = self.with_bias(name, x, weights, bias, out)?;
        Ok(self.node(name, Op::FullyConnected { activation: Activation::None }, inputs, vec![1, out]))
    }

    /// Batch normalisation in evaluation mode along the last axis.
    pub fn batch_norm(&mut self, name: &str, x: TensorId, statistics: BatchNormStatistics) -> Result<TensorId> {
        let shape = self.shape(x);
        let channels = shape.last().copied().unwrap_or(0);
        let BatchNormStatistics { gamma, beta, mean, variance, epsilon } = statistics;
        let mut inputs = vec![x];
        for (part, values) in [("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance)] {
            inputs.push(self.constant(&format!("{name}.{part}"), &[channels], values)?);
        }
        Ok(self.node(name, Op::BatchNorm { epsilon }, inputs, shape))
    }

    /// Max pooling.
    pub fn max_pool_2d(&mut self, name: &str, x: TensorId, window: Window) -> Result<TensorId> {
        let shape = self.pooled(name, x, window)?;
        Ok(self.node(name, Op::MaxPool2d { window, activation: Activation::None }, vec![x], shape))
    }

    /// Average pooling over the taps inside the image.
    pub fn average_pool_2d(&mut self, name: &str, x: TensorId, window: Window) -> Result<TensorId> {
        let shape = self.pooled(name, x, window)?;
        Ok(self.node(name, Op::AveragePool2d { window, activation: Activation::None }, vec![x], shape))
    }

    /// The mean over rows and columns of `[1, h, w, c]`, as `[1, c]`.
    pub fn global_average_pool(&mut self, name: &str, x: TensorId) -> Result<TensorId> {
        let input = self.shape(x);
        let [1, _, _, channels] = input[..] else { bail!("{name}: input shape {input:?} is not [1, h, w, c]") };
        Ok(self.node(name, Op::Mean { axes: vec![1, 2], keep_dims: false }, vec![x], vec![1, channels]))
    }

    /// The sum of two tensors of the same shape.
    pub fn add(&mut self, name: &str, a: TensorId, b: TensorId) -> Result<TensorId> {
        let shape = self.shape(a);
        ensure!(shape == self.shape(b), "{name}: {shape:?} + {:?}", self.shape(b));
        Ok(self.node(name, Op::Add { activation: Activation::None }, vec![a, b], shape))
    }

    /// Joins tensors along an axis.
    pub fn concatenation(&mut self, name: &str, parts: &[TensorId], axis: usize) -> Result<TensorId> {
        let first = parts.first().with_context(|| format!("{name}: nothing to join"))?;
        let mut shape = self.shape(*first);
        ensure!(axis < shape.len(), "{name}: axis {axis} of {shape:?}");
        shape[axis] = 0;
        for part in parts {
            let mut other = self.shape(*part);
            ensure!(other.len() == shape.len(), "{name}: ranks differ: {shape:?}, {other:?}");
            shape[axis] += std::mem::take(&mut other[axis]);
            let mut rest = shape.clone();
            rest[axis] = 0;
            ensure!(rest == other, "{name}: shapes differ outside axis {axis}");
        }
        Ok(self.node(name, Op::Concatenation { axis }, parts.to_vec(), shape))
    }

    /// The same elements in another shape.
    pub fn reshape(&mut self, name: &str, x: TensorId, shape: &[usize]) -> Result<TensorId> {
        ensure!(
            shape.iter().product::<usize>() == self.graph.tensor(x).elements(),
            "{name}: {:?} does not reshape to {shape:?}",
            self.shape(x)
        );
        Ok(self.node(name, Op::Reshape, vec![x], shape.to_vec()))
    }

    /// One of the relu family.
    pub fn clamp(&mut self, name: &str, x: TensorId, activation: Activation) -> TensorId {
        self.elementwise(name, Op::Clamp { activation }, x)
    }

    /// `1 / (1 + exp(-x))`.
    pub fn logistic(&mut self, name: &str, x: TensorId) -> TensorId {
        self.elementwise(name, Op::Logistic, x)
    }

    /// The hyperbolic tangent.
    pub fn tanh(&mut self, name: &str, x: TensorId) -> TensorId {
        self.elementwise(name, Op::Tanh, x)
    }

    /// Softmax along the last axis.
    pub fn softmax(&mut self, name: &str, x: TensorId) -> TensorId {
        self.elementwise(name, Op::Softmax { beta: 1.0 }, x)
    }

    /// Ends the graph with its outputs and the names of the classes that the first one scores.
    pub fn finish(mut self, outputs: &[TensorId], classes: &[String]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph.classes = classes.to_vec();
        self.graph
    }

    /// The shape of a tensor made so far.
    pub fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    fn elementwise(&mut self, name: &str, op: Op, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        self.node(name, op, vec![x], shape)
    }

    fn pooled(&self, name: &str, x: TensorId, window: Window) -> Result<Vec<usize>> {
        let input = self.shape(x);
        let [1, height, width, channels] = input[..] else {
            bail!("{name}: input shape {input:?} is not [1, h, w, c]")
        };
        let [rows, columns] = window
            .output([height, width])
            .with_context(|| format!("{name}: a window of {:?} does not fit {height} x {width}", window.kernel))?;
        Ok(vec![1, rows, columns, channels])
    }

    fn with_bias(
        &self,
        name: &str,
        x: TensorId,
        weights: TensorId,
        bias: Option<TensorId>,
        out: usize,
    ) -> Result<Vec<TensorId>> {
        let mut inputs = vec![x, weights];
        if let Some(bias) = bias {
            ensure!(self.shape(bias) == [out], "{name}: {out} outputs but a bias of shape {:?}", self.shape(bias));
            inputs.push(bias);
        }
        Ok(inputs)
    }

    fn tensor(&mut self, name: String, shape: Vec<usize>, data: Option<Data>) -> TensorId {
        self.graph.add_tensor(Tensor { name, shape, data_type: DataType::Float32, quantization: None, data })
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>) -> TensorId {
        let output = self.tensor(name.into(), shape, None);
        self.graph.nodes.push(Node { name: name.into(), op, inputs, outputs: vec![output] });
        output
    }
}

/// What batch normalisation learned: one value for each channel, and the epsilon added to the variance.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormStatistics {
    /// The learned factor.
    pub gamma: Vec<f32>,
    /// The learned offset.
    pub beta: Vec<f32>,
    /// The running mean.
    pub mean: Vec<f32>,
    /// The running variance.
    pub variance: Vec<f32>,
    /// Added to the variance under the root.
    pub epsilon: f32,
}
