//! The graph under construction: which tensors of the file exist in it already.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Activation, Node, Op, Quantization, Tensor, TensorId};

use super::constants::{self, Bytes};
use super::file::{File, Operator, Tensor as FileTensor};

/// The most bytes of constants that one graph may hold, however often operators share a buffer.
const MOST_CONSTANT_BYTES: usize = 1 << 28;

/// Larger tensors of integers are no shapes.
const MOST_FOLDED: usize = 1024;

/// A graph under construction.
#[derive(Debug)]
pub(super) struct Import<'f, 'b> {
    file: &'f File<'b>,
    graph: Graph,
    /// The graph tensor that each tensor of the file became.
    known: Vec<Option<TensorId>>,
    constant_bytes: usize,
    /// The bytes of tensors that were computed in advance.
    folded: HashMap<usize, Rc<[u8]>>,
}

impl<'f, 'b> Import<'f, 'b> {
    /// A graph with the inputs of the file.
    pub(super) fn new(file: &'f File<'b>) -> Result<Self> {
        let name = if file.description.is_empty() { "model" } else { &file.description };
        let graph = Graph { name: name.chars().take(64).collect(), ..Graph::default() };
        let count = file.tensor_count();
        let mut import = Self { file, graph, known: vec![None; count], constant_bytes: 0, folded: HashMap::new() };
        for input in &file.inputs {
            let tensor = file.tensor(*input)?;
            ensure!(tensor.constant.is_none(), "input \"{}\" is a constant: the file is damaged", tensor.name);
            ensure!(import.known[*input].is_none(), "input \"{}\" is named twice: the file is damaged", tensor.name);
            let id = import.add(*input, tensor);
            import.graph.inputs.push(id);
            import.graph.normalization.push(None);
        }
        Ok(import)
    }

