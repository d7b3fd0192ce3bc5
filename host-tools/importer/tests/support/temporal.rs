//! Temporal networks with random weights: time is the columns of an image of one row.

use nervelet::learn::Pcg32;
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Cell, Data, Graph, Node, Op, Padding, Tensor, TensorId, Window};
use nervelet_compiler::index_map;

const RELU: Activation = Activation::Relu;

/// A network under construction.
pub(crate) struct Temporal {
    pub(crate) graph: Graph,
    random: Pcg32,
}

impl Temporal {
    /// A network over `time` frames of `depth` values, with its input.
    pub(crate) fn new(name: &str, seed: u64, time: usize, depth: usize) -> (Self, TensorId) {
        let graph = Graph { name: name.into(), ..Graph::default() };
        let mut network = Self { graph, random: Pcg32::new(seed) };
        let x = network.tensor(&[1, 1, time, depth], None);
        network.graph.inputs.push(x);
        network.graph.normalization.push(None);
        (network, x)
    }

    /// Ends the network.
    pub(crate) fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.outputs = outputs.into();
        self.graph
    }

    /// Values between plus and minus `spread`.
    pub(crate) fn values(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| spread * (self.random.below(2_000_001) as f32 / 1_000_000.0 - 1.0)).collect()
    }

    fn tensor(&mut self, shape: &[usize], data: Option<Vec<f32>>) -> TensorId {
        let name = format!("t{}", self.graph.tensors.len());
        let data = data.map(Data::Float32);
        let tensor = Tensor { name, shape: shape.into(), data_type: DataType::Float32, quantization: None, data };
        self.graph.add_tensor(tensor)
    }

    fn weights(&mut self, shape: &[usize], depth: usize) -> TensorId {
        let values = self.values(shape.iter().product(), 2.0 / (depth as f32).sqrt());
        self.tensor(shape, Some(values))
    }

    /// The extents of a sequence: steps of time and values.
    pub(crate) fn extents(&self, x: TensorId) -> [usize; 2] {
        let [.., time, depth] = self.graph.tensor(x).shape[..] else { panic!("no sequence") };
        [time, depth]
    }

    pub(crate) fn node(&mut self, op: Op, inputs: Vec<TensorId>, shapes: &[&[usize]]) -> Vec<TensorId> {
        let outputs: Vec<TensorId> = shapes.iter().map(|shape| self.tensor(shape, None)).collect();
        let name = format!("{} {}", op.name(), self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, inputs, outputs: outputs.clone() });
        outputs
    }

    /// A window along time: kernel, stride, dilation and zeros before and behind.
    pub(crate) fn window(kernel: usize, stride: usize, dilation: usize, [left, right]: [usize; 2]) -> Window {
        let padding = Padding { left, right, ..Padding::default() };
        Window { kernel: [1, kernel], stride: [1, stride], dilation: [1, dilation], padding }
    }

    /// A convolution with a relu.
    pub(crate) fn conv(&mut self, x: TensorId, outputs: usize, window: Window) -> TensorId {
        let [time, depth] = self.extents(x);
        let [_, count] = window.output([1, time]).unwrap();
        let weights = self.weights(&[outputs, 1, window.kernel[1], depth], window.kernel[1] * depth);
        let bias = self.weights(&[outputs], outputs);
        let op = Op::Conv2d { window, groups: 1, activation: RELU };
        self.node(op, vec![x, weights, bias], &[&[1, 1, count, outputs]])[0]
    }

    /// A depthwise convolution with a relu.
    pub(crate) fn depthwise(&mut self, x: TensorId, window: Window) -> TensorId {
        let [time, depth] = self.extents(x);
        let [_, count] = window.output([1, time]).unwrap();
        let weights = self.weights(&[1, window.kernel[1], depth], window.kernel[1]);
        let op = Op::DepthwiseConv2d { window, multiplier: 1, activation: RELU };
        self.node(op, vec![x, weights], &[&[1, 1, count, depth]])[0]
    }

    /// Pooling over neighbours in time.
    pub(crate) fn max_pool(&mut self, x: TensorId, window: Window) -> TensorId {
        let [time, depth] = self.extents(x);
        let [_, count] = window.output([1, time]).unwrap();
        self.node(Op::MaxPool2d { window, activation: Activation::None }, vec![x], &[&[1, 1, count, depth]])[0]
    }

    /// Some steps of time.
    pub(crate) fn steps(&mut self, x: TensorId, first: usize, count: usize) -> TensorId {
        let [time, depth] = self.extents(x);
        let map = index_map::slice(&[1, time, depth], &[0, first, 0], &[1, count, depth], &[1; 3]).unwrap();
        self.node(Op::Rearrange(map), vec![x], &[&[1, 1, count, depth]])[0]
    }

    /// Zeros in front of time.
    pub(crate) fn pad(&mut self, x: TensorId, before: usize) -> TensorId {
        let [time, depth] = self.extents(x);
        let amounts = vec![(0, 0), (0, 0), (before, 0), (0, 0)];
        self.node(Op::Pad { amounts }, vec![x], &[&[1, 1, time + before, depth]])[0]
    }

    pub(crate) fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let shape = self.graph.tensor(a).shape.clone();
        self.node(Op::Add { activation: Activation::None }, vec![a, b], &[&shape])[0]
    }

    /// The mean over time.
    pub(crate) fn mean(&mut self, x: TensorId) -> TensorId {
        let [_, depth] = self.extents(x);
        self.node(Op::Mean { axes: vec![1, 2], keep_dims: false }, vec![x], &[&[1, depth]])[0]
    }

    /// A dense layer on each step of time.
    pub(crate) fn dense(&mut self, x: TensorId, outputs: usize) -> TensorId {
        let [time, depth] = self.extents(x);
        let (weights, bias) = (self.weights(&[outputs, depth], depth), self.weights(&[outputs], outputs));
        let op = Op::FullyConnected { activation: Activation::None };
        let shape: &[usize] = if self.graph.tensor(x).shape.len() == 2 { &[1, outputs] } else { &[1, time, outputs] };
        self.node(op, vec![x, weights, bias], &[shape])[0]
    }

    pub(crate) fn softmax(&mut self, x: TensorId) -> TensorId {
        let shape = self.graph.tensor(x).shape.clone();
        self.node(Op::Softmax { beta: 1.0 }, vec![x], &[&shape])[0]
    }

    /// A recurrent layer: the sequence of its states and the last one.
    pub(crate) fn recurrent(&mut self, x: TensorId, cell: Cell, units: usize, reverse: bool) -> Vec<TensorId> {
        let [time, depth] = self.extents(x);
        let rows = cell.gates() * units;
        let shapes: [&[usize]; 4] = [&[rows, depth], &[rows, units], &[rows], &[rows]];
        let mut inputs = vec![x];
        inputs.extend(shapes.map(|shape| self.weights(shape, 4 * units)));
        let shapes: [&[usize]; 3] = [&[1, time, units], &[1, units], &[1, units]];
        self.node(Op::Recurrent { cell, reverse }, inputs, &shapes[..=cell.states()])
    }
}

