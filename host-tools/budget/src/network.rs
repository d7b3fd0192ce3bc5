//! Networks of int8 with random weights, built layer by layer.
//!
//! What kernels cost depends on shapes, on activations and on whether multipliers are below one, hardly on the codes:
//! random weights from a seed stand for trained ones. Scales are such that outputs use their range.

use nervelet::learn::Pcg32;
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Data, Graph, Node, Op, Padding, Quantization, Tensor, TensorId, Window};

const INPUT_SCALE: f32 = 0.05;
const OUTPUT_SCALE: f32 = 0.05;
/// The root mean square of random weights and of inputs behind a relu, in codes.
const USUAL_CODES: f32 = 73.0 * 100.0;

/// A network under construction: layers go behind the last one.
pub(crate) struct Network {
    graph: Graph,
    random: Pcg32,
    at: TensorId,
}

impl Network {
    /// A network with an input of this shape, batch first.
    pub(crate) fn new(name: &str, input: &[usize]) -> Self {
        let graph = Graph { name: name.into(), ..Graph::default() };
        let mut network = Self { graph, random: Pcg32::new(1), at: TensorId(0) };
        network.at = network.tensor("input", input, Quantization::per_tensor(INPUT_SCALE, -1), None);
        network.graph.inputs.push(network.at);
        network.graph.normalization.push(None);
        network
    }

    /// The network with its last layer as the output.
    pub(crate) fn finish(mut self) -> Graph {
        self.graph.outputs.push(self.at);
        self.graph
    }

    /// The output of the last layer, to branch from.
    pub(crate) fn here(&self) -> TensorId {
        self.at
    }

    /// Goes on behind an earlier layer, and gives the one left.
    pub(crate) fn go_to(&mut self, tensor: TensorId) -> TensorId {
        std::mem::replace(&mut self.at, tensor)
    }

    /// A convolution with TensorFlow's SAME padding.
    pub(crate) fn conv(&mut self, channels: usize, kernel: [usize; 2], stride: [usize; 2], activation: Activation) {
        let (window, [rows, columns], inputs) = self.window(kernel, stride, true);
        let weights = [channels, kernel[0], kernel[1], inputs];
        self.layer(
            Op::Conv2d { window, groups: 1, activation },
            &weights,
            0,
            &[1, rows, columns, channels],
            activation,
        );
    }

    /// A depthwise convolution with relu; SAME padding, or none.
    pub(crate) fn depthwise(&mut self, kernel: [usize; 2], stride: [usize; 2], same: bool) {
        let (window, [rows, columns], channels) = self.window(kernel, stride, same);
        let activation = Activation::Relu;
        let op = Op::DepthwiseConv2d { window, multiplier: 1, activation };
        self.layer(op, &[1, kernel[0], kernel[1], channels], 3, &[1, rows, columns, channels], activation);
    }

    /// A dense layer on all values.
    pub(crate) fn dense(&mut self, units: usize, activation: Activation) {
        let inputs = self.shape().iter().product();
        self.layer(Op::FullyConnected { activation }, &[units, inputs], 0, &[1, units], activation);
    }

    /// The mean of every channel over the whole image.
    pub(crate) fn global_average(&mut self) {
        let [rows, columns, channels] = self.image();
        let quantization = self.graph.tensor(self.at).quantization.clone();
        let output = self.tensor("pooled", &[1, 1, 1, channels], quantization.unwrap_or_else(coarse), None);
        let op = Op::AveragePool2d { window: Window::new([rows, columns]), activation: Activation::None };
        self.node(op, vec![self.at], output);
    }

    /// The sum of the last layer and an earlier one.
    pub(crate) fn add(&mut self, other: TensorId) {
        let shape = self.shape();
        let output = self.tensor("sum", &shape, Quantization::per_tensor(2.0 * OUTPUT_SCALE, -128), None);
        self.node(Op::Add { activation: Activation::Relu }, vec![self.at, other], output);
    }

    /// Probabilities of the last layer's values.
    pub(crate) fn softmax(&mut self) {
        let shape = self.shape();
        let output = self.tensor("probabilities", &shape, Quantization::per_tensor(1.0 / 256.0, -128), None);
        self.node(Op::Softmax { beta: 1.0 }, vec![self.at], output);
    }

    /// A layer with weights that have `outputs` channels along `axis`.
    fn layer(&mut self, op: Op, weights: &[usize], axis: usize, output: &[usize], activation: Activation) {
        let outputs = weights.get(axis).copied().unwrap_or(1);
        let count: usize = weights.iter().product();
        let depth = (count / outputs.max(1)) as f32;
        let usual = 40.0 / (depth.sqrt() * USUAL_CODES) * OUTPUT_SCALE / INPUT_SCALE;
        let scales = (0..outputs).map(|_| usual * (0.5 + self.random.below(1000) as f32 / 1000.0)).collect();
        let codes = (0..count).map(|_| (self.random.below(255) as i32 - 127) as i8).collect();
        let quantization = Quantization { scales, zero_points: vec![0; outputs], axis };
        let weights = self.tensor("weights", weights, quantization, Some(Data::Int8(codes)));
        let bias = (0..outputs).map(|_| self.random.below(4000) as i32 - 2000).collect();
        let bias = self.tensor("bias", &[outputs], coarse(), Some(Data::Int32(bias)));
        let zero_point = if activation == Activation::Relu { -128 } else { 3 };
        let output = self.tensor("output", output, Quantization::per_tensor(OUTPUT_SCALE, zero_point), None);
        self.node(op, vec![self.at, weights, bias], output);
    }

    fn node(&mut self, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        let name = format!("{} {}", self.graph.nodes.len(), op.name());
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        self.at = output;
    }

    fn tensor(&mut self, part: &str, shape: &[usize], quantization: Quantization, data: Option<Data>) -> TensorId {
        let data_type = data.as_ref().map_or(DataType::Int8, Data::data_type);
        let name = format!("{part} {}", self.graph.tensors.len());
        self.graph.add_tensor(Tensor { name, shape: shape.into(), data_type, quantization: Some(quantization), data })
    }

    fn shape(&self) -> Vec<usize> {
        self.graph.tensor(self.at).shape.clone()
    }

    /// Rows, columns and channels of the last layer's output.
    fn image(&self) -> [usize; 3] {
        match *self.shape() {
            [_, rows, columns, channels] => [rows, columns, channels],
            ref other => [1, 1, other.iter().product()],
        }
    }

    /// A window over the last layer's output, with its output's extent and the channels.
    fn window(&self, kernel: [usize; 2], stride: [usize; 2], same: bool) -> (Window, [usize; 2], usize) {
        let [rows, columns, channels] = self.image();
        let input = [rows, columns];
        let padding = if same { Padding::same(input, kernel, stride, [1, 1]) } else { Padding::default() };
        let window = Window { kernel, stride, dilation: [1, 1], padding };
        (window, window.output(input).unwrap_or([1, 1]), channels)
    }
}

fn coarse() -> Quantization {
    Quantization::per_tensor(1.0, 0)
}
