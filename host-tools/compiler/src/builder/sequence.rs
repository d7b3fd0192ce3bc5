//! The layers of sequence models. A sequence is `[.., time, channels]`.

use anyhow::{Result, bail, ensure};
use nervelet::ops::DataType;

use super::GraphBuilder;
use crate::graph::{Activation, Cell, Function, Node, Op, Tensor, TensorId};
use crate::index_map;

/// The constants of a recurrent layer, with the gates in the order of [`Cell`].
#[derive(Clone, Copy, Debug)]
pub struct RecurrentWeights {
    /// `[gates * units][depth]`.
    pub input: TensorId,
    /// `[gates * units][units]`.
    pub recurrent: TensorId,
    /// One value for each row of `input`.
    pub input_bias: TensorId,
    /// One value for each row of `recurrent`.
    pub recurrent_bias: TensorId,
}

/// What queries of an attention don't see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask {
    /// The keys behind a query's own place.
    pub causal: bool,
    /// The keys from this number on, an integer of one element; without it, all count.
    pub length: Option<TensorId>,
}

impl GraphBuilder {
    /// An input of integers that stand for themselves, such as tokens or a number of steps.
    pub fn integers(&mut self, name: &str, shape: &[usize]) -> TensorId {
        let id = self.input(name, shape, None);
        self.graph.tensor_mut(id).data_type = DataType::Int32;
        id
    }

    /// Rows of a table `[count, channels]` by integers `[..]`, as `[1, .., channels]`.
    ///
    /// # Errors
    /// Where the table is no matrix, or the indices are no integers.
    pub fn embedding(&mut self, name: &str, table: TensorId, indices: TensorId) -> Result<TensorId> {
        let extents = self.shape(table);
        let [_, channels] = extents[..] else { bail!("{name}: a table of shape {extents:?}") };
        ensure!(self.graph.is_integer(indices), "{name}: the indices are no integers");
        let mut shape = self.shape(indices);
        if shape.first() != Some(&1) {
            shape.insert(0, 1);
        }
        shape.push(channels);
        Ok(self.node(name, Op::Embedding, vec![table, indices], shape))
    }

    /// A dense layer along the last axis, `weights` as `[out][in]`.
    ///
    /// # Errors
    /// Where the last axis is not as long as the weights want.
    pub fn linear(&mut self, name: &str, x: TensorId, weights: TensorId, bias: Option<TensorId>) -> Result<TensorId> {
        let (mut shape, filter) = (self.shape(x), self.shape(weights));
        let [out, depth] = filter[..] else { bail!("{name}: weight shape {filter:?} is not [out, in]") };
        ensure!(shape.last() == Some(&depth), "{name}: rows of {shape:?} come in, the weights want {depth} values");
        let inputs = self.with_bias(name, x, weights, bias, out)?;
        shape.pop();
        shape.push(out);
        Ok(self.node(name, Op::FullyConnected { activation: Activation::None }, inputs, shape))
    }

