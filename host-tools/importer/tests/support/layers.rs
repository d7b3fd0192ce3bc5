//! Recurrent networks with random weights, drawn as PyTorch draws them: between plus and minus `1 / sqrt(units)`.

use nervelet::learn::Pcg32;
use nervelet::ops::DataType;
use nervelet_compiler::graph::{Activation, Cell, Data, Graph, Node, Op, Tensor, TensorId};

/// Every cell there is.
pub(crate) const CELLS: [Cell; 5] = [
    Cell::Rnn { activation: Activation::None },
    Cell::Rnn { activation: Activation::Relu },
    Cell::Gru { reset_after: true },
    Cell::Gru { reset_after: false },
    Cell::Lstm,
];

/// A recurrent network under construction.
pub(crate) struct Layers {
    pub(crate) graph: Graph,
    pub(crate) random: Pcg32,
}

impl Layers {
    /// A network over sequences of `time` steps, with its input.
    pub(crate) fn new(seed: u64, time: usize, depth: usize) -> (Self, TensorId) {
        let graph = Graph { name: "recurrent".into(), ..Graph::default() };
        let mut layers = Self { graph, random: Pcg32::new(seed) };
        let x = layers.tensor(&[1, time, depth], None);
        layers.graph.inputs.push(x);
        layers.graph.normalization.push(None);
        (layers, x)
    }

    /// A number between plus and minus `spread`.
    fn real(&mut self, spread: f32) -> f32 {
        spread * (self.random.below(2_000_001) as f32 / 1_000_000.0 - 1.0)
    }

    fn tensor(&mut self, shape: &[usize], data: Option<Vec<f32>>) -> TensorId {
        let name = format!("t{}", self.graph.tensors.len());
        let data = data.map(Data::Float32);
        let tensor = Tensor { name, shape: shape.into(), data_type: DataType::Float32, quantization: None, data };
        self.graph.add_tensor(tensor)
    }

    fn uniform(&mut self, shape: &[usize], spread: f32) -> TensorId {
        let values = (0..shape.iter().product()).map(|_| self.real(spread)).collect();
        self.tensor(shape, Some(values))
    }

    fn node(&mut self, op: Op, inputs: Vec<TensorId>, shapes: &[&[usize]]) -> Vec<TensorId> {
        let outputs: Vec<TensorId> = shapes.iter().map(|shape| self.tensor(shape, None)).collect();
        let name = format!("{} {}", op.name(), self.graph.nodes.len());
        self.graph.nodes.push(Node { name, op, inputs, outputs: outputs.clone() });
        outputs
    }

    /// A recurrent layer: the sequence of its states, the last one and the last cell.
    pub(crate) fn recurrent(&mut self, x: TensorId, cell: Cell, units: usize, reverse: bool) -> Vec<TensorId> {
        let [_, time, depth] = self.graph.tensor(x).shape[..] else { panic!("no sequence") };
        let (rows, spread) = (cell.gates() * units, 1.0 / (units as f32).sqrt());
        let shapes: [&[usize]; 4] = [&[rows, depth], &[rows, units], &[rows], &[rows]];
        let mut inputs = vec![x];
        inputs.extend(shapes.map(|shape| self.uniform(shape, spread)));
        let shapes: [&[usize]; 3] = [&[1, time, units], &[1, units], &[1, units]];
        self.node(Op::Recurrent { cell, reverse }, inputs, &shapes[..=cell.states()])
    }

    /// A dense layer on the last axis of one row.
    pub(crate) fn dense(&mut self, x: TensorId, outputs: usize) -> TensorId {
        let depth = self.graph.tensor(x).elements();
        let shapes: [&[usize]; 2] = [&[outputs, depth], &[outputs]];
        let mut inputs = vec![x];
        inputs.extend(shapes.map(|shape| self.uniform(shape, 1.0 / (depth as f32).sqrt())));
        self.node(Op::FullyConnected { activation: Activation::None }, inputs, &[&[1, outputs]])[0]
    }

    /// Two layers side by side, one of them backwards.
    pub(crate) fn bidirectional(&mut self, x: TensorId, cell: Cell, units: usize) -> TensorId {
        let time = self.graph.tensor(x).shape[1];
        let parts = [false, true].map(|reverse| self.recurrent(x, cell, units, reverse)[0]);
        self.node(Op::Concatenation { axis: 2 }, parts.into(), &[&[1, time, 2 * units]])[0]
    }
}
