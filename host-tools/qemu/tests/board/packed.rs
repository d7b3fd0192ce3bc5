//! A core's kernels give the bits of the reference on any shape: random layers, computed by the host from row-major and
//! from packed weights, and by the boards from packed ones.

use nervelet::kernels::packing::Form;
use nervelet::learn::Pcg32;
use nervelet::ops::{DataType, OpKind, in_place, packed_layer};
use nervelet::{Model, Session};
use nervelet_compiler::graph::{Activation, Data, Graph, Node, Op, Padding, Quantization, Tensor, TensorId, Window};
use nervelet_compiler::{AlignedBytes, CompileOptions, Target, compile};

use crate::support::board;

const CASES: usize = 2;
const LAYERS: usize = 24;

/// A graph of layers side by side, each with an input and an output of its own.
pub(crate) struct Layers {
    random: Pcg32,
    pub(crate) graph: Graph,
}

impl Layers {
    fn new(seed: u64) -> Self {
        Self { random: Pcg32::new(seed), graph: Graph { name: "layers".into(), ..Graph::default() } }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u32) as usize
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(crate) fn code(&mut self) -> i8 {
        // Extremes often, where sums are largest.
        match self.below(6) {
            0 => -128,
            1 => 127,
            _ => self.below(256) as u8 as i8,
        }
    }

    fn tensor(&mut self, shape: &[usize], quantization: Quantization, data: Option<Data>) -> TensorId {
        let data_type = data.as_ref().map_or(DataType::Int8, Data::data_type);
        self.tensor_of(shape, data_type, quantization, data)
    }

    pub(crate) fn tensor_of(
        &mut self,
        shape: &[usize],
        data_type: DataType,
        quantization: Quantization,
        data: Option<Data>,
    ) -> TensorId {
        let name = format!("t{}", self.graph.tensors.len());
        self.graph.add_tensor(Tensor { name, shape: shape.into(), data_type, quantization: Some(quantization), data })
    }

    /// Adds a node whose first inputs are the graph's.
    pub(crate) fn node(&mut self, op: Op, inputs: Vec<TensorId>, activations: usize, output: TensorId) {
        let name = format!("layer {}", self.graph.nodes.len());
        self.graph.inputs.extend(&inputs[..activations]);
        self.graph.normalization.extend(vec![None; activations]);
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        self.graph.outputs.push(output);
    }

    pub(crate) fn zero_point(&mut self) -> i32 {
        let any = self.below(256) as i32 - 128;
        self.one_of(&[-128, -128, 127, 0, any])
    }

    /// Adds an int16 layer over an input; weights have `outputs` channels along `axis`.
    fn wide_layer(&mut self, op: Op, input: &[usize], weights: &[usize], axis: usize, output: &[usize]) {
        let outputs = weights[axis];
        let elements: usize = weights.iter().product();
        let usual = 1.0 / (75.0 * ((elements / outputs) as f32).sqrt());
        // From vanishing to saturating, beyond what products of 32 bits reach.
        let kind = self.below(4);
        let scales = (0..outputs).map(|_| match kind {
            0 => self.one_of(&[0.0, 1e-10, 1e-6, 5e-6, usual, 0.3, 0.7, 3.0, 5000.0]),
            _ => usual * (0.25 + self.below(1000) as f32 / 500.0),
        });
        let scales: Vec<f32> = scales.collect();
        let weight_quantization = Quantization { zero_points: vec![0; outputs], axis, scales };
        let x = self.tensor_of(input, DataType::Int16, Quantization::per_tensor(0.01, 0), None);
        let codes = (0..elements).map(|_| self.code()).collect();
        let weights = self.tensor(weights, weight_quantization, Some(Data::Int8(codes)));
        let mut inputs = vec![x, weights];
        let largest = self.one_of(&[10, 20, 20, 32]);
        if self.below(4) > 0 {
            let bias = (0..outputs).map(|_| i64::from(self.below(20_000) as i32 - 10_000) << self.below(largest));
            let bias = Some(Data::Int64(bias.collect()));
            inputs.push(self.tensor(&[outputs], Quantization::per_tensor(1.0, 0), bias));
        }
        let y = self.tensor_of(output, DataType::Int16, Quantization::per_tensor(0.01, 0), None);
        self.node(op, inputs, 1, y);
    }

