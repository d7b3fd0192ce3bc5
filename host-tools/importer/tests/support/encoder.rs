//! A Transformer encoder block with random weights: self-attention and a feed-forward network, each behind a layer
//! normalisation and beside a residual connection.

use nervelet::learn::Pcg32;
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Data, Function, Graph, Node, Op, Tensor, TensorId};
use nervelet_compiler::index_map::transpose;

/// The extents of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) time: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) hidden: usize,
}

impl Block {
    /// Multiply-accumulates of its matrix products.
    pub(crate) fn macs(&self) -> u64 {
        let Self { time, width, hidden, .. } = *self;
        (time * (4 * width * width + 2 * width * hidden) + 2 * time * time * width) as u64
    }

    /// The graph; layer normalisation comes before each part.
    pub(crate) fn graph(&self, seed: u64) -> Graph {
        let Self { time, width, heads, hidden } = *self;
        let mut layers =
            Layers { graph: Graph { name: "encoder".into(), ..Graph::default() }, random: Pcg32::new(seed) };
        let x = layers.tensor(&[1, time, width], None);
        layers.graph.inputs.push(x);
        layers.graph.normalization.push(None);

        let normal = layers.norm(x);
        let each = width / heads;
        let order = |order: &[usize]| transpose(&[1, time, heads, each], order).unwrap();
        let mut operand = |order_of: [usize; 4]| {
            let projected = layers.dense(normal, width);
            let split = layers.node(Op::Reshape, vec![projected], &[1, time, heads, each]);
            let shape = order_of.map(|axis| [1, time, heads, each][axis]);
            layers.node(Op::Rearrange(order(&order_of)), vec![split], &shape)
        };
        let [q, k, v] = [operand([0, 2, 1, 3]), operand([0, 2, 3, 1]), operand([0, 2, 1, 3])];
        let product = Op::BatchMatmul { transpose_a: false, transpose_b: false };
        let scores = layers.node(product.clone(), vec![q, k], &[1, heads, time, time]);
        let scale = layers.tensor(&[], Some(vec![1.0 / (each as f32).sqrt()]));
        let scaled =
            layers.node(Op::Mul { activation: Activation::None }, vec![scores, scale], &[1, heads, time, time]);
        let weights = layers.node(Op::Softmax { beta: 1.0 }, vec![scaled], &[1, heads, time, time]);
        let context = layers.node(product, vec![weights, v], &[1, heads, time, each]);
        let back = transpose(&[1, heads, time, each], &[0, 2, 1, 3]).unwrap();
        let joined = layers.node(Op::Rearrange(back), vec![context], &[1, time, heads, each]);
        let joined = layers.node(Op::Reshape, vec![joined], &[1, time, width]);
        let projected = layers.dense(joined, width);
        let x = layers.add(x, projected);

        let normal = layers.norm(x);
        let inner = layers.dense(normal, hidden);
        let active = layers.node(Op::Function(Function::Gelu), vec![inner], &[1, time, hidden]);
        let outer = layers.dense(active, width);
        let y = layers.add(x, outer);
        layers.graph.outputs = vec![y];
        layers.graph
    }
}

struct Layers {
    graph: Graph,
    random: Pcg32,
}

impl Layers {
    fn tensor(&mut self, shape: &[usize], data: Option<Vec<f32>>) -> TensorId {
        let name = format!("t{}", self.graph.tensors.len());
        let data = data.map(Data::Float32);
        let tensor = Tensor { name, shape: shape.into(), data_type: DataType::Float32, quantization: None, data };
        self.graph.add_tensor(tensor)
    }

    fn uniform(&mut self, shape: &[usize], centre: f32, spread: f32) -> TensorId {
        let mut one = || centre + spread * (self.random.below(2_000_001) as f32 / 1_000_000.0 - 1.0);
        let values = (0..shape.iter().product()).map(|_| one()).collect();
        self.tensor(shape, Some(values))
    }

    fn node(&mut self, op: Op, inputs: Vec<TensorId>, shape: &[usize]) -> TensorId {
        let output = self.tensor(shape, None);
        let name = format!("{} {}", op.name(), self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        output
    }

    fn shape(&self, id: TensorId) -> Vec<usize> {
        self.graph.tensor(id).shape.clone()
    }

    fn norm(&mut self, x: TensorId) -> TensorId {
        let shape = self.shape(x);
        let width = shape[shape.len() - 1];
        let (gamma, beta) = (self.uniform(&[width], 1.0, 0.3), self.uniform(&[width], 0.0, 0.2));
        self.node(Op::LayerNorm { epsilon: 1e-5 }, vec![x, gamma, beta], &shape)
    }

    fn dense(&mut self, x: TensorId, outputs: usize) -> TensorId {
        let mut shape = self.shape(x);
        let depth = std::mem::replace(shape.last_mut().unwrap(), outputs);
        let spread = (3.0 / depth as f32).sqrt();
        let (weights, bias) = (self.uniform(&[outputs, depth], 0.0, spread), self.uniform(&[outputs], 0.0, 0.1));
        self.node(Op::FullyConnected { activation: Activation::None }, vec![x, weights, bias], &shape)
    }

    fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let shape = self.shape(a);
        self.node(Op::Add { activation: Activation::None }, vec![a, b], &shape)
    }
}
