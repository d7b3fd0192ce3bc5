//! What single layers cost on a board beside CMSIS-NN's best build for its core, whose figures leave out any interpreter:
//! `grid BOARD TARGET`.

use anyhow::{Context, Result};
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Data, Graph, Node, Op, Padding, Quantization, Tensor, TensorId, Window};
use nervelet_compiler::{CompileOptions, compile};
use nervelet_qemu::Board;

/// A layer: name, what it is, CMSIS-NN's instructions on Cortex-M4, M3, M0+ and M55.
type Case = (&'static str, Kind, [u64; 4]);

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
    ("conv1x1 7->7 @10x10", Kind::Conv([1, 1], 1, [7, 7], [10, 10], I8), [40_007, 37_821, 101_466, 12_941]),
    ("conv1x1 8->8 @10x10", Kind::Conv([1, 1], 1, [8, 8], [10, 10], I8), [38_478, 41_168, 117_129, 14_614]),
    ("conv1x1 10->10 @10x10", Kind::Conv([1, 1], 1, [10, 10], [10, 10], I8), [56_110, 56_477, 158_191, 17_964]),
    ("conv1x1 16->16 @10x10", Kind::Conv([1, 1], 1, [16, 16], [10, 10], I8), [93_550, 114_548, 311_250, 28_014]),
    ("conv1x1 25->25 @10x10", Kind::Conv([1, 1], 1, [25, 25], [10, 10], I8), [209_894, 245_601, 629_351, 49_965]),
    ("conv1x1 32->32 @10x10", Kind::Conv([1, 1], 1, [32, 32], [10, 10], I8), [261_246, 358_460, 931_374, 63_614]),
    ("conv1x1 64->64 @10x10", Kind::Conv([1, 1], 1, [64, 64], [10, 10], I8), [819_646, 1_234_892, 3_100_643, 161_214]),
    ("conv1x1 8->16 @10x10", Kind::Conv([1, 1], 1, [8, 16], [10, 10], I8), [76_766, 82_164, 234_150, 28_014]),
    ("conv1x1 64->10 @10x10", Kind::Conv([1, 1], 1, [64, 10], [10, 10], I8), [128_230, 193_097, 484_444, 26_214]),
    ("conv1x1 10->64 @10x10", Kind::Conv([1, 1], 1, [10, 64], [10, 10], I8), [358_078, 360_524, 1_012_612, 108_414]),
    ("conv1x1s2 32->64 @5x5", Kind::Conv([1, 1], 2, [32, 64], [5, 5], I8), [179_274, 229_568, 523_115, 37_606]),
    ("conv3x3 1->8 @10x10", Kind::Conv([3, 3], 1, [1, 8], [10, 10], I8), [94_940, 96_382, 184_313, 40_847]),
    ("conv3x3 3->8 @10x10", Kind::Conv([3, 3], 1, [3, 8], [10, 10], I8), [126_982, 144_024, 295_905, 43_047]),
    ("conv3x3 7->7 @10x10", Kind::Conv([3, 3], 1, [7, 7], [10, 10], I8), [181_930, 232_772, 477_451, 44_947]),
    ("conv3x3 8->8 @10x10", Kind::Conv([3, 3], 1, [8, 8], [10, 10], I8), [195_450, 259_292, 572_372, 49_643]),
    ("conv3x3 10->10 @10x10", Kind::Conv([3, 3], 1, [10, 10], [10, 10], I8), [272_570, 366_362, 812_413, 57_947]),
    ("conv3x3 16->16 @10x10", Kind::Conv([3, 3], 1, [16, 16], [10, 10], I8), [526_146, 758_156, 1_742_607, 89_443]),
    (
        "conv3x3 25->25 @10x10",
        Kind::Conv([3, 3], 1, [25, 25], [10, 10], I8),
        [1_149_208, 1_700_768, 4_006_174, 168_156],
    ),
    ("conv3x3s2 16->32 @5x5", Kind::Conv([3, 3], 2, [16, 32], [5, 5], I8), [246_555, 359_170, 855_122, 39_224]),
    ("conv1x3 10->10 @1x30", Kind::Conv([1, 3], 1, [10, 10], [1, 30], I8), [37_939, 45_396, 104_599, 10_804]),
    ("conv1x3 32->32 @1x30", Kind::Conv([1, 3], 1, [32, 32], [1, 30], I8), [202_641, 285_704, 686_499, 31_732]),
    ("dw3x3 7 @12x12", Kind::Depthwise([3, 3], 1, 7, [12, 12], I8), [95_288, 103_090, 294_935, 53_994]),
    ("dw3x3 8 @12x12", Kind::Depthwise([3, 3], 1, 8, [12, 12], I8), [81_518, 97_388, 394_441, 53_994]),
    ("dw3x3 10 @12x12", Kind::Depthwise([3, 3], 1, 10, [12, 12], I8), [116_206, 131_644, 457_315, 62_958]),
    ("dw3x3 25 @12x12", Kind::Depthwise([3, 3], 1, 25, [12, 12], I8), [245_430, 291_844, 1_192_262, 102_562]),
    ("dw3x3 64 @12x12", Kind::Depthwise([3, 3], 1, 64, [12, 12], I8), [586_947, 711_736, 3_066_542, 190_734]),
    ("dw3x3s2 7 @6x6", Kind::Depthwise([3, 3], 2, 7, [6, 6], I8), [24_049, 26_004, 73_986, 13_723]),
    ("dw3x3s2 8 @6x6", Kind::Depthwise([3, 3], 2, 8, [6, 6], I8), [20_598, 24_570, 98_815, 13_723]),
    ("dw3x3s2 10 @6x6", Kind::Depthwise([3, 3], 2, 10, [6, 6], I8), [29_270, 33_134, 114_561, 15_964]),
    ("dw3x3s2 64 @6x6", Kind::Depthwise([3, 3], 2, 64, [6, 6], I8), [146_837, 178_038, 766_704, 47_908]),
    ("dw5x1 7 @20x1", Kind::Depthwise([5, 1], 1, 7, [20, 1], I8), [20_363, 46_813, 73_440, 7_748]),
    ("dw5x1 8 @20x1", Kind::Depthwise([5, 1], 1, 8, [20, 1], I8), [19_303, 53_253, 83_735, 7_748]),
    ("dw5x1 64 @20x1", Kind::Depthwise([5, 1], 1, 64, [20, 1], I8), [97_423, 413_893, 659_714, 21_598]),
    ("dw5x5 10 @12x12", Kind::Depthwise([5, 5], 1, 10, [12, 12], I8), [478_951, 711_401, 1_310_583, 126_888]),
    ("fc 7->7", Kind::Dense([7, 7], I8), [651, 567, 1_314, 466]),
    ("fc 10->10", Kind::Dense([10, 10], I8), [848, 835, 1_907, 487]),
    ("fc 25->25", Kind::Dense([25, 25], I8), [2_634, 3_075, 6_509, 939]),
    ("fc 32->3", Kind::Dense([32, 3], I8), [491, 567, 1_118, 365]),
    ("fc 64->10", Kind::Dense([64, 10], I8), [1_793, 2_779, 5_252, 744]),
    ("fc 64->64", Kind::Dense([64, 64], I8), [10_649, 15_920, 31_205, 2_906]),
    ("fc 128->128", Kind::Dense([128, 128], I8), [36_505, 59_319, 111_393, 9_467]),
    ("fc 640->128", Kind::Dense([640, 128], I8), [159_385, 280_503, 506_725, 40_186]),
    ("fc 8->128", Kind::Dense([8, 128], I8), [7_641, 7_479, 18_779, 2_746]),
    ("fc 256->2", Kind::Dense([256, 2], I8), [1_202, 3_273, 4_523, 656]),
    ("add 100", Kind::Add(100), [5_584, 5_350, 23_825, 1_468]),
    ("add 1024", Kind::Add(1024), [56_404, 54_321, 242_864, 14_173]),
    ("mul 1024", Kind::Mul(1024), [28_219, 27_682, 96_238, 6_972]),
    ("avgpool8x8 64 @1x1", Kind::Pool(false, [8, 8], 64, [1, 1]), [26_414, 59_410, 82_663, 5_017]),
    ("avgpool2x2 16 @8x8", Kind::Pool(false, [2, 2], 16, [8, 8]), [46_655, 102_044, 201_765, 19_106]),
    ("avgpool8x8 10 @1x1", Kind::Pool(false, [8, 8], 10, [1, 1]), [4_976, 9_406, 13_145, 1_390]),
    ("maxpool2x2 16 @8x8", Kind::Pool(true, [2, 2], 16, [8, 8]), [43_670, 43_818, 173_375, 11_434]),
    ("maxpool2x2 10 @8x8", Kind::Pool(true, [2, 2], 10, [8, 8]), [31_734, 31_754, 103_596, 11_026]),
    ("softmax 2", Kind::Softmax(2), [1_247, 1_259, 4_123, 1_286]),
    ("softmax 10", Kind::Softmax(10), [5_364, 5_440, 19_688, 5_752]),
    ("softmax 12", Kind::Softmax(12), [6_369, 6_461, 23_556, 6_843]),
    ("softmax 100", Kind::Softmax(100), [50_703, 51_482, 190_898, 54_543]),
    ("conv1x1 s16 16->16 @10x10", Kind::Conv([1, 1], 1, [16, 16], [10, 10], I16), [120_226, 135_290, 363_169, 40_491]),
    ("conv1x1 s16 25->25 @10x10", Kind::Conv([1, 1], 1, [25, 25], [10, 10], I16), [234_324, 264_188, 721_098, 69_790]),
    (
        "conv1x1 s16 64->64 @10x10",
        Kind::Conv([1, 1], 1, [64, 64], [10, 10], I16),
        [995_024, 1_269_288, 3_470_259, 224_690],
    ),
    (
        "conv3x3 s16 16->16 @10x10",
        Kind::Conv([3, 3], 1, [16, 16], [10, 10], I16),
        [540_028, 698_344, 1_815_355, 125_324],
    ),
    ("conv3x3 s16 10->10 @10x10", Kind::Conv([3, 3], 1, [10, 10], [10, 10], I16), [264_127, 319_576, 804_431, 75_525]),
    ("dw3x3 s16 10 @12x12", Kind::Depthwise([3, 3], 1, 10, [12, 12], I16), [219_717, 470_359, 795_472, 134_532]),
    ("dw3x3 s16 64 @12x12", Kind::Depthwise([3, 3], 1, 64, [12, 12], I16), [1_007_624, 2_978_982, 5_071_440, 465_200]),
    ("fc s16 64->64", Kind::Dense([64, 64], I16), [13_439, 23_701, 232_624, 6_452]),
    ("fc s16 128->128", Kind::Dense([128, 128], I16), [46_207, 88_277, 916_343, 19_156]),
    ("fc s16 25->25", Kind::Dense([25, 25], I16), [3_154, 4_437, 36_952, 2_049]),
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
    let core = match board.name() {
        "qemu-m3" => 1,
        "qemu-m0" => 2,
        "qemu-m55" => 3,
        _ => 0,
    };
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
        let cmsis = cmsis[core];
        let ratio = cmsis as f64 / cost.instructions as f64;
        println!("{name:28} {:9} CMSIS-NN {cmsis:9} {ratio:5.2}x", cost.instructions);
    }
    Ok(())
}