    /// A graph without inputs, with the same constants.
    pub(super) fn alone<'g>(&self, file: &'g File<'b>) -> Import<'g, 'b> {
        let known = vec![None; file.tensor_count()];
        Import { file, graph: Graph::default(), known, constant_bytes: 0, folded: self.folded.clone() }
    }

    /// Whether all inputs of an operator are constants of a few integers, as shapes and indices are.
    pub(super) fn is_integer_constant(&self, operator: &Operator<'_>) -> Result<bool> {
        for index in operator.inputs.iter().flatten() {
            let tensor = self.tensor(*index)?;
            let integers = matches!(tensor.data_type, DataType::Int32 | DataType::Int64);
            let few = tensor.shape.iter().product::<usize>() <= MOST_FOLDED;
            if !(integers && few) || tensor.constant.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the output of an operator a constant.
    pub(super) fn folded(&mut self, index: usize, bytes: Vec<u8>) -> Result<()> {
        let tensor = self.tensor(index)?;
        ensure!(self.known[index].is_none() && tensor.constant.is_none(), "writes a tensor that is written already");
        let need = tensor.shape.iter().product::<usize>() * tensor.data_type.bytes();
        ensure!(bytes.len() == need, "makes {} bytes for a shape of {:?}", bytes.len(), tensor.shape);
        self.constant_bytes += need;
        ensure!(self.constant_bytes <= MOST_CONSTANT_BYTES, "the constants take more than {MOST_CONSTANT_BYTES} bytes");
        self.folded.insert(index, bytes.into());
        Ok(())
    }

    /// The graph with the outputs of the file.
    pub(super) fn finish(self) -> Result<Graph> {
        let outputs = &self.file.outputs;
        self.finish_with(outputs)
    }

    /// The graph with some outputs.
    pub(super) fn finish_with(mut self, outputs: &[usize]) -> Result<Graph> {
        ensure!(!outputs.is_empty(), "the model has no output");
        for output in outputs {
            let id = self.known[*output];
            let id = id.with_context(|| format!("no operator writes tensor {output}, an output of the model"))?;
            ensure!(!self.graph.inputs.contains(&id), "tensor {output} is both input and output of the model");
            ensure!(self.graph.tensor(id).data.is_none(), "tensor {output}, an output of the model, is a constant");
            self.graph.outputs.push(id);
        }
        Ok(self.graph)
    }

    /// A tensor as the file describes it.
    pub(super) fn tensor(&self, index: usize) -> Result<FileTensor<'b>> {
        let mut tensor = self.file.tensor(index)?;
        if let Some(bytes) = self.folded.get(&index) {
            tensor.constant = Some(Bytes::Computed(bytes.clone()));
        }
        Ok(tensor)
    }

    /// The tensor of a required input of an operator.
    pub(super) fn input(&self, operator: &Operator<'_>, position: usize) -> Result<FileTensor<'b>> {
        self.tensor(operator.input(position)?)
    }

    /// A tensor of the graph.
    pub(super) fn graph_tensor(&self, id: TensorId) -> &Tensor {
        self.graph.tensor(id)
    }

    /// The graph tensor of an operand: what an earlier operator wrote, an input of the model or a constant.
    pub(super) fn value(&mut self, index: usize) -> Result<TensorId> {
        if let Some(id) = self.known[index] {
            return Ok(id);
        }
        let tensor = self.tensor(index)?;
        let place = format!("tensor {index} \"{}\"", tensor.name);
        ensure!(tensor.constant.is_some(), "reads {place}, which no operator before it writes: the file is damaged");
        let id = self.constant(&tensor, tensor.shape.clone()).context(place)?;
        self.known[index] = Some(id);
        Ok(id)
    }

    /// Adds the constant behind a tensor in a shape of as many elements.
    pub(super) fn constant(&mut self, tensor: &FileTensor<'b>, shape: Vec<usize>) -> Result<TensorId> {
        let data = constants::data(tensor)?;
        self.constant_bytes += data.len() * data.data_type().bytes();
        ensure!(self.constant_bytes <= MOST_CONSTANT_BYTES, "the constants take more than {MOST_CONSTANT_BYTES} bytes");
        Ok(self.graph.add_tensor(Tensor {
            name: layer_name(&tensor.name).unwrap_or_default(),
            shape,
            data_type: tensor.data_type,
            quantization: tensor.quantization.clone(),
            data: Some(data),
        }))
    }

    /// Changes a constant that was just added.
    pub(super) fn graph_tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        self.graph.tensor_mut(id)
    }

    /// The graph tensor that an operator writes at a position; fails unless the file gives it the shape computed.
    pub(super) fn output(&mut self, operator: &Operator<'_>, position: usize, shape: &[usize]) -> Result<TensorId> {
        let index = *operator.outputs.get(position).with_context(|| format!("has no output {position}"))?;
        let tensor = self.tensor(index)?;
        let place = format!("tensor {index} \"{}\"", tensor.name);
        ensure!(self.known[index].is_none(), "writes {place}, which is written already: the file is damaged");
        ensure!(tensor.constant.is_none(), "writes {place}, a constant: the file is damaged");
        ensure!(!tensor.is_variable, "writes {place}, a state: the file is damaged");
        ensure!(
            tensor.shape == shape,
            "makes a shape of {shape:?}, but {place} has {:?}: convert again with fixed shapes",
            tensor.shape
        );
        Ok(self.add(index, tensor))
    }

    /// A tensor between two nodes of one operator, with the type and quantization of another.
    pub(super) fn inner(&mut self, like: TensorId, shape: Vec<usize>) -> TensorId {
        let tensor = Tensor { shape, data: None, ..self.graph.tensor(like).clone() };
        self.graph.add_tensor(tensor)
    }

    /// The graph tensor of a state, which lives from one run to the next.
    pub(super) fn state(&mut self, index: usize, data_type: DataType, elements: usize) -> Result<TensorId> {
        let tensor = self.tensor(index)?;
        let place = format!("tensor {index} \"{}\"", tensor.name);
        ensure!(tensor.is_variable && tensor.constant.is_none(), "{place} is no variable");
        ensure!(self.known[index].is_none(), "{place} is the state of another operator too");
        ensure!(tensor.data_type == data_type, "{place} holds {:?} where {data_type:?} belongs", tensor.data_type);
        let found: usize = tensor.shape.iter().product();
        ensure!(found == elements, "{place} has {found} elements for {elements} units");
        let id = self.add(index, tensor);
        self.graph.states.push(id);
        Ok(id)
    }

    /// The quantization of a tensor that only carries one.
    pub(super) fn quantization(&self, index: usize) -> Result<Option<Quantization>> {
        self.file.quantization_of(index)
    }

    /// Adds a node with one output.
    pub(super) fn node(&mut self, operator: &Operator<'_>, op: Op, inputs: Vec<TensorId>, output: TensorId) {
        self.node_with(operator, op, inputs, vec![output]);
    }

    /// Adds a node.
    pub(super) fn node_with(&mut self, operator: &Operator<'_>, op: Op, inputs: Vec<TensorId>, outputs: Vec<TensorId>) {
        let written = operator.outputs.first().and_then(|index| self.tensor(*index).ok());
        let name = written.and_then(|tensor| layer_name(&tensor.name));
        let name = name.unwrap_or_else(|| format!("{}_{}", op.name(), operator.index));
        self.graph.nodes.push(Node { name, op, inputs, outputs });
    }

    fn add(&mut self, index: usize, tensor: FileTensor<'b>) -> TensorId {
        let name = self.file.signature.iter().find(|(port, _)| *port == index).map(|(_, name)| name.clone());
        let name = name.unwrap_or_else(|| port_name(&tensor.name));
        let FileTensor { shape, data_type, quantization, .. } = tensor;
        let id = self.graph.add_tensor(Tensor { name, shape, data_type, quantization, data: None });
        self.known[index] = Some(id);
        id
    }
}

/// The name that people gave to the layer behind a tensor: the last but one part of the first path of its name.
fn layer_name(tensor: &str) -> Option<String> {
    let path = tensor.split(';').next().unwrap_or_default();
    let mut parts = path.rsplit('/');
    parts.next();
    parts.next().filter(|part| !part.is_empty()).map(|part| part.chars().take(40).collect())
}

/// The name of an input or output without what the converter adds.
fn port_name(tensor: &str) -> String {
    let name = tensor.strip_prefix("serving_default_").unwrap_or(tensor);
    let name = name.split(';').next().unwrap_or_default();
    name.strip_suffix(":0").unwrap_or(name).chars().take(64).collect()
}

/// The fused activation with a number.
pub(super) fn activation(number: i8) -> Result<Activation> {
    Ok(match number {
        0 => Activation::None,
        1 => Activation::Relu,
        2 => Activation::ReluN1To1,
        3 => Activation::Relu6,
        4 => bail!("a fused tanh is not taken: use a tanh layer of its own"),
        5 => bail!("a fused sign is not taken"),
        _ => bail!("has activation {number}, which does not exist: the file is damaged"),
    })
}
