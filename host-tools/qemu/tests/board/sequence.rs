//! The layers of sequence models give the bits of the reference on any shape: random ones, computed by the host and by the
//! boards.

use nervelet::ops::DataType;
use nervelet_compiler::Target;
use nervelet_compiler::graph::{Activation, Cell, Data, Function, Op, Quantization, Tensor, TensorId};

use crate::packed::{Layers, equal_the_reference};

const I8: DataType = DataType::Int8;
const I16: DataType = DataType::Int16;

impl Layers {
    fn activation_of(&mut self, shape: &[usize], data_type: DataType, scale: f32) -> TensorId {
        let zero_point = if data_type == I8 { self.zero_point() } else { 0 };
        self.tensor_of(shape, data_type, Quantization::per_tensor(scale, zero_point), None)
    }

    fn codes(&mut self, shape: &[usize], scales: Vec<f32>) -> TensorId {
        let data = (0..shape.iter().product()).map(|_| self.code().max(-127)).collect();
        let quantization = Quantization { zero_points: vec![0; scales.len()], axis: 0, scales };
        self.tensor_of(shape, I8, quantization, Some(Data::Int8(data)))
    }

    fn biases(&mut self, count: usize) -> TensorId {
        let data = (0..count).map(|_| self.below(2_000_000) as i32 - 1_000_000).collect();
        self.tensor_of(&[count], DataType::Int32, Quantization::per_tensor(1.0, 0), Some(Data::Int32(data)))
    }

    fn reals(&mut self, count: usize, spread: f32) -> TensorId {
        let data = (0..count).map(|_| spread * (self.below(2001) as f32 / 1000.0 - 1.0)).collect();
        self.tensor_of(&[count], DataType::Float32, Quantization::per_tensor(1.0, 0), Some(Data::Float32(data)))
    }

    /// How many of some steps count, sometimes more than there are.
    fn count(&mut self, most: usize) -> TensorId {
        let data = Some(Data::Int32(vec![self.below(most + 2) as i32]));
        let tensor =
            Tensor { name: "count".into(), shape: vec![1], data_type: DataType::Int32, quantization: None, data };
        self.graph.add_tensor(tensor)
    }

    /// Scales of rows, around `1 / depth` of a code.
    fn row_scales(&mut self, rows: usize, depth: usize) -> Vec<f32> {
        (0..rows).map(|_| (1 + self.below(100)) as f32 / (2000.0 * depth as f32)).collect()
    }

    fn attention(&mut self) {
        let data_type = self.one_of(&[I8, I16]);
        let (heads, queries, keys) = (1 + self.below(3), 1 + self.below(7), 1 + self.below(21));
        let (depth, columns) = (1 + self.below(19), 1 + self.below(11));
        let [transpose_keys, transpose_values] = [0, 1].map(|_| self.below(2) == 0);
        let unit = if data_type == I8 { 0.03 } else { 0.0003 };
        let q = self.activation_of(&[heads, queries, depth], data_type, unit);
        let shape = if transpose_keys { [heads, keys, depth] } else { [heads, depth, keys] };
        let k = self.activation_of(&shape, data_type, unit);
        let shape = if transpose_values { [heads, columns, keys] } else { [heads, keys, columns] };
        let v = self.activation_of(&shape, data_type, unit);
        let y = self.activation_of(&[heads, queries, columns], data_type, unit * 0.8);
        let scale = self.one_of(&[0.001, 0.05, 0.3, 4.0]);
        let mut inputs = vec![q, k, v];
        let visible = match self.below(3) {
            0 => Some(self.below(keys + 1)),
            _ => None,
        };
        if self.below(3) == 0 {
            inputs.push(self.count(keys));
        }
        self.node(Op::Attention { scale, transpose_keys, transpose_values, visible }, inputs, 3, y);
    }

