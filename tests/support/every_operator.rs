//! Small networks that hold every operator and every packing between them, the integer ones quantized by hand.

use nervelet::ops::DataType;
use nervelet_compiler::graph::{
    Activation, Cell, Data, Function, Graph, Node, Op, Padding, Quantization, Reduction, Tensor, TensorId, Window,
};
use nervelet_compiler::{
    AlignedBytes, CompileOptions, Precision, Target, compile, compile_quantized, compile_quantized_with, index_map,
};

use crate::random::Random;

const NONE: Activation = Activation::None;
/// The scale of int8 weights.
const WEIGHT_SCALE: f32 = 0.02;

/// The model files.
pub fn models(random: &mut Random) -> Vec<AlignedBytes> {
    let mut files: Vec<AlignedBytes> = Vec::new();
    let mut compiled = |graph: &Graph, target: Target| {
        let bytes = compile(graph, &CompileOptions { target, ..CompileOptions::default() }).unwrap().bytes;
        // Where a target has no packing of its own, the file is that for any.
        if !files.iter().any(|file| file[..] == bytes[..]) {
            files.push(bytes);
        }
    };
    for data_type in [DataType::Int8, DataType::Int16, DataType::Float32] {
        let graphs = [image(data_type, random), moves(data_type, random), arithmetic(data_type, random)];
        for graph in &graphs {
            compiled(graph, Target::Any);
        }
        if data_type == DataType::Int8 {
            for target in [Target::Dsp, Target::Armv7m, Target::Armv6m, Target::Mve] {
                compiled(&graphs[0], target);
            }
        }
    }
    let eights = eights(random);
    for target in [Target::Mve, Target::Armv7m] {
        compiled(&eights, target);
    }
    let few_outputs = few_outputs(random);
    let chain = chain(random);
    for target in [Target::Any, Target::Dsp, Target::Armv7m] {
        compiled(&few_outputs, target);
        compiled(&chain, target);
    }
    compiled(&columns(&mut Random::new(2)), Target::Mve);
    for graph in [reductions(DataType::Int8, random), reductions(DataType::Float32, random), conversions(random)] {
        compiled(&graph, Target::Any);
    }
    for data_type in [DataType::Int8, DataType::Int16, DataType::Float32] {
        compiled(&first_steps(data_type, random), Target::Any);
    }
    for graph in [functions(random), lstm(DataType::Int8, random), lstm(DataType::Float32, random)] {
        compiled(&graph, Target::Any);
    }
    let recurrent = recurrent(random);
    compiled(&recurrent, Target::Any);
    let samples: Vec<Vec<f32>> = (0..4).map(|_| random.values(8, 1.0)).collect();
    let samples = samples.iter().map(|sample| vec![&sample[..]]);
    files.push(compile_quantized(&recurrent, &CompileOptions::default(), samples).unwrap().bytes);
    for masked in [false, true] {
        let encoder = encoder(masked, random);
        let samples: Vec<Vec<f32>> = (0..4).map(|_| random.values(12, 1.0)).collect();
        let sample = |sample| if masked { vec![sample, &[0.0, 4.0, -1.0][..], &[2.0]] } else { vec![sample] };
        let options = CompileOptions::default();
        for precision in [Precision::Wide, Precision::Narrow] {
            let samples = samples.iter().map(|values| sample(&values[..]));
            files.push(compile_quantized_with(&encoder, &options, precision, samples).unwrap().bytes);
        }
        if masked {
            files.push(compile(&encoder, &options).unwrap().bytes);
        }
    }
    files
}

/// A network under construction; its tensors have one type and, but for some outputs, one scale.
struct Network<'r> {
    graph: Graph,
    data_type: DataType,
    random: &'r mut Random,
}

impl<'r> Network<'r> {
    /// A network with its input.
    fn new(data_type: DataType, shape: &[usize], random: &'r mut Random) -> (Self, TensorId) {
        let mut network = Self { graph: Graph { name: "n".into(), ..Graph::default() }, data_type, random };
        let x = network.activation(shape);
        network.graph.inputs.push(x);
        network.graph.normalization.push(None);
        (network, x)
    }