    /// Adds a layer over an input; weights have `outputs` channels along `axis`.
    fn layer(&mut self, op: Op, input: &[usize], weights: &[usize], axis: usize, output: &[usize]) {
        let zero_point = self.zero_point();
        let x = self.tensor(input, Quantization::per_tensor(0.05, zero_point), None);
        let outputs = weights[axis];
        let elements: usize = weights.iter().product();
        // Sums are near the square root of the depth times 5000: the range of factors goes from vanishing to saturating.
        let depth = (elements / outputs) as f32;
        let usual = 20.0 / (depth.sqrt() * 5000.0);
        let kind = self.below(8);
        let scales = (0..outputs).map(|_| {
            let factor = match kind {
                0 => self.one_of(&[0.0, 1e-10, 4.7e-10, usual, 0.3]),
                1 => self.one_of(&[usual, 0.5, 0.9, 1.0, 3.0]),
                _ => usual * (0.25 + self.below(1000) as f32 / 500.0),
            };
            factor * 0.5 / 0.05
        });
        let scales: Vec<f32> = scales.collect();
        let weight_quantization = Quantization { zero_points: vec![0; outputs], axis, scales };
        // Some kernels take products together where the weights of a channel are small, and none of -128.
        let limits = self.one_of(&[[-128, -128], [-127, -127], [-127, -63], [-63, -63]]);
        let channel = |at: usize| if axis == 0 { at / (elements / outputs) } else { at % outputs };
        let codes = (0..elements).map(|at| {
            let limit: i8 = limits[channel(at) % 2];
            self.code().clamp(limit, !limit)
        });
        let codes = codes.collect();
        let weights = self.tensor(weights, weight_quantization, Some(Data::Int8(codes)));
        let bias: Vec<i32> = (0..outputs).map(|_| self.below(20_000) as i32 - 10_000).collect();
        let bias = self.tensor(&[outputs], Quantization::per_tensor(1.0, 0), Some(Data::Int32(bias)));
        let zero_point = self.zero_point();
        let y = self.tensor(output, Quantization::per_tensor(0.5, zero_point), None);
        self.node(op, vec![x, weights, bias], 1, y);
    }

    fn activation(&mut self) -> Activation {
        self.one_of(&[Activation::None, Activation::Relu, Activation::Relu, Activation::Relu6, Activation::ReluN1To1])
    }

    /// Adds a sum or a product of two inputs.
    fn pair(&mut self, op: Op, shape: &[usize]) {
        let scale = self.one_of(&[0.05, 0.011, 0.2]);
        let [a, b, c] = [0.05, scale, 0.08].map(|scale| {
            let zero_point = self.zero_point();
            self.tensor(shape, Quantization::per_tensor(scale, zero_point), None)
        });
        let inputs = if self.below(2) == 0 { vec![a, b] } else { vec![b, a] };
        self.node(op, inputs, 2, c);
    }

    /// Adds a pooling of an input.
    fn pool(&mut self, op: Op, input: &[usize], output: &[usize]) {
        let zero_point = self.zero_point();
        let [x, y] = [input, output].map(|shape| self.tensor(shape, Quantization::per_tensor(0.05, zero_point), None));
        self.node(op, vec![x], 1, y);
    }

    /// A window that fits an image, with the image and the output.
    fn window(&mut self) -> (Window, [usize; 2], [usize; 2]) {
        loop {
            let image = [1 + self.below(9), 1 + self.below(9)];
            let kernel = self.one_of(&[[1, 1], [1, 1], [3, 3], [3, 3], [5, 1], [1, 4], [2, 3], [4, 4], [10, 4]]);
            let stride = self.one_of(&[[1, 1], [1, 1], [2, 2], [1, 2], [3, 1]]);
            let dilation = self.one_of(&[[1, 1], [1, 1], [1, 1], [2, 1], [1, 2]]);
            let padding = match self.below(3) {
                0 => Padding::default(),
                1 => Padding::same(image, kernel, stride, dilation),
                _ => Padding { top: self.below(kernel[0]), left: self.below(kernel[1]), bottom: 1, right: 2 },
            };
            let window = Window { kernel, stride, dilation, padding };
            let Some(output) = window.output(image) else { continue };
            // Every output has a tap in the image.
            let last = |axis: usize, before: usize| (output[axis] - 1) * stride[axis] < image[axis] + before;
            if last(0, padding.top) && last(1, padding.left) {
                return (window, image, output);
            }
        }
    }

