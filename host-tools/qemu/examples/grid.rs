//! What single layers cost on a board beside CMSIS-NN's best build for a Cortex-M4, whose figures leave out any
//! interpreter: `grid BOARD TARGET`.

use anyhow::{Context, Result};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Data, Graph, Node, Op, Padding, Quantization, Tensor, TensorId, Window};
use nervelet_compiler::{CompileOptions, compile};
use nervelet_qemu::Board;

/// A layer: name, what it is, CMSIS-NN's instructions.
type Case = (&'static str, Kind, u64);

#[derive(Clone, Copy)]
enum Kind {
    /// Kernel, stride, input and output channels, output image; padding as the shapes need.
    Conv([usize; 2], usize, [usize; 2], [usize; 2], DataType),
    Depthwise([usize; 2], usize, usize, [usize; 2], DataType),
    Dense([usize; 2], DataType),
    Add(usize),
    Mul(usize),
    /// Maximum, window with its stride, channels, output image.
    Pool(bool, [usize; 2], usize, [usize; 2]),
    Softmax(usize),
}

const I8: DataType = DataType::Int8;
const I16: DataType = DataType::Int16;

const CASES: &[Case] = &[
    ("conv1x1 7->7 @10x10", Kind::Conv([1, 1], 1, [7, 7], [10, 10], I8), 40_007),
    ("conv1x1 8->8 @10x10", Kind::Conv([1, 1], 1, [8, 8], [10, 10], I8), 38_478),
    ("conv1x1 10->10 @10x10", Kind::Conv([1, 1], 1, [10, 10], [10, 10], I8), 56_110),
    ("conv1x1 16->16 @10x10", Kind::Conv([1, 1], 1, [16, 16], [10, 10], I8), 93_550),
    ("conv1x1 25->25 @10x10", Kind::Conv([1, 1], 1, [25, 25], [10, 10], I8), 209_894),
    ("conv1x1 32->32 @10x10", Kind::Conv([1, 1], 1, [32, 32], [10, 10], I8), 261_246),
    ("conv1x1 64->64 @10x10", Kind::Conv([1, 1], 1, [64, 64], [10, 10], I8), 819_646),
    ("conv1x1 8->16 @10x10", Kind::Conv([1, 1], 1, [8, 16], [10, 10], I8), 76_766),
    ("conv1x1 64->10 @10x10", Kind::Conv([1, 1], 1, [64, 10], [10, 10], I8), 128_230),
    ("conv1x1 10->64 @10x10", Kind::Conv([1, 1], 1, [10, 64], [10, 10], I8), 358_078),
    ("conv1x1s2 32->64 @5x5", Kind::Conv([1, 1], 2, [32, 64], [5, 5], I8), 179_274),
    ("conv3x3 1->8 @10x10", Kind::Conv([3, 3], 1, [1, 8], [10, 10], I8), 94_940),
    ("conv3x3 3->8 @10x10", Kind::Conv([3, 3], 1, [3, 8], [10, 10], I8), 126_982),
    ("conv3x3 7->7 @10x10", Kind::Conv([3, 3], 1, [7, 7], [10, 10], I8), 181_930),
    ("conv3x3 8->8 @10x10", Kind::Conv([3, 3], 1, [8, 8], [10, 10], I8), 195_450),
    ("conv3x3 10->10 @10x10", Kind::Conv([3, 3], 1, [10, 10], [10, 10], I8), 272_570),
    ("conv3x3 16->16 @10x10", Kind::Conv([3, 3], 1, [16, 16], [10, 10], I8), 526_146),
    ("conv3x3 25->25 @10x10", Kind::Conv([3, 3], 1, [25, 25], [10, 10], I8), 1_149_208),
    ("conv3x3s2 16->32 @5x5", Kind::Conv([3, 3], 2, [16, 32], [5, 5], I8), 246_555),
    ("conv1x3 10->10 @1x30", Kind::Conv([1, 3], 1, [10, 10], [1, 30], I8), 37_939),
    ("conv1x3 32->32 @1x30", Kind::Conv([1, 3], 1, [32, 32], [1, 30], I8), 202_641),
    ("dw3x3 7 @12x12", Kind::Depthwise([3, 3], 1, 7, [12, 12], I8), 95_288),
    ("dw3x3 8 @12x12", Kind::Depthwise([3, 3], 1, 8, [12, 12], I8), 81_518),
    ("dw3x3 10 @12x12", Kind::Depthwise([3, 3], 1, 10, [12, 12], I8), 116_206),
    ("dw3x3 25 @12x12", Kind::Depthwise([3, 3], 1, 25, [12, 12], I8), 245_430),
    ("dw3x3 64 @12x12", Kind::Depthwise([3, 3], 1, 64, [12, 12], I8), 586_947),
    ("dw3x3s2 7 @6x6", Kind::Depthwise([3, 3], 2, 7, [6, 6], I8), 24_049),
    ("dw3x3s2 8 @6x6", Kind::Depthwise([3, 3], 2, 8, [6, 6], I8), 20_598),
    ("dw3x3s2 10 @6x6", Kind::Depthwise([3, 3], 2, 10, [6, 6], I8), 29_270),
    ("dw3x3s2 64 @6x6", Kind::Depthwise([3, 3], 2, 64, [6, 6], I8), 146_837),
    ("dw5x1 7 @20x1", Kind::Depthwise([5, 1], 1, 7, [20, 1], I8), 20_363),
    ("dw5x1 8 @20x1", Kind::Depthwise([5, 1], 1, 8, [20, 1], I8), 19_303),
    ("dw5x1 64 @20x1", Kind::Depthwise([5, 1], 1, 64, [20, 1], I8), 97_423),
    ("dw5x5 10 @12x12", Kind::Depthwise([5, 5], 1, 10, [12, 12], I8), 478_951),
    ("fc 7->7", Kind::Dense([7, 7], I8), 651),
    ("fc 10->10", Kind::Dense([10, 10], I8), 848),
    ("fc 25->25", Kind::Dense([25, 25], I8), 2_634),
    ("fc 32->3", Kind::Dense([32, 3], I8), 491),
    ("fc 64->10", Kind::Dense([64, 10], I8), 1_793),
    ("fc 64->64", Kind::Dense([64, 64], I8), 10_649),
    ("fc 128->128", Kind::Dense([128, 128], I8), 36_505),
    ("fc 640->128", Kind::Dense([640, 128], I8), 159_385),
    ("fc 8->128", Kind::Dense([8, 128], I8), 7_641),
    ("fc 256->2", Kind::Dense([256, 2], I8), 1_202),
    ("add 100", Kind::Add(100), 5_584),
    ("add 1024", Kind::Add(1024), 56_404),
    ("mul 1024", Kind::Mul(1024), 28_219),
    ("avgpool8x8 64 @1x1", Kind::Pool(false, [8, 8], 64, [1, 1]), 26_414),
    ("avgpool2x2 16 @8x8", Kind::Pool(false, [2, 2], 16, [8, 8]), 46_655),
    ("avgpool8x8 10 @1x1", Kind::Pool(false, [8, 8], 10, [1, 1]), 4_976),
    ("maxpool2x2 16 @8x8", Kind::Pool(true, [2, 2], 16, [8, 8]), 43_670),
    ("maxpool2x2 10 @8x8", Kind::Pool(true, [2, 2], 10, [8, 8]), 31_734),
    ("softmax 2", Kind::Softmax(2), 1_247),
    ("softmax 10", Kind::Softmax(10), 5_364),
    ("softmax 12", Kind::Softmax(12), 6_369),
    ("softmax 100", Kind::Softmax(100), 50_703),
    ("conv1x1 s16 16->16 @10x10", Kind::Conv([1, 1], 1, [16, 16], [10, 10], I16), 120_226),
    ("conv1x1 s16 25->25 @10x10", Kind::Conv([1, 1], 1, [25, 25], [10, 10], I16), 234_324),
    ("conv1x1 s16 64->64 @10x10", Kind::Conv([1, 1], 1, [64, 64], [10, 10], I16), 995_024),
    ("conv3x3 s16 16->16 @10x10", Kind::Conv([3, 3], 1, [16, 16], [10, 10], I16), 540_028),
    ("conv3x3 s16 10->10 @10x10", Kind::Conv([3, 3], 1, [10, 10], [10, 10], I16), 264_127),
    ("dw3x3 s16 10 @12x12", Kind::Depthwise([3, 3], 1, 10, [12, 12], I16), 219_717),
    ("dw3x3 s16 64 @12x12", Kind::Depthwise([3, 3], 1, 64, [12, 12], I16), 1_007_624),
    ("fc s16 64->64", Kind::Dense([64, 64], I16), 13_439),
    ("fc s16 128->128", Kind::Dense([128, 128], I16), 46_207),
    ("fc s16 25->25", Kind::Dense([25, 25], I16), 3_154),
];

/// Layers side by side, each with an input and an output of its own.
struct Layers(Graph);

impl Layers {
    fn tensor(&mut self, shape: &[usize], data_type: DataType, scale: f32, data: Option<Data>) -> TensorId {
        let name = format!("t{}", self.0.tensors.len());
        let zero_point = if data_type == I8 && data.is_none() { -3 } else { 0 };
        let quantization = Some(Quantization::per_tensor(scale, zero_point));
        self.0.add_tensor(Tensor { name, shape: shape.into(), data_type, quantization, data })
    }

    fn activation(&mut self, shape: &[usize], data_type: DataType) -> TensorId {
        self.tensor(shape, data_type, if data_type == I8 { 0.05 } else { 0.0005 }, None)
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, activations: usize, output: TensorId) {
        self.0.inputs.extend(&inputs[..activations]);
        self.0.normalization.extend(vec![None; activations]);
        self.0.nodes.push(Node { name: name.into(), op, inputs, outputs: vec![output] });
        self.0.outputs.push(output);
    }

    /// A layer with weights, `outputs` along their `axis`.
    fn layer(&mut self, name: &str, op: Op, [input, weights, output]: [&[usize]; 3], axis: usize, of: DataType) {
        let outputs = weights[axis];
        let x = self.activation(input, of);
        let codes = (0..weights.iter().product::<usize>()).map(|i| (i * 37 % 251) as u8 as i8).map(|w| w.max(-127));
        let quantization = Quantization { zero_points: vec![0; outputs], axis, scales: vec![0.003; outputs] };
        let w = self.tensor(weights, I8, 1.0, Some(Data::Int8(codes.collect())));
        self.0.tensors[w.0].quantization = Some(quantization);
        let bias = (0..outputs).map(|i| i as i32 * 10);
        let bias = if of == I8 { Data::Int32(bias.collect()) } else { Data::Int64(bias.map(i64::from).collect()) };
        let b = self.tensor(&[outputs], bias.data_type(), 1.0, Some(bias));
        let y = self.activation(output, of);
        self.node(name, op, vec![x, w, b], 1, y);
    }

    fn add(&mut self, name: &str, kind: Kind) {
        let none = Activation::None;
        let window = |kernel: [usize; 2], stride: usize, [rows, columns]: [usize; 2]| {
            let image = [rows * stride, columns * stride];
            let padding = Padding::same(image, kernel, [stride; 2], [1; 2]);
            (Window { kernel, stride: [stride; 2], dilation: [1; 2], padding }, image)
        };
        match kind {
            Kind::Conv(kernel, stride, [i, o], out, of) => {
                let (window, image) = window(kernel, stride, out);
                let op = Op::Conv2d { window, groups: 1, activation: none };
                let [input, output] = [[1, image[0], image[1], i], [1, out[0], out[1], o]];
                self.layer(name, op, [&input, &[o, kernel[0], kernel[1], i], &output], 0, of);
            }
            Kind::Depthwise(kernel, stride, channels, out, of) => {
                let (window, image) = window(kernel, stride, out);
                let op = Op::DepthwiseConv2d { window, multiplier: 1, activation: none };
                let [input, output] = [[1, image[0], image[1], channels], [1, out[0], out[1], channels]];
                self.layer(name, op, [&input, &[kernel[0], kernel[1], channels], &output], 2, of);
            }
            Kind::Dense([i, o], of) => {
                self.layer(name, Op::FullyConnected { activation: none }, [&[1, i], &[o, i], &[1, o]], 0, of);
            }
            Kind::Add(count) | Kind::Mul(count) => {
                let [a, b, y] = [0.05, 0.03, 0.06].map(|scale| self.tensor(&[1, count], I8, scale, None));
                let op = match kind {
                    Kind::Add(_) => Op::Add { activation: none },
                    _ => Op::Mul { activation: none },
                };
                self.node(name, op, vec![a, b], 2, y);
            }
            Kind::Pool(maximum, kernel, channels, out) => {
                let window = Window { kernel, stride: kernel, dilation: [1; 2], padding: Padding::default() };
                let x = self.activation(&[1, out[0] * kernel[0], out[1] * kernel[1], channels], I8);
                let y = self.activation(&[1, out[0], out[1], channels], I8);
                let op = match maximum {
                    true => Op::MaxPool2d { window, activation: none },
                    false => Op::AveragePool2d { window, activation: none },
                };
                self.node(name, op, vec![x], 1, y);
            }
            Kind::Softmax(count) => {
                let x = self.activation(&[1, count], I8);
                let y = self.tensor(&[1, count], I8, 1.0 / 256.0, None);
                self.0.tensors[y.0].quantization = Some(Quantization::per_tensor(1.0 / 256.0, -128));
                self.node(name, Op::Softmax { beta: 1.0 }, vec![x], 1, y);
            }
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "grid BOARD TARGET";
    let board = Board::from_name(&arguments.next().context(usage)?)?;
    let target = arguments.next().context(usage)?.parse()?;
    let mut layers = Layers(Graph { name: "grid".into(), ..Graph::default() });
    for (name, kind, _) in CASES {
        layers.add(name, *kind);
    }
    let compiled = compile(&layers.0, &CompileOptions { target, ..CompileOptions::default() })?;
    let mut seed = 1_u32;
    let mut byte = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let bytes = |id: &TensorId| layers.0.tensor(*id).elements() * layers.0.tensor(*id).data_type.bytes();
    let inputs: Vec<Vec<u8>> = layers.0.inputs.iter().map(|id| (0..bytes(id)).map(|_| byte()).collect()).collect();
    let bench = board.bench(&compiled.bytes, &inputs)?;
    for ((name, _, cmsis), cost) in CASES.iter().zip(&bench.steps) {
        let ratio = *cmsis as f64 / cost.instructions as f64;
        println!("{name:28} {:9} CMSIS-NN {cmsis:9} {ratio:5.2}x", cost.instructions);
    }
    Ok(())
}