    fn add(&mut self, shape: &[usize], data_type: DataType, scale: Option<(f32, i32)>, data: Option<Data>) -> TensorId {
        let quantization = scale.map(|(scale, zero_point)| Quantization::per_tensor(scale, zero_point));
        let tensor = Tensor { name: "t".into(), shape: shape.into(), data_type, quantization, data };
        self.graph.add_tensor(tensor)
    }

    /// A tensor of a type with the scale that tensors of the type have here.
    fn typed(&mut self, shape: &[usize], data_type: DataType, data: Option<Data>) -> TensorId {
        let scale = match data_type {
            DataType::Int8 => Some((0.05, 3)),
            DataType::Int16 => Some((1.0 / 1024.0, 0)),
            DataType::Int32 => Some((1.0 / 65_536.0, 0)),
            _ => None,
        };
        self.add(shape, data_type, scale, data)
    }

    fn activation(&mut self, shape: &[usize]) -> TensorId {
        self.typed(shape, self.data_type, None)
    }

    /// A constant that is an operand as others are.
    fn constant(&mut self, shape: &[usize]) -> TensorId {
        let values = self.random.values(shape.iter().product(), 1.0);
        let data = match self.data_type {
            DataType::Int8 => Data::Int8(values.iter().map(|value| (value * 127.0) as i8).collect()),
            DataType::Int16 => Data::Int16(values.iter().map(|value| (value * 32_767.0) as i16).collect()),
            _ => Data::Float32(values),
        };
        self.typed(shape, self.data_type, Some(data))
    }

    fn weights(&mut self, shape: &[usize]) -> TensorId {
        let values = self.random.values(shape.iter().product(), 1.0);
        if self.data_type == DataType::Float32 {
            return self.floats(shape, values);
        }
        let codes = values.iter().map(|value| (value * 127.0) as i8).collect();
        self.add(shape, DataType::Int8, Some((WEIGHT_SCALE, 0)), Some(Data::Int8(codes)))
    }

    fn floats(&mut self, shape: &[usize], values: Vec<f32>) -> TensorId {
        self.add(shape, DataType::Float32, None, Some(Data::Float32(values)))
    }

    /// Biases of up to a magnitude, in steps of their sums.
    fn bias(&mut self, count: usize, largest: f32) -> TensorId {
        let values = self.random.values(count, largest);
        let data = match self.data_type {
            DataType::Int8 => Data::Int32(values.iter().map(|value| *value as i32).collect()),
            DataType::Int16 => Data::Int64(values.iter().map(|value| *value as i64).collect()),
            _ => Data::Float32(values),
        };
        self.add(&[count], data.data_type(), None, Some(data))
    }

    fn node(&mut self, op: Op, inputs: &[TensorId], outputs: &[TensorId]) {
        self.graph.nodes.push(Node { name: "s".into(), op, inputs: inputs.into(), outputs: outputs.into() });
    }

    /// A node whose output has the common type and scale.
    fn layer(&mut self, op: Op, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let output = self.activation(shape);
        self.node(op, inputs, &[output]);
        output
    }

    /// A node whose output has the scale that its arithmetic prescribes for int8.
    fn scaled(&mut self, op: Op, x: TensorId, scale: (f32, i32)) -> TensorId {
        let shape = self.graph.tensor(x).shape.clone();
        let scale = match self.data_type {
            DataType::Int8 => Some(scale),
            DataType::Int16 => Some((1.0 / 32_768.0, 0)),
            _ => None,
        };
        let output = self.add(&shape, self.data_type, scale, None);
        self.node(op, &[x], &[output]);
        output
    }

    fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.outputs = outputs.into();
        self.graph
    }
}