    /// Adds a layer over an int16 input.
    fn add_wide(&mut self) {
        let activation = self.one_of(&[Activation::None, Activation::None, Activation::Relu]);
        let (window, image, out) = self.window();
        let [rows, columns] = window.kernel;
        let inputs = self.one_of(&[1, 3, 4, 7, 8, 10, 16, 21, 32]);
        let image_in = [1, image[0], image[1], inputs];
        match self.below(3) {
            0 => {
                let outputs = self.one_of(&[1, 2, 5, 8]);
                let op = Op::Conv2d { window, groups: 1, activation };
                let output = [1, out[0], out[1], outputs];
                self.wide_layer(op, &image_in, &[outputs, rows, columns, inputs], 0, &output);
            }
            1 => {
                let op = Op::DepthwiseConv2d { window, multiplier: 1, activation };
                let output = [1, out[0], out[1], inputs];
                self.wide_layer(op, &image_in, &[rows, columns, inputs], 2, &output);
            }
            _ => {
                let depths = [1 + self.below(40), 1 + self.below(700)];
                let (depth, outputs) = (self.one_of(&depths), 1 + self.below(9));
                let op = Op::FullyConnected { activation };
                self.wide_layer(op, &[2, depth], &[outputs, depth], 0, &[2, outputs]);
            }
        }
    }

    /// Adds a dense layer of few inputs and outputs, down to one of each.
    fn add_small_dense(&mut self) {
        let depths = [1 + self.below(20), 1 + self.below(70)];
        let (depth, outputs, count) = (self.one_of(&depths), 1 + self.below(13), self.one_of(&[1, 1, 1, 1, 2, 3]));
        let op = Op::FullyConnected { activation: self.activation() };
        self.layer(op, &[count, depth], &[outputs, depth], 0, &[count, outputs]);
    }

    /// Adds a depthwise layer of any number of channels, of few outputs or many.
    fn add_depthwise(&mut self) {
        let activation = self.activation();
        let (window, image, out) = self.window();
        let [rows, columns] = window.kernel;
        let counts = [1 + self.below(8), 1 + self.below(50), 16 * (1 + self.below(3))];
        let channels = self.one_of(&counts);
        let op = Op::DepthwiseConv2d { window, multiplier: 1, activation };
        let [input, output] = [image, out].map(|[rows, columns]| [1, rows, columns, channels]);
        self.layer(op, &input, &[rows, columns, channels], 2, &output);
    }

    /// Adds a layer that can write over its input: of single pixels, or depthwise with padding all around.
    fn add_in_place(&mut self) {
        let (rows, columns) = (4 + self.below(24), 1 + self.below(9));
        if self.below(2) == 0 {
            let channels = self.one_of(&[1, 2, 3, 4, 8, 13, 32]);
            let outputs = self.one_of(&[2, 3, 4, 8, 21, 32]);
            let op = Op::Conv2d { window: Window::new([1, 1]), groups: 1, activation: self.activation() };
            let (input, output) = ([1, rows, columns, channels], [1, rows, columns, outputs]);
            return self.layer(op, &input, &[outputs, 1, 1, channels], 0, &output);
        }
        let (image, channels) = ([8 + rows % 22, columns], self.one_of(&[4, 8, 20, 10]));
        let window = Window { padding: Padding::symmetric(1, 1), ..Window::new([3, 3]) };
        let op = Op::DepthwiseConv2d { window, multiplier: 1, activation: self.activation() };
        let image = [1, image[0], image[1], channels];
        self.layer(op, &image, &[3, 3, channels], 2, &image);
    }