    /// Rows along the last axis with mean 0 and variance 1, times gamma, plus beta.
    ///
    /// # Errors
    /// Where gamma or beta are not as long as the last axis.
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: TensorId,
        gamma: TensorId,
        beta: TensorId,
        epsilon: f32,
    ) -> Result<TensorId> {
        let shape = self.shape(x);
        let channels = shape.last().copied().unwrap_or(0);
        for part in [gamma, beta] {
            ensure!(self.shape(part) == [channels], "{name}: {:?} scales rows of {channels}", self.shape(part));
        }
        Ok(self.node(name, Op::LayerNorm { epsilon }, vec![x, gamma, beta], shape))
    }

    /// Rows along the last axis divided by their root mean square, times gamma (Zhang and Sennrich 2019).
    ///
    /// # Errors
    /// Where gamma is not as long as the last axis.
    pub fn rms_norm(&mut self, name: &str, x: TensorId, gamma: TensorId, epsilon: f32) -> Result<TensorId> {
        let shape = self.shape(x);
        let channels = shape.last().copied().unwrap_or(0);
        ensure!(self.shape(gamma) == [channels], "{name}: {:?} scales rows of {channels}", self.shape(gamma));
        Ok(self.node(name, Op::RmsNorm { epsilon }, vec![x, gamma], shape))
    }

    /// `x * P(X <= x)` of a standard normal distribution (Hendrycks and Gimpel 2016), with the exact error function.
    pub fn gelu(&mut self, name: &str, x: TensorId) -> TensorId {
        self.elementwise(name, Op::Function(Function::Gelu), x)
    }

    /// A recurrent layer that starts at zero. Returns the states of all steps `[.., time, units]`, and the last.
    ///
    /// # Errors
    /// Where the weights have other shapes than the cell wants.
    pub fn recurrent(
        &mut self,
        name: &str,
        x: TensorId,
        cell: Cell,
        reverse: bool,
        weights: RecurrentWeights,
    ) -> Result<[TensorId; 2]> {
        self.recurrent_of_length(name, x, cell, reverse, weights, None)
    }

    /// As [`recurrent`](Self::recurrent), over as many steps as an integer of one element says: states behind it are 0, and the
    /// last state is that of its last step.
    ///
    /// # Errors
    /// Where the weights have other shapes than the cell wants, or the length is no integer.
    pub fn recurrent_of_length(
        &mut self,
        name: &str,
        x: TensorId,
        cell: Cell,
        reverse: bool,
        weights: RecurrentWeights,
        length: Option<TensorId>,
    ) -> Result<[TensorId; 2]> {
        self.expect_length(name, length)?;
        let mut shape = self.shape(x);
        let depth = shape.pop().unwrap_or(0);
        let own = self.shape(weights.recurrent);
        let [rows, units] = own[..] else { bail!("{name}: recurrent weights of shape {own:?}") };
        let wanted = [
            (weights.input, vec![rows, depth]),
            (weights.recurrent, vec![cell.gates() * units, units]),
            (weights.input_bias, vec![rows]),
            (weights.recurrent_bias, vec![rows]),
        ];
        for (id, wanted) in &wanted {
            ensure!(self.shape(*id) == *wanted, "{name}: {:?} where {wanted:?} belongs", self.shape(*id));
        }
        shape.push(units);
        let mut outputs = vec![self.tensor(name.into(), shape, None)];
        for state in ["hidden", "cell"].iter().take(cell.states()) {
            outputs.push(self.tensor(format!("{name}.{state}"), vec![1, units], None));
        }
        let inputs = [x].into_iter().chain(wanted.into_iter().map(|(id, _)| id)).chain(length).collect();
        let node = Node { name: name.into(), op: Op::Recurrent { cell, reverse }, inputs, outputs };
        let results = [node.outputs[0], node.outputs[1]];
        self.graph.nodes.push(node);
        Ok(results)
    }

    /// Scaled dot-product attention (Vaswani et al. 2017) of queries, keys and values `[.., time, channels]`, whose
    /// channels are those of `heads` heads side by side.
    ///
    /// # Errors
    /// Where the heads don't divide the channels.
    pub fn attention(&mut self, name: &str, operands: [TensorId; 3], heads: usize) -> Result<TensorId> {
        self.masked_attention(name, operands, heads, Mask::default())
    }

    /// As [`attention`](Self::attention), where queries don't see all keys; one that sees none gets zeros.
    ///
    /// # Errors
    /// Where the heads don't divide the channels, or the length is no integer.
    pub fn masked_attention(
        &mut self,
        name: &str,
        operands: [TensorId; 3],
        heads: usize,
        mask: Mask,
    ) -> Result<TensorId> {
        self.expect_length(name, mask.length)?;
        let shape = self.shape(operands[0]);
        let [.., time, channels] = shape[..] else { bail!("{name}: {shape:?} is no sequence") };
        ensure!(
            heads > 0 && channels % heads == 0 && shape.iter().product::<usize>() == time * channels,
            "{name}: {heads} heads over {shape:?}"
        );
        let depth = channels / heads;
        let mut split = Vec::new();
        for (part, id) in ["query", "key", "value"].iter().zip(operands) {
            ensure!(self.shape(id) == shape, "{name}: a {part} of {:?} beside {shape:?}", self.shape(id));
            let map = index_map::transpose(&[time, heads, depth], &[1, 0, 2])?;
            split.push(self.node(&format!("{name}.{part}"), Op::Rearrange(map), vec![id], vec![heads, time, depth]));
        }
        let product = Op::BatchMatmul { transpose_a: false, transpose_b: true };
        let scores = self.node(&format!("{name}.scores"), product, vec![split[0], split[1]], vec![heads, time, time]);
        let beta = 1.0 / (depth as f32).sqrt();
        let softmax = match mask {
            Mask { causal: false, length: None } => Op::Softmax { beta },
            Mask { causal, .. } => Op::MaskedSoftmax { beta, visible: causal.then_some(1) },
        };
        let scores = [scores].into_iter().chain(mask.length).collect();
        let shares = self.node(&format!("{name}.softmax"), softmax, scores, vec![heads, time, time]);
        let product = Op::BatchMatmul { transpose_a: false, transpose_b: false };
        let context = self.node(&format!("{name}.context"), product, vec![shares, split[2]], vec![heads, time, depth]);
        let map = index_map::transpose(&[heads, time, depth], &[1, 0, 2])?;
        Ok(self.node(&format!("{name}.heads"), Op::Rearrange(map), vec![context], shape))
    }

    /// The mean over the first steps of a sequence, as many as an integer of one element says, as `[1, channels]`; zeros for a
    /// length of 0.
    ///
    /// # Errors
    /// Where `x` is no sequence, or the length is no integer.
    pub fn mean_of_length(&mut self, name: &str, x: TensorId, length: TensorId) -> Result<TensorId> {
        self.expect_length(name, Some(length))?;
        let shape = self.shape(x);
        let [.., _, channels] = shape[..] else { bail!("{name}: {shape:?} is no sequence") };
        let op = Op::Mean { axes: (0..shape.len() - 1).collect(), keep_dims: false };
        Ok(self.node(name, op, vec![x, length], vec![1, channels]))
    }

    fn expect_length(&self, name: &str, length: Option<TensorId>) -> Result<()> {
        let Some(length) = length else { return Ok(()) };
        let Tensor { shape, .. } = self.graph.tensor(length);
        let one = self.graph.is_integer(length) && shape.iter().product::<usize>() == 1;
        ensure!(one, "{name}: the number of steps that count is no integer of one element");
        Ok(())
    }

    /// The step of a sequence that a length, an integer of one element, makes its last, as `[1, channels]`; zeros for a length
    /// of 0.
    ///
    /// # Errors
    /// Where `x` is no sequence, or the length is no integer.
    pub fn last_step_of_length(&mut self, name: &str, x: TensorId, length: TensorId) -> Result<TensorId> {
        self.expect_length(name, Some(length))?;
        let shape = self.shape(x);
        let [.., time, channels] = shape[..] else { bail!("{name}: {shape:?} is no sequence") };
        let steps = self.reshape(&format!("{name}.steps"), x, &[time, channels])?;
        // With a row of zeros in front, the length is the index of the last step.
        let pad = Op::Pad { amounts: vec![(1, 0), (0, 0)] };
        let table = self.node(&format!("{name}.table"), pad, vec![steps], vec![time + 1, channels]);
        Ok(self.node(name, Op::Embedding, vec![table, length], vec![1, channels]))
    }

    /// The last step of a sequence, as `[1, channels]`.
    ///
    /// # Errors
    /// Where `x` is no sequence.
    pub fn last_step(&mut self, name: &str, x: TensorId) -> Result<TensorId> {
        let shape = self.shape(x);
        let [.., time, channels] = shape[..] else { bail!("{name}: {shape:?} is no sequence") };
        ensure!(time > 0, "{name}: a sequence without steps");
        let op = Op::Gather { axis: shape.len() - 2, rows: vec![time as u32 - 1] };
        let mut one = shape.clone();
        one[shape.len() - 2] = 1;
        let step = self.node(&format!("{name}.step"), op, vec![x], one);
        self.reshape(name, step, &[1, channels])
    }
}
