//! Layers of int16 with rows of int8 weights: recurrent layers, and dense ones that round once.

use anyhow::{Context, Result, bail, ensure};
use nervelet::kernels::reference::{FRACTION, RELU_FRACTION};
use nervelet::ops::rows::{DenseParameters, Rows};
use nervelet::ops::{DataType, OpKind, recurrent_i16};

use super::layers::weight_scales;
use super::{Lowering, code_range, scale};
use crate::graph::{Activation, Cell, Data, Node, Tensor};
use crate::pack::rows::{Row, pack_rows};

impl Lowering<'_> {
    /// A recurrent layer whose operands were checked for their number.
    pub(super) fn int16_recurrent(&mut self, node: &Node, cell: Cell, reverse: bool) -> Result<()> {
        let limited = self.graph.steps_that_count(node).is_some();
        let initial = node.inputs[5..node.inputs.len() - usize::from(limited)].iter();
        let states = node.outputs.iter().skip(1).chain(initial).map(|id| self.graph.tensor(*id));
        let states: Vec<_> = states.collect();
        let (output, hidden) = (self.output(node)?, states[0]);
        ensure!(output.quantization == hidden.quantization, "output and state have different scales");
        for (tensor, position) in states.iter().zip((0..cell.states()).cycle()) {
            let wanted = if position == 0 { DataType::Int16 } else { DataType::Int32 };
            ensure!(tensor.data_type == wanted, "{} is {:?}, not {wanted:?}", tensor.name, tensor.data_type);
            let same = tensor.quantization == states[position].quantization;
            ensure!(same, "{} has another scale than {}", tensor.name, states[position].name);
        }
        let unit = f64::from(scale(hidden)?.scale);
        let relu = cell == Cell::Rnn { activation: Activation::Relu };
        // What one step of the pre-activations is worth.
        let step = match relu {
            true => unit / f64::from(1 << RELU_FRACTION),
            false => {
                ensure!(unit == 2.0_f64.powi(-15), "the state's scale has to be 2^-15, it is {unit}");
                1.0 / f64::from(1 << FRACTION)
            }
        };
        let units = output.shape.last().copied().unwrap_or(0);
        let of_input = self.gate_rows(node, 1, f64::from(scale(self.input(node, 0)?)?.scale) / step)?;
        let of_state = self.gate_rows(node, 2, unit / step)?;
        let before = cell == Cell::Gru { reset_after: false };
        let (of_state, of_reset) = of_state.split_at(if before { 2 * units } else { of_state.len() });
        let mut scratch = 0;
        let mut rows = |lowering: &mut Self, rows: &[Row]| -> Result<Rows> {
            let packed = pack_rows(rows)?;
            scratch += rows.len().next_multiple_of(4) * size_of::<i32>();
            let words: Vec<u8> = packed.words.iter().flat_map(|word| word.to_le_bytes()).collect();
            Ok(Rows { words: lowering.program.constant(&words)?, shift: packed.shift })
        };
        let layer = recurrent_i16::Layer { input: rows(self, &of_input)?, recurrent: rows(self, of_state)?, reverse };
        let new = if before { Some(rows(self, of_reset)?) } else { None };
        let depth = self.input(node, 0)?.shape.last().copied().unwrap_or(0);
        scratch += [depth, units].map(|extent| extent.next_multiple_of(4) * size_of::<i16>()).iter().sum::<usize>();
        let operands: Vec<_> = node.inputs.iter().take(1).chain(node.inputs.iter().skip(5)).copied().collect();
        let operands = Node { inputs: operands, ..node.clone() };
        let count = operands.inputs.len();
        match cell {
            Cell::Rnn { activation: Activation::None | Activation::Relu } => {
                let parameters = recurrent_i16::RnnParameters { layer, relu };
                self.step(&operands, OpKind::RnnInt16, count, &parameters)?;
            }
            Cell::Rnn { activation } => bail!("has no kernel for {activation:?}"),
            Cell::Gru { .. } => {
                self.step(&operands, OpKind::GruInt16, count, &recurrent_i16::GruParameters { layer, new })?;
            }
            Cell::Lstm => self.step(&operands, OpKind::LstmInt16, count, &layer)?,
        }
        let last = self.program.steps.last_mut().context("there is no step")?;
        (last.scratch_bytes, last.most_scratch_bytes) = (scratch, scratch);
        Ok(())
    }

    /// A dense layer of rows.
    pub(super) fn dense_rows(&mut self, node: &Node, activation: Activation) -> Result<()> {
        ensure!(self.data_type(node, 1)? == DataType::Int16, "rows are for int16");
        let [input, output] = [scale(self.input(node, 0)?)?, scale(self.output(node)?)?].map(|it| f64::from(it.scale));
        let rows = self.matrix_rows(self.input(node, 1)?, self.input(node, 2)?, input / output)?;
        let packed = pack_rows(&rows)?;
        let words: Vec<u8> = packed.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let words = self.program.constant(&words)?;
        let range = code_range::<i16>(activation, self.output(node)?)?;
        let rows_of = Rows { words, shift: packed.shift };
        self.step(node, OpKind::DenseRowsInt16, 1, &DenseParameters { rows: rows_of, range })?;
        let depth = self.input(node, 1)?.shape.last().copied().unwrap_or(0);
        let scratch = depth.next_multiple_of(4) * size_of::<i16>() + rows.len().next_multiple_of(4) * size_of::<i32>();
        let last = self.program.steps.last_mut().context("there is no step")?;
        (last.scratch_bytes, last.most_scratch_bytes) = (scratch, scratch);
        Ok(())
    }

    /// The rows of a side with the factors of their sums; `input` is what one step of an input is worth in steps of the
    /// results.
    fn gate_rows(&self, node: &Node, side: usize, input: f64) -> Result<Vec<Row>> {
        self.matrix_rows(self.input(node, side)?, self.input(node, side + 2)?, input)
    }

    /// The rows of a matrix with their biases.
    fn matrix_rows(&self, weights: &Tensor, bias: &Tensor, input: f64) -> Result<Vec<Row>> {
        let Some(Data::Int8(codes)) = &weights.data else { bail!("{} is not a constant of int8", weights.name) };
        let Some(Data::Int32(biases)) = &bias.data else { bail!("{} is not a constant of int32", bias.name) };
        let [count, depth] = weights.shape[..] else { bail!("weights {:?} are no matrix", weights.shape) };
        ensure!(biases.len() == count && codes.len() == count * depth && depth > 0, "biases and weights don't fit");
        let scales = weight_scales(weights, count)?;
        let rows = codes.chunks_exact(depth).zip(biases).zip(scales);
        Ok(rows
            .map(|((weights, bias), scale)| Row {
                weights: weights.to_vec(),
                bias: *bias,
                factor: f64::from(scale) * input,
            })
            .collect())
    }
}