    fn add_any(&mut self) {
        let activation = self.activation();
        let (window, image, out) = self.window();
        let [rows, columns] = window.kernel;
        let inputs = self.one_of(&[1, 3, 4, 7, 8, 10, 16, 21, 32]);
        let image_in = [1, image[0], image[1], inputs];
        match self.below(9) {
            4 => {
                let op = self.one_of(&[true, false]);
                let op = if op { Op::Add { activation } } else { Op::Mul { activation } };
                self.pair(op, &image_in);
            }
            5 => {
                let op = self.one_of(&[true, false]);
                // Sometimes more codes than fit small sums.
                let whole = [17, 16];
                let all = Window { kernel: whole, stride: [1; 2], dilation: [1; 2], padding: Padding::default() };
                let (window, image, out) = if self.below(4) == 0 { (all, whole, [1; 2]) } else { (window, image, out) };
                let op = match op {
                    true => Op::MaxPool2d { window, activation },
                    false => Op::AveragePool2d { window, activation },
                };
                self.pool(op, &[1, image[0], image[1], inputs], &[1, out[0], out[1], inputs]);
            }
            6..=8 => self.add_wide(),
            0 | 1 => {
                let outputs = self.one_of(&[1, 2, 3, 4, 5, 8, 13, 16]);
                let op = Op::Conv2d { window, groups: 1, activation };
                let output = [1, out[0], out[1], outputs];
                self.layer(op, &image_in, &[outputs, rows, columns, inputs], 0, &output);
            }
            2 => {
                let multiplier = self.one_of(&[1, 1, 1, 1, 2, 8]);
                let outputs = inputs * multiplier;
                let op = Op::DepthwiseConv2d { window, multiplier, activation };
                let output = [1, out[0], out[1], outputs];
                self.layer(op, &image_in, &[rows, columns, outputs], 2, &output);
            }
            _ => {
                let (depth, outputs, count) = (1 + self.below(200), 1 + self.below(20), self.one_of(&[1, 1, 2, 5, 9]));
                let op = Op::FullyConnected { activation };
                self.layer(op, &[count, depth], &[outputs, depth], 0, &[count, outputs]);
            }
        }
    }
}

/// What the host makes of the cases.
fn host(bytes: &[u8], cases: &[Vec<Vec<u8>>]) -> Vec<Vec<Vec<u8>>> {
    let bytes = AlignedBytes::from(bytes);
    let model = Model::from_bytes(&bytes).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena).unwrap();
    let run = |inputs: &Vec<Vec<u8>>| {
        for (index, input) in inputs.iter().enumerate() {
            session.input_bytes_mut(index).unwrap().copy_from_slice(input);
        }
        session.invoke().unwrap();
        (0..model.outputs().len()).map(|index| session.output_bytes(index).unwrap().to_vec()).collect()
    };
    cases.iter().map(run).collect()
}

fn random_layers_equal_the_reference(name: &str, target: Target, seeds: std::ops::Range<u64>) {
    equal_the_reference(name, target, seeds, Layers::add_any);
}

/// Networks of random layers on the host and on a board.
pub(crate) fn equal_the_reference(name: &str, target: Target, seeds: std::ops::Range<u64>, add: fn(&mut Layers)) {
    let Some(board) = board(name) else { return };
    for seed in seeds {
        let mut layers = Layers::new(seed);
        for _ in 0..LAYERS {
            add(&mut layers);
        }
        let options = |target| CompileOptions { target, ..CompileOptions::default() };
        let plain = compile(&layers.graph, &options(Target::Any)).unwrap();
        let packed = compile(&layers.graph, &options(target)).unwrap();
        let model = Model::from_bytes(&packed.bytes).unwrap();
        // Files name a core for their packed layers.
        let kinds: Vec<OpKind> = model.steps().filter_map(|step| step.kind()).collect();
        let packs = kinds.iter().any(|kind| packed_kinds().contains(kind));
        assert_eq!(model.program().header.core, if packs { target.core() } else { 0 });
        let sizes: Vec<usize> = layers
            .graph
            .inputs
            .iter()
            .map(|id| layers.graph.tensor(*id))
            .map(|x| x.elements() * x.data_type.bytes())
            .collect();
        let cases: Vec<Vec<Vec<u8>>> = (0..CASES)
            .map(|_| sizes.iter().map(|size| (0..*size).map(|_| layers.code().cast_unsigned()).collect()).collect())
            .collect();
        let expected = host(&plain.bytes, &cases);
        let find = |found: &[Vec<Vec<u8>>], place: &str| {
            for (case, (found, expected)) in found.iter().zip(&expected).enumerate() {
                for (layer, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let node = &layers.graph.nodes[layer];
                    let shapes: Vec<_> = node.inputs.iter().map(|id| &layers.graph.tensor(*id).shape).collect();
                    let different = found.iter().zip(expected).filter(|(a, b)| a != b).count();
                    assert_eq!(
                        different,
                        0,
                        "{place}, seed {seed}, case {case}: {} of {} codes of layer {layer} differ: {:?} {shapes:?}\n{found:?}\n{expected:?}",
                        different,
                        expected.len(),
                        node.op
                    );
                    assert_eq!(found.len(), expected.len());
                }
            }
            assert_eq!(found.len(), expected.len());
        };
        find(&host(&packed.bytes, &cases), "host");
        find(&board.run(&packed.bytes, &cases).unwrap().outputs, name);
    }
}