/// Layers with weights, and pools: a classifier of images.
fn image(data_type: DataType, random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(data_type, &[1, 8, 6, 4], random);
    let mut window = Window::new([3, 3]);
    window.padding = Padding::symmetric(1, 1);
    let strided = Window { stride: [2, 1], ..window };
    let conv = |window, groups| Op::Conv2d { window, groups, activation: Activation::Relu };
    let depthwise = |window| Op::DepthwiseConv2d { window, multiplier: 1, activation: NONE };
    let operands = [x, net.weights(&[4, 3, 3, 4]), net.bias(4, 100.0)];
    let x = net.layer(conv(window, 1), &operands, &[1, 8, 6, 4]);
    // Biases beyond what the fastest packings hold.
    let operands = [x, net.weights(&[4, 1, 1, 4]), net.bias(4, 5e7)];
    let x = net.layer(conv(Window::new([1, 1]), 1), &operands, &[1, 8, 6, 4]);
    let operands = [x, net.weights(&[3, 3, 4]), net.bias(4, 100.0)];
    let x = net.layer(depthwise(window), &operands, &[1, 8, 6, 4]);
    let operands = [x, net.weights(&[3, 3, 4]), net.bias(4, 100.0)];
    let x = net.layer(depthwise(strided), &operands, &[1, 4, 6, 4]);
    let operands = [x, net.weights(&[2, 1, 2, 2]), net.bias(2, 100.0)];
    let x = net.layer(conv(Window::new([1, 2]), 2), &operands, &[1, 4, 5, 2]);
    let transposed = Window { stride: [2, 1], ..Window::new([2, 2]) };
    let operands = [x, net.weights(&[3, 2, 2, 2]), net.bias(3, 100.0)];
    let x = net.layer(Op::TransposeConv2d { window: transposed, activation: NONE }, &operands, &[1, 8, 6, 3]);
    let halves = Window { stride: [2, 2], ..Window::new([2, 2]) };
    let x = net.layer(Op::MaxPool2d { window: halves, activation: NONE }, &[x], &[1, 4, 3, 3]);
    let padded = Window { padding: Padding::symmetric(1, 1), ..Window::new([2, 2]) };
    let x = net.layer(Op::AveragePool2d { window: padded, activation: NONE }, &[x], &[1, 5, 4, 3]);
    let x = net.layer(Op::Mean { axes: vec![1, 2], keep_dims: false }, &[x], &[1, 3]);
    let operands = [x, net.weights(&[2, 3]), net.bias(2, 10.0)];
    let x = net.layer(Op::FullyConnected { activation: NONE }, &operands, &[1, 2]);
    let x = net.scaled(Op::Softmax { beta: 1.0 }, x, (1.0 / 256.0, -128));
    net.graph.classes = vec!["a".into(), "b".into()];
    net.finish(&[x])
}

/// Layers of eight channels, as many as vectors want, and dense layers of many and of few outputs.
fn eights(random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(DataType::Int8, &[1, 6, 5, 8], random);
    let depthwise = |window| Op::DepthwiseConv2d { window, multiplier: 1, activation: NONE };
    let square = Window { padding: Padding::symmetric(1, 1), ..Window::new([3, 3]) };
    let operands = [x, net.weights(&[3, 3, 8]), net.bias(8, 100.0)];
    let x = net.layer(depthwise(square), &operands, &[1, 6, 5, 8]);
    let operands = [x, net.weights(&[4, 1, 8]), net.bias(8, 100.0)];
    let x = net.layer(depthwise(Window::new([4, 1])), &operands, &[1, 3, 5, 8]);
    let x = net.layer(Op::Mean { axes: vec![1, 2], keep_dims: false }, &[x], &[1, 8]);
    let operands = [x, net.weights(&[16, 8]), net.bias(16, 10.0)];
    let x = net.layer(Op::FullyConnected { activation: NONE }, &operands, &[1, 16]);
    let operands = [x, net.weights(&[3, 16]), net.bias(3, 10.0)];
    let x = net.layer(Op::FullyConnected { activation: NONE }, &operands, &[1, 3]);
    net.finish(&[x])
}

/// Layers that can write over their inputs: depthwise ones between others of single pixels, to more and to fewer channels.
fn chain(random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(DataType::Int8, &[1, 9, 3, 4], random);
    let pointwise = Op::Conv2d { window: Window::new([1, 1]), groups: 1, activation: NONE };
    let square = Window { padding: Padding::symmetric(1, 1), ..Window::new([3, 3]) };
    let operands = [x, net.weights(&[8, 1, 1, 4]), net.bias(8, 100.0)];
    let x = net.layer(pointwise.clone(), &operands, &[1, 9, 3, 8]);
    let operands = [x, net.weights(&[3, 3, 8]), net.bias(8, 100.0)];
    let depthwise = Op::DepthwiseConv2d { window: square, multiplier: 1, activation: Activation::Relu };
    let x = net.layer(depthwise, &operands, &[1, 9, 3, 8]);
    let operands = [x, net.weights(&[5, 1, 1, 8]), net.bias(5, 100.0)];
    let x = net.layer(pointwise, &operands, &[1, 9, 3, 5]);
    let few_pixels = Op::Conv2d { window: Window::new([9, 2]), groups: 1, activation: NONE };
    let operands = [x, net.weights(&[3, 9, 2, 5]), net.bias(3, 100.0)];
    let y = net.layer(few_pixels, &operands, &[1, 1, 2, 3]);
    let x = net.layer(Op::Mean { axes: vec![1, 2], keep_dims: false }, &[x], &[1, 5]);
    net.finish(&[x, y])
}