    fn sequence_layer(&mut self) {
        let (rows, width) = (1 + self.below(6), 2 + self.below(40));
        let shape = [rows, width];
        match self.below(8) {
            0 | 1 => self.attention(),
            2 => {
                let unit = self.one_of(&[0.001, 0.000_01]);
                let x = self.activation_of(&shape, I16, unit);
                let (gamma, beta) = (self.reals(width, 1.5), self.reals(width, 1.0));
                let y = self.activation_of(&shape, I16, 0.0002);
                match self.below(2) {
                    0 => self.node(Op::LayerNorm { epsilon: 1e-5 }, vec![x, gamma, beta], 1, y),
                    _ => self.node(Op::RmsNorm { epsilon: 1e-5 }, vec![x, gamma], 1, y),
                }
            }
            3 => {
                let x = self.activation_of(&shape, I16, 0.0002);
                let y = self.activation_of(&shape, I16, 0.0002);
                let function = self.one_of(&[Function::Gelu, Function::HardSwish, Function::Erf]);
                self.node(Op::Function(function), vec![x], 1, y);
            }
            4 => {
                let scales = self.one_of(&[[0.001, 0.0008, 0.0015], [0.0001, 0.001, 0.0009], [0.001, 0.001, 0.002]]);
                let [a, b, y] = scales.map(|scale| self.activation_of(&shape, I16, scale));
                let activation = self.one_of(&[Activation::None, Activation::Relu]);
                self.node(Op::Add { activation }, vec![a, b], 2, y);
            }
            5 => {
                let (from, to) = self.one_of(&[
                    ((I8, 0.02), (I16, 0.02 / 128.0)),
                    ((I16, 0.0003), (I8, 0.05)),
                    ((I8, 0.02), (I16, 0.004)),
                ]);
                let (x, y) = (self.activation_of(&shape, from.0, from.1), self.activation_of(&shape, to.0, to.1));
                self.node(Op::Quantize, vec![x], 1, y);
            }
            6 => {
                let outputs = 1 + self.below(13);
                let x = self.activation_of(&shape, I16, 0.001);
                let scales = self.row_scales(outputs, width);
                let (weights, bias) = (self.codes(&[outputs, width], scales), self.biases(outputs));
                let y = self.activation_of(&[rows, outputs], I16, 0.0015);
                let activation = self.one_of(&[Activation::None, Activation::Relu]);
                self.node(Op::DenseRows { activation }, vec![x, weights, bias], 1, y);
            }
            _ => {
                let cell =
                    self.one_of(&[Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }, Cell::Lstm]);
                let units = 1 + self.below(9);
                let gates = cell.gates() * units;
                let x = self.activation_of(&[1, rows, width], I16, 0.0003);
                let scales = [width, units].map(|depth| self.row_scales(gates, depth));
                let [of_input, of_state] = scales;
                let mut inputs = vec![
                    x,
                    self.codes(&[gates, width], of_input),
                    self.codes(&[gates, units], of_state),
                    self.biases(gates),
                    self.biases(gates),
                ];
                if self.below(3) == 0 {
                    inputs.push(self.count(rows));
                }
                let unit = 2.0_f32.powi(-15);
                let y = self.activation_of(&[1, rows, units], I16, unit);
                let last = self.activation_of(&[1, units], I16, unit);
                let reverse = self.below(2) == 0;
                self.node(Op::Recurrent { cell, reverse }, inputs, 1, y);
                let mut states = vec![last];
                if cell == Cell::Lstm {
                    let cell_unit = Quantization::per_tensor(2.0_f32.powi(-24), 0);
                    states.push(self.tensor_of(&[1, units], DataType::Int32, cell_unit, None));
                }
                self.graph.nodes.last_mut().unwrap().outputs.extend(states);
            }
        }
    }
}

#[test]
fn sequence_layers_on_the_m4() {
    equal_the_reference("qemu-m4", Target::Dsp, 0..8, Layers::sequence_layer);
}

#[test]
fn sequence_layers_on_the_m33() {
    equal_the_reference("qemu-m33", Target::Dsp, 8..10, Layers::sequence_layer);
}

#[test]
fn sequence_layers_on_the_m3() {
    equal_the_reference("qemu-m3", Target::Armv7m, 10..13, Layers::sequence_layer);
}

#[test]
fn sequence_layers_on_the_m0() {
    equal_the_reference("qemu-m0", Target::Armv6m, 20..23, Layers::sequence_layer);
}

#[test]
fn sequence_layers_on_the_m55() {
    equal_the_reference("qemu-m55", Target::Mve, 30..33, Layers::sequence_layer);
}