/// A residual network of valid convolutions over 64 frames of 6 values, with pooling over all of time and a dense layer.
pub(crate) fn valid(seed: u64) -> Graph {
    let (mut net, x) = Temporal::new("valid", seed, 64, 6);
    let x = net.conv(x, 12, Temporal::window(5, 1, 1, [0, 0]));
    let inner = net.conv(x, 12, Temporal::window(3, 1, 1, [0, 0]));
    let [time, _] = net.extents(inner);
    let around = net.steps(x, 1, time);
    let x = net.add(inner, around);
    let x = net.max_pool(x, Temporal::window(2, 2, 1, [0, 0]));
    let x = net.depthwise(x, Temporal::window(3, 1, 2, [0, 0]));
    let x = net.conv(x, 16, Temporal::window(1, 1, 1, [0, 0]));
    let x = net.conv(x, 16, Temporal::window(3, 2, 1, [0, 0]));
    let x = net.mean(x);
    let x = net.dense(x, 5);
    let x = net.softmax(x);
    net.finish(&[x])
}

/// A causal network with a recurrent layer over some frames of 8 values: the scores of every step, and of the last.
pub(crate) fn causal(seed: u64, time: usize, cell: Cell) -> Graph {
    let (mut net, x) = Temporal::new("causal", seed, time, 8);
    let x = net.conv(x, 16, Temporal::window(3, 1, 1, [2, 0]));
    let padded = net.pad(x, 4);
    let x = net.depthwise(padded, Temporal::window(3, 1, 2, [0, 0]));
    let x = net.conv(x, 12, Temporal::window(4, 2, 1, [2, 0]));
    let below = net.recurrent(x, cell, 16, false);
    let x = net.dense(below[0], 6);
    let [time, _] = net.extents(x);
    let last = net.steps(x, time - 1, 1);
    net.finish(&[x, last])
}