/// The kinds of steps with weights packed for a core.
fn packed_kinds() -> Vec<OpKind> {
    let forms = [
        Form::Convolution,
        Form::Pixels,
        Form::PlainConvolution,
        Form::Depthwise,
        Form::DepthwiseColumns,
        Form::DirectDense,
    ];
    let of_form = forms.iter().flat_map(|form| [Some(packed_layer::kind(*form)), in_place::kind(*form)]);
    of_form.flatten().chain([OpKind::FullyConnectedPacked]).collect()
}

#[test]
fn layers_in_place_on_the_m4() {
    let mut layers = Layers::new(800);
    (0..LAYERS).for_each(|_| layers.add_in_place());
    let options = CompileOptions { target: Target::Dsp, ..CompileOptions::default() };
    let file = compile(&layers.graph, &options).unwrap();
    let model = Model::from_bytes(&file.bytes).unwrap();
    for kind in [OpKind::PointwiseInPlacePacked, OpKind::DepthwiseInPlacePacked] {
        assert!(model.steps().filter(|step| step.kind() == Some(kind)).count() > LAYERS / 8, "{kind:?}");
    }
    equal_the_reference("qemu-m4", Target::Dsp, 800..804, Layers::add_in_place);
}

#[test]
fn random_layers_on_the_m4() {
    random_layers_equal_the_reference("qemu-m4", Target::Dsp, 0..12);
}

#[test]
fn random_layers_on_the_m7() {
    random_layers_equal_the_reference("qemu-m7", Target::Dsp, 100..101);
}

#[test]
fn random_layers_on_the_m33() {
    random_layers_equal_the_reference("qemu-m33", Target::Dsp, 200..202);
}

#[test]
fn random_layers_on_the_m3() {
    random_layers_equal_the_reference("qemu-m3", Target::Armv7m, 300..306);
}

#[test]
fn random_layers_on_the_m0() {
    random_layers_equal_the_reference("qemu-m0", Target::Armv6m, 400..406);
}

#[test]
fn random_layers_on_the_m55() {
    random_layers_equal_the_reference("qemu-m55", Target::Mve, 500..508);
}

#[test]
fn depthwise_layers_on_the_m55() {
    equal_the_reference("qemu-m55", Target::Mve, 510..518, Layers::add_depthwise);
}

#[test]
fn small_dense_layers_on_every_core() {
    for (name, target, seed) in [
        ("qemu-m4", Target::Dsp, 700),
        ("qemu-m4", Target::DspWide, 705),
        ("qemu-m3", Target::Armv7m, 710),
        ("qemu-m0", Target::Armv6m, 720),
        ("qemu-m55", Target::Mve, 730),
    ] {
        equal_the_reference(name, target, seed..seed + 4, Layers::add_small_dense);
    }
}

#[test]
fn wide_layers_on_the_m4() {
    equal_the_reference("qemu-m4", Target::Dsp, 600..602, Layers::add_wide);
}

#[test]
fn wide_layers_on_the_m3() {
    equal_the_reference("qemu-m3", Target::Armv7m, 610..614, Layers::add_wide);
}

#[test]
fn wide_layers_on_the_m0() {
    equal_the_reference("qemu-m0", Target::Armv6m, 620..624, Layers::add_wide);
}

#[test]
fn wide_layers_on_the_m55() {
    equal_the_reference("qemu-m55", Target::Mve, 630..634, Layers::add_wide);
}

#[test]
fn other_cores_refuse_packed_files() {
    let Some(board) = board("qemu-m3") else { return };
    let mut layers = Layers::new(1);
    layers.add_any();
    layers.layer(Op::FullyConnected { activation: Activation::None }, &[1, 8], &[4, 8], 0, &[1, 4]);
    let options = CompileOptions { target: Target::Dsp, ..CompileOptions::default() };
    let packed = compile(&layers.graph, &options).unwrap();
    let said = format!("{:#}", board.run(&packed.bytes, &[]).unwrap_err());
    assert!(said.contains("WrongCore"), "{said}");
}