/// Dense layers of one to four outputs.
fn few_outputs(random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(DataType::Int8, &[1, 10], random);
    let outputs: Vec<TensorId> = (1..=4)
        .map(|outputs| {
            let operands = [x, net.weights(&[outputs, 10]), net.bias(outputs, 10.0)];
            net.layer(Op::FullyConnected { activation: NONE }, &operands, &[1, outputs])
        })
        .collect();
    net.finish(&outputs)
}

/// Depthwise layers of few channels, down the image and across.
fn columns(random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(DataType::Int8, &[1, 12, 1, 3], random);
    let depthwise = |window| Op::DepthwiseConv2d { window, multiplier: 1, activation: NONE };
    let operands = [x, net.weights(&[3, 1, 3]), net.bias(3, 10.0)];
    let x = net.layer(depthwise(Window::new([3, 1])), &operands, &[1, 10, 1, 3]);
    let across = Window { padding: Padding { right: 1, ..Padding::default() }, ..Window::new([1, 2]) };
    let operands = [x, net.weights(&[1, 2, 3]), net.bias(3, 10.0)];
    let x = net.layer(depthwise(across), &operands, &[1, 10, 1, 3]);
    net.finish(&[x])
}

/// What moves elements, and what resizes.
fn moves(data_type: DataType, random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(data_type, &[1, 4, 3, 2], random);
    let sampling = Op::ResizeBilinear { align_corners: false, half_pixel_centers: true };
    let x = net.layer(sampling, &[x], &[1, 3, 5, 2]);
    let x = net.layer(Op::Gather { axis: 1, rows: vec![2, 0, 1, 1] }, &[x], &[1, 4, 5, 2]);
    let transpose = Op::Rearrange(index_map::transpose(&[1, 4, 5, 2], &[0, 2, 1, 3]).unwrap());
    let x = net.layer(transpose, &[x], &[1, 5, 4, 2]);
    let x = net.layer(Op::Pad { amounts: vec![(0, 0), (1, 0), (0, 2), (0, 0)] }, &[x], &[1, 6, 6, 2]);
    let y = net.layer(Op::Copy, &[x], &[1, 6, 6, 2]);
    let x = net.layer(Op::Concatenation { axis: 3 }, &[x, y], &[1, 6, 6, 4]);
    let histories = [(vec![y], [1, 9, 6, 2]), (vec![y, y], [1, 15, 6, 2])];
    let histories = histories.map(|(newest, shape)| net.layer(Op::Shift { axis: 1, columns: 1 }, &newest, &shape));
    net.graph.states = histories.into();
    net.finish(&[x])
}

/// What computes on two tensors or on each element.
fn arithmetic(data_type: DataType, random: &mut Random) -> Graph {
    let shape = [1, 2, 3, 4];
    let (mut net, x) = Network::new(data_type, &shape, random);
    let mut ops = vec![Op::Add { activation: NONE }, Op::Sub { activation: NONE }, Op::Mul { activation: NONE }];
    if data_type != DataType::Int16 {
        ops.extend([Op::Maximum, Op::Minimum, Op::SquaredDifference, Op::Prelu]);
    }
    if data_type == DataType::Float32 {
        ops.push(Op::Div { activation: NONE });
    }
    let mut x = x;
    for op in ops {
        let operands = [x, net.constant(&[4])];
        x = net.layer(op, &operands, &shape);
    }
    let product = Op::BatchMatmul { transpose_a: false, transpose_b: true };
    let x = net.layer(product, &[x, x], &[1, 2, 3, 3]);
    let x = net.scaled(Op::Logistic, x, (1.0 / 256.0, -128));
    let x = net.scaled(Op::Tanh, x, (1.0 / 128.0, 0));
    let x = net.layer(Op::Clamp { activation: Activation::Relu6 }, &[x], &[1, 2, 3, 3]);
    let x = net.layer(Op::Function(Function::LeakyRelu { slope: 0.1 }), &[x], &[1, 2, 3, 3]);
    net.finish(&[x])
}

