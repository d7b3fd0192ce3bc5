//! The graph that trainers and importers hand over: NHWC tensors, typed operators, constants inside.
//!
//! Shapes include the batch axis, which is 1. Weight layouts are those of the model file: convolution
//! `[out][kernel_height][kernel_width][in / groups]`, depthwise `[kernel_height][kernel_width][channels * multiplier]`,
//! fully connected `[out][in]`. A sequence of `time` steps with `channels` values is `[1, 1, time, channels]`.

mod op;
mod parameters;

use nervelet::ops::DataType;
pub use op::Op;
pub use parameters::{Activation, Cell, Function, Padding, Reduction, Window};

/// Names a tensor of one [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// Affine quantization: `real = scale * (code - zero_point)`, per tensor or along one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// One scale, or one for each index of `axis`.
    pub scales: Vec<f32>,
    /// As many zero points as scales.
    pub zero_points: Vec<i32>,
    /// The axis that the scales run along; meaningless for a single scale.
    pub axis: usize,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
    }
}

/// The values of a constant tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Real numbers.
    Float32(Vec<f32>),
    /// Codes of weights and int8 activations.
    Int8(Vec<i8>),
    /// Codes of int16 activations.
    Int16(Vec<i16>),
    /// Biases of int8 layers, indices and shapes.
    Int32(Vec<i32>),
    /// Biases of int16x8 layers.
    Int64(Vec<i64>),
}

impl Data {
    /// The element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Data::Float32(_) => DataType::Float32,
            Data::Int8(_) => DataType::Int8,
            Data::Int16(_) => DataType::Int16,
            Data::Int32(_) => DataType::Int32,
            Data::Int64(_) => DataType::Int64,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Float32(values) => values.len(),
            Data::Int8(values) => values.len(),
            Data::Int16(values) => values.len(),
            Data::Int32(values) => values.len(),
            Data::Int64(values) => values.len(),
        }
    }

    /// True without a single element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as they lie in the model file: little-endian, row-major.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Data::Float32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int8(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Data::Int64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// A value that flows between nodes, or a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// For error messages and `inspect`.
    pub name: String,
    /// Row-major extents, batch first.
    pub shape: Vec<usize>,
    /// The element type.
    pub data_type: DataType,
    /// Present on quantized tensors.
    pub quantization: Option<Quantization>,
    /// Present on constants.
    pub data: Option<Data>,
}

impl Tensor {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of a float constant.
    pub fn float_data(&self) -> Option<&[f32]> {
        match &self.data {
            Some(Data::Float32(values)) => Some(values),
            _ => None,
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// For error messages, `inspect` and `bench`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The operands, in the order that [`Op`] gives.
    pub inputs: Vec<TensorId>,
    /// The results.
    pub outputs: Vec<TensorId>,
}

/// How the device turns raw readings into a float input: `(x - mean) * scale` along the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// One mean for each channel of the last axis.
    pub mean: Vec<f32>,
    /// One factor for each channel (the inverse of the standard deviation).
    pub scale: Vec<f32>,
}

/// A network: nodes in execution order over tensors.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Goes into the model file.
    pub name: String,
    /// Every tensor that a [`TensorId`] names.
    pub tensors: Vec<Tensor>,
    /// In execution order.
    pub nodes: Vec<Node>,
    /// The tensors that the caller fills.
    pub inputs: Vec<TensorId>,
    /// The tensors that the caller reads.
    pub outputs: Vec<TensorId>,
    /// Pre-processing for each input.
    pub normalization: Vec<Option<Normalization>>,
    /// Names of the classes that the first output scores; empty for a regression.
    pub classes: Vec<String>,
    /// Outputs of nodes that live from one run to the next and start at the real 0, such as recurrent states.
    pub states: Vec<TensorId>,
}

impl Graph {
    /// The tensor behind an id.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The tensor behind an id, to change it.
    pub fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        &mut self.tensors[id.0]
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// Lets every recurrent layer that runs forwards from zeros keep its states from one run to the next, until the session
    /// is reset: a model of one step of time then takes a stream step by step. Returns the number of layers.
    pub fn keep_states(&mut self) -> usize {
        let mut count = 0;
        for node in std::mem::take(&mut self.nodes) {
            match node.op {
                Op::Recurrent { cell, reverse: false }
                    if node.inputs.len() == 5 && node.outputs.len() == 1 + cell.states() =>
                {
                    count += 1;
                    self.keep_state(node);
                }
                _ => self.nodes.push(node),
            }
        }
        count
    }

    /// Adds a recurrent layer that starts from what it left, with the nodes that keep it.
    pub(crate) fn keep_state(&mut self, mut node: Node) {
        let mut copies = Vec::new();
        for last in node.outputs.iter().skip(1) {
            let name = format!("{}.kept", self.tensor(*last).name);
            let kept = self.add_tensor(Tensor { name: name.clone(), ..self.tensor(*last).clone() });
            self.states.push(kept);
            node.inputs.push(kept);
            copies.push(Node { name, op: Op::Copy, inputs: vec![*last], outputs: vec![kept] });
        }
        self.nodes.push(node);
        self.nodes.extend(copies);
    }

    /// The input of a recurrent layer or a mean that says how many steps count, if it has one.
    pub fn steps_that_count(&self, node: &Node) -> Option<TensorId> {
        let others = match node.op {
            Op::Recurrent { .. } => 5,
            Op::Mean { .. } => 1,
            _ => return None,
        };
        let last = *node.inputs.get(others..)?.last()?;
        // A cell is int32 as well once it is quantized.
        self.is_integer(last).then_some(last)
    }

    /// Whether a tensor holds integers that stand for themselves, such as indices.
    pub fn is_integer(&self, id: TensorId) -> bool {
        let tensor = self.tensor(id);
        tensor.data_type == DataType::Int32 && tensor.quantization.is_none()
    }

    /// The nodes that read a tensor, by index.
    pub fn consumers(&self, id: TensorId) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.inputs.contains(&id)).map(|(index, _)| index)
    }

    /// The node that writes a tensor, by index.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.outputs.contains(&id))
    }
}