/// What makes one element of many, or brings rows to a common scale.
fn reductions(data_type: DataType, random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(data_type, &[1, 3, 4, 2], random);
    let of = |reduction| Op::Reduce { reduction, axes: vec![1] };
    let mut outputs = Vec::new();
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min] {
        outputs.push(net.layer(of(reduction), &[x], &[1, 1, 4, 2]));
    }
    let apart = Op::Reduce { reduction: Reduction::Max, axes: vec![1, 3] };
    outputs.push(net.layer(apart, &[x], &[1, 1, 4, 1]));
    for index in [DataType::Int32, DataType::Int64] {
        let position = net.add(&[1, 3, 4], index, None, None);
        net.node(Op::ArgMax { axis: 3 }, &[x], &[position]);
        outputs.push(position);
    }
    outputs.push(net.scaled(Op::LogSoftmax, x, (1.0 / 16.0, 127)));
    outputs.push(net.scaled(Op::L2Normalization, x, (1.0 / 128.0, 0)));
    net.finish(&outputs)
}

/// From every type to every other that there is a kernel for.
fn conversions(random: &mut Random) -> Graph {
    use DataType::{Float32, Int8, Int16, Int32};
    let (mut net, x) = Network::new(Float32, &[1, 5], random);
    let sum = net.typed(&[1, 5], Int32, None);
    net.graph.inputs.push(sum);
    net.graph.normalization.push(None);
    let mut outputs = Vec::new();
    for (input, types) in [
        (x, &[Int8, Int16, Int8, Float32][..]),
        (x, &[Int16, Int16, Float32]),
        (x, &[Int8, Int8]),
        (sum, &[Int16, Int8]),
    ] {
        let mut x = input;
        for data_type in types {
            let output = net.typed(&[1, 5], *data_type, None);
            net.node(Op::Quantize, &[x], &[output]);
            x = output;
        }
        outputs.push(x);
    }
    net.finish(&outputs)
}

/// Every function of reals, and normalisations of rows.
fn functions(random: &mut Random) -> Graph {
    use Function::*;
    let (mut net, mut x) = Network::new(DataType::Float32, &[1, 4], random);
    let all =
        [Exp, Log, Abs, Neg, Square, Sqrt, Rsqrt, Sin, Cos, Floor, Ceil, Round, Elu, HardSwish, Erf, Gelu, GeluTanh];
    for function in all {
        x = net.layer(Op::Function(function), &[x], &[1, 4]);
    }
    let [gamma, beta] = [0, 1].map(|_| net.weights(&[4]));
    let x = net.layer(Op::LayerNorm { epsilon: 1e-5 }, &[x, gamma, beta], &[1, 4]);
    let x = net.layer(Op::RmsNorm { epsilon: 1e-5 }, &[x, gamma], &[1, 4]);
    net.finish(&[x])
}

/// An LSTM as TensorFlow Lite has it, with a state that a run leaves for the next.
fn lstm(data_type: DataType, random: &mut Random) -> Graph {
    let (time, depth, units) = (2, 3, 4);
    let (mut net, x) = Network::new(data_type, &[1, time, depth], random);
    let mut operands = vec![x];
    for _ in 0..4 {
        operands.extend([net.weights(&[units, depth]), net.weights(&[units, units]), net.bias(units, 1.0)]);
    }
    let [sequence, hidden] = [&[1, time, units][..], &[1, units]].map(|shape| net.activation(shape));
    let cell = match data_type {
        DataType::Int8 => net.add(&[1, units], DataType::Int16, Some((1.0 / 2048.0, 0)), None),
        _ => net.activation(&[1, units]),
    };
    net.node(Op::Lstm { cell_clip: f32::INFINITY }, &operands, &[sequence, hidden, cell]);
    net.graph.states = vec![hidden, cell];
    net.finish(&[sequence])
}

/// Every recurrent cell; those that run forwards keep their states.
fn recurrent(random: &mut Random) -> Graph {
    let (time, units) = (2, 4);
    let (mut net, mut x) = Network::new(DataType::Float32, &[1, time, units], random);
    for (cell, reverse) in [
        (Cell::Rnn { activation: NONE }, false),
        (Cell::Rnn { activation: Activation::Relu }, true),
        (Cell::Gru { reset_after: true }, false),
        (Cell::Gru { reset_after: false }, true),
        (Cell::Lstm, false),
    ] {
        let rows = cell.gates() * units;
        let shapes: [&[usize]; 4] = [&[rows, units], &[rows, units], &[rows], &[rows]];
        let mut operands = vec![x];
        operands.extend(shapes.map(|shape| net.weights(shape)));
        let shapes: [&[usize]; 3] = [&[1, time, units], &[1, units], &[1, units]];
        let outputs = shapes[..=cell.states()].iter().map(|shape| net.activation(shape)).collect::<Vec<_>>();
        net.node(Op::Recurrent { cell, reverse }, &operands, &outputs);
        x = outputs[0];
    }
    net.graph.keep_states();
    net.finish(&[x])
}

/// A mean over as many steps as an input says.
fn first_steps(data_type: DataType, random: &mut Random) -> Graph {
    let (mut net, x) = Network::new(data_type, &[1, 3, 4], random);
    let length = net.add(&[1], DataType::Int32, None, None);
    net.graph.inputs.push(length);
    net.graph.normalization.push(None);
    let mean = net.layer(Op::Mean { axes: vec![1], keep_dims: false }, &[x, length], &[1, 4]);
    net.finish(&[mean])
}

/// Attention with normalisation before and a smooth function behind, as Transformers have it; with a mask also an embedding
/// of tokens and a recurrent layer, and how many of the steps count.
fn encoder(masked: bool, random: &mut Random) -> Graph {
    let (steps, width) = (3, 4);
    let shape = [1, steps, width];
    let (mut net, mut x) = Network::new(DataType::Float32, &shape, random);
    let mut length = None;
    if masked {
        let [tokens, count] = [steps, 1].map(|extent| net.add(&[extent], DataType::Int32, None, None));
        net.graph.inputs.extend([tokens, count]);
        net.graph.normalization.extend([None, None]);
        let table = net.weights(&[5, width]);
        let embedded = net.layer(Op::Embedding, &[table, tokens], &shape);
        x = net.layer(Op::Add { activation: NONE }, &[x, embedded], &shape);
        let operands = [
            x,
            net.weights(&[width, width]),
            net.weights(&[width, width]),
            net.weights(&[width]),
            net.weights(&[width]),
            count,
        ];
        let outputs = [net.activation(&shape), net.activation(&[1, width])];
        let cell = Cell::Rnn { activation: NONE };
        net.node(Op::Recurrent { cell, reverse: true }, &operands, &outputs);
        (x, length) = (outputs[0], Some(count));
    }
    let [gamma, beta] = [0, 1].map(|_| net.weights(&[width]));
    let normal = net.layer(Op::LayerNorm { epsilon: 1e-5 }, &[x, gamma, beta], &shape);
    let dense = |net: &mut Network<'_>, x| {
        let operands = [x, net.weights(&[width, width]), net.bias(width, 0.1)];
        net.layer(Op::FullyConnected { activation: NONE }, &operands, &shape)
    };
    let [q, k, v] = [0, 1, 2].map(|_| dense(&mut net, normal));
    let product = |transpose_b| Op::BatchMatmul { transpose_a: false, transpose_b };
    let scores = net.layer(product(true), &[q, k], &[1, steps, steps]);
    let softmax = match masked {
        true => Op::MaskedSoftmax { beta: 0.5, visible: Some(1) },
        false => Op::Softmax { beta: 0.5 },
    };
    let operands: Vec<_> = [scores].into_iter().chain(length).collect();
    let probabilities = net.layer(softmax, &operands, &[1, steps, steps]);
    let context = net.layer(product(false), &[probabilities, v], &shape);
    let y = net.layer(Op::Function(Function::Gelu), &[context], &shape);
    let y = dense(&mut net, y);
    let x = net.layer(Op::Add { activation: NONE }, &[x, y], &shape);
    let x = net.layer(Op::RmsNorm { epsilon: 1e-5 }, &[x, gamma], &shape);
    net.finish(&[x])
}
