//! The graph under construction: what each value of the file has become, and how nodes are added.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::{DataType, MAX_RANK};
use nervelet_compiler::Graph;
use nervelet_compiler::graph::{Data, Node, Op, Quantization, Tensor, TensorId};
use nervelet_compiler::index_map::index_map;

use super::array::{Array, Constant, Kind, MOST_ELEMENTS, pick};
use super::file::{File, Operator};
use super::quantization;
use super::view::{Dimension, View};

/// The most elements of all constants together, with those that folding makes on the way.
const MOST_CONSTANT_ELEMENTS: usize = 1 << 26;

/// The most elements of all tensors that are computed together.
const MOST_COMPUTED_ELEMENTS: usize = 1 << 26;

/// A tensor that is computed at run time.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    /// The elements in memory.
    pub(super) id: TensorId,
    /// How the file sees them.
    pub(super) view: View,
    /// Whether the file means the codes of a quantized tensor, and not the reals they stand for.
    pub(super) codes: bool,
}

/// What a value of the file has become.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Constant(Rc<Constant>),
    Tensor(Operand),
}

impl Value {
    /// The shape as the file sees it.
    pub(super) fn shape(&self) -> Vec<usize> {
        match self {
            Value::Constant(constant) => constant.array.shape.clone(),
            Value::Tensor(operand) => operand.view.shape(),
        }
    }
}

/// A graph under construction.
#[derive(Debug)]
pub(super) struct Import<'f> {
    file: &'f File,
    graph: Graph,
    values: HashMap<&'f str, Value>,
    /// Tensors that exist already as reals, in another order or in another shape.
    dequantized: HashMap<TensorId, TensorId>,
    moved: HashMap<(TensorId, View, Vec<usize>), TensorId>,
    shaped: HashMap<(TensorId, Vec<usize>), TensorId>,
    constant_elements: usize,
}

impl<'f> Import<'f> {
    /// A graph with the inputs and constants of a file.
    pub(super) fn new(file: &'f File) -> Result<Self> {
        let name = if file.graph.name.is_empty() { "model" } else { &file.graph.name };
        let graph = Graph { name: short(name), ..Graph::default() };
        let mut import = Self {
            file,
            graph,
            values: HashMap::new(),
            dequantized: HashMap::new(),
            moved: HashMap::new(),
            shaped: HashMap::new(),
            constant_elements: 0,
        };
        for (name, shape, kind) in &file.inputs {
            let quantized = *kind != Kind::Float32;
            let data_type = match kind {
                Kind::Float32 => DataType::Float32,
                Kind::Int8 => DataType::Int8,
                // Indices and lengths fit 32 bits.
                Kind::Int32 | Kind::Int64 => DataType::Int32,
                _ => bail!("input \"{name}\" holds {kind:?}: float32, int8, int32 and int64 are taken"),
            };
            ensure!(shape.len() <= MAX_RANK, "input \"{name}\" has {} axes, at most {MAX_RANK} are taken", shape.len());
            let tensor = Tensor { name: short(name), shape: shape.clone(), data_type, quantization: None, data: None };
            let id = import.graph.add_tensor(tensor);
            import.graph.inputs.push(id);
            import.graph.normalization.push(None);
            import.define(name, Value::Tensor(Operand { id, view: View::of(shape), codes: quantized }))?;
        }
        for tensor in &file.graph.initializer {
            let array = Array::read(tensor).with_context(|| format!("constant \"{}\"", tensor.name))?;
            import.charge(array.len())?;
            import.define(&tensor.name, Value::Constant(Rc::new(Constant { array, codes: None })))?;
        }
        Ok(import)
    }

    /// The graph with the outputs of the file.
    pub(super) fn finish(mut self) -> Result<Graph> {
        for output in &self.file.graph.output {
            self.output(&output.name).with_context(|| format!("output \"{}\"", output.name))?;
        }
        let computed = self.graph.tensors.iter().filter(|tensor| tensor.data.is_none()).map(Tensor::elements);
        let elements = computed.fold(0_usize, usize::saturating_add);
        ensure!(
            elements <= MOST_COMPUTED_ELEMENTS,
            "the tensors together have {elements} elements, more than the {MOST_COMPUTED_ELEMENTS} that are taken"
        );
        Ok(self.graph)
    }

    fn output(&mut self, name: &str) -> Result<()> {
        let Value::Tensor(operand) = self.value(name)? else {
            bail!("is a constant: it does not depend on the inputs")
        };
        let operand = if operand.codes { operand } else { self.real(&operand) };
        let shape = operand.view.shape();
        ensure!(shape.len() <= MAX_RANK, "has {} axes, at most {MAX_RANK} are taken", shape.len());
        let id = self.in_logical_order(&operand)?;
        ensure!(!self.graph.inputs.contains(&id), "is an input of the model");
        ensure!(!self.graph.outputs.contains(&id), "is an output of the model under another name too");
        let id = self.shape_as(id, &shape);
        self.graph.tensor_mut(id).name = short(name);
        self.graph.outputs.push(id);
        Ok(())
    }

    /// Accounts for elements of a constant before it is made.
    pub(super) fn charge(&mut self, elements: usize) -> Result<()> {
        ensure!(elements <= MOST_ELEMENTS, "{elements} elements are more than the {MOST_ELEMENTS} that are taken");
        self.constant_elements = self.constant_elements.saturating_add(elements);
        let fits = self.constant_elements <= MOST_CONSTANT_ELEMENTS;
        ensure!(fits, "the constants together have more than {MOST_CONSTANT_ELEMENTS} elements");
        Ok(())
    }

    fn define(&mut self, name: &'f str, value: Value) -> Result<()> {
        ensure!(!name.is_empty(), "a value has no name: the file is damaged");
        let fresh = self.values.insert(name, value).is_none();
        ensure!(fresh, "\"{name}\" is written twice: the file is damaged");
        Ok(())
    }

    /// What a value of the file has become.
    pub(super) fn value(&self, name: &str) -> Result<Value> {
        let value = self.values.get(name).cloned();
        value.with_context(|| format!("reads \"{name}\", which nothing before it writes: the file is damaged"))
    }

    /// The value of a required input.
    pub(super) fn input(&self, operator: &Operator<'f>, position: usize) -> Result<Value> {
        self.value(operator.input(position)?)
    }

    /// A constant input, if it is given.
    pub(super) fn optional_constant(&self, operator: &Operator<'f>, position: usize) -> Result<Option<Rc<Constant>>> {
        let Some(name) = operator.optional_input(position) else { return Ok(None) };
        match self.value(name)? {
            Value::Constant(constant) => Ok(Some(constant)),
            Value::Tensor(_) => bail!("input {position} (\"{name}\") has to be a constant"),
        }
    }

    /// A constant input.
    pub(super) fn constant(&self, operator: &Operator<'f>, position: usize) -> Result<Rc<Constant>> {
        self.optional_constant(operator, position)?.with_context(|| format!("has no input {position}"))
    }

    /// An input computed at run time, as it lies in memory: reals, or codes that stand for them.
    pub(super) fn operand(&mut self, operator: &Operator<'f>, position: usize) -> Result<Operand> {
        match self.input(operator, position)? {
            Value::Tensor(operand) if self.graph.is_integer(operand.id) => {
                bail!(
                    "computes with integers given at run time: they are taken as indices of Gather and as sequence_lens"
                )
            }
            Value::Tensor(operand) if operand.codes => {
                bail!("computes with codes: put DequantizeLinear in front of it")
            }
            Value::Tensor(operand) => Ok(operand),
            Value::Constant(constant) => {
                let id = self.add_constant(operator.input(position)?, &constant.array)?;
                Ok(Operand { id, view: View::of(&constant.array.shape), codes: false })
            }
        }
    }

    /// An input of integers given at run time, in the order of its axes; none for another one.
    pub(super) fn integers(&mut self, operator: &Operator<'f>, position: usize) -> Result<Option<TensorId>> {
        let Some(name) = operator.optional_input(position) else { return Ok(None) };
        match self.value(name)? {
            Value::Tensor(operand) if self.graph.is_integer(operand.id) => self.in_logical_order(&operand).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`operand`](Self::operand), in f32.
    pub(super) fn real_operand(&mut self, operator: &Operator<'f>, position: usize) -> Result<Operand> {
        let operand = self.operand(operator, position)?;
        Ok(self.real(&operand))
    }

    /// An operand in f32.
    pub(super) fn real(&mut self, operand: &Operand) -> Operand {
        let id = operand.id;
        if self.graph.tensor(id).data_type != DataType::Int8 {
            return operand.clone();
        }
        let id = match self.dequantized.get(&id) {
            Some(known) => *known,
            None => {
                let name = format!("{}.dequantize", self.graph.tensor(id).name);
                let shape = self.graph.tensor(id).shape.clone();
                let real = self.add(&name, shape, None);
                self.node_with(&name, Op::Quantize, vec![id], vec![real]);
                self.dequantized.insert(id, real);
                real
            }
        };
        Operand { id, view: operand.view.clone(), codes: false }
    }

    /// The scale that the file quantizes an output to, straight or behind a relu, if it does nothing else with it.
    pub(super) fn target(&self, operator: &Operator<'f>) -> Option<Quantization> {
        let mut output = operator.output(0)?;
        // A chain of relus longer than this is no network.
        for _ in 0..4 {
            let reader = self.file.sole_reader(output)?;
            if reader.optional_input(0) != Some(output) {
                return None;
            }
            match &reader.node.op_type[..] {
                "QuantizeLinear" => return quantization::parameters(self, &reader).ok(),
                "Relu" | "Clip" => output = reader.output(0)?,
                _ => return None,
            }
        }
        None
    }

    /// The scale to compute an output with in int8, if all operands are int8 and the output is quantized.
    pub(super) fn int8_target(&self, operator: &Operator<'f>, operands: &[&Operand]) -> Option<Quantization> {
        let int8 = operands.iter().all(|operand| self.tensor(operand.id).data_type == DataType::Int8);
        int8.then(|| self.target(operator))?
    }

    /// A tensor of the graph.
    pub(super) fn tensor(&self, id: TensorId) -> &Tensor {
        self.graph.tensor(id)
    }

    /// A tensor of the graph, to change it.
    pub(super) fn tensor_mut(&mut self, id: TensorId) -> &mut Tensor {
        self.graph.tensor_mut(id)
    }

    /// The name of the node that an operator becomes.
    pub(super) fn name(&self, operator: &Operator<'f>) -> String {
        let name = &operator.node.name;
        if !name.is_empty() {
            return short(name);
        }
        match operator.output(0) {
            Some(output) => short(output.trim_end_matches("_output_0")),
            None => format!("{}_{}", operator.node.op_type, operator.index),
        }
    }

    /// Adds a node with one new output; f32 without a quantization, int8 with one.
    pub(super) fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
        quantization: Option<Quantization>,
    ) -> Result<TensorId> {
        let elements = shape.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent));
        let fits = elements.is_some_and(|n| (1..=MOST_ELEMENTS).contains(&n));
        ensure!(fits, "makes a shape of {shape:?}: from 1 to {MOST_ELEMENTS} elements are taken");
        let output = self.add(name, shape, quantization);
        self.node_with(name, op, inputs, vec![output]);
        Ok(output)
    }

    /// Adds a node with outputs that were added before.
    pub(super) fn node_with(&mut self, name: &str, op: Op, inputs: Vec<TensorId>, outputs: Vec<TensorId>) {
        self.graph.nodes.push(Node { name: name.into(), op, inputs, outputs });
    }

    /// Adds a tensor that a node is going to write.
    pub(super) fn add(&mut self, name: &str, shape: Vec<usize>, quantization: Option<Quantization>) -> TensorId {
        let data_type = if quantization.is_some() { DataType::Int8 } else { DataType::Float32 };
        self.graph.add_tensor(Tensor { name: name.into(), shape, data_type, quantization, data: None })
    }

    /// Adds a constant of f32.
    pub(super) fn add_constant(&mut self, name: &str, array: &Array) -> Result<TensorId> {
        let values = array.reals().with_context(|| format!("\"{name}\""))?.to_vec();
        Ok(self.add_data(name, array.shape.clone(), Data::Float32(values), None))
    }

    /// Adds a constant.
    pub(super) fn add_data(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        data: Data,
        quantization: Option<Quantization>,
    ) -> TensorId {
        let data_type = data.data_type();
        self.graph.add_tensor(Tensor { name: short(name), shape, data_type, quantization, data: Some(data) })
    }

    /// Says what an output of an operator has become.
    pub(super) fn set(&mut self, operator: &Operator<'f>, position: usize, value: Value) -> Result<()> {
        operator.output(position).map_or(Ok(()), |name| self.define(name, value))
    }

    /// Says that an output is a tensor of reals, seen through a view.
    pub(super) fn set_tensor(
        &mut self,
        operator: &Operator<'f>,
        position: usize,
        id: TensorId,
        view: View,
    ) -> Result<()> {
        self.set(operator, position, Value::Tensor(Operand { id, view, codes: false }))
    }

    /// Says that an output is a constant.
    pub(super) fn set_constant(&mut self, operator: &Operator<'f>, array: Array) -> Result<()> {
        self.set(operator, 0, Value::Constant(Rc::new(Constant { array, codes: None })))
    }

    /// The elements of an operand, densely with its axes in an order in memory.
    pub(super) fn in_order(&mut self, operand: &Operand, order: &[usize]) -> Result<TensorId> {
        let elements = self.graph.tensor(operand.id).elements();
        if operand.view.lies_in(order, elements) {
            return Ok(operand.id);
        }
        let key = (operand.id, operand.view.clone(), order.to_vec());
        if let Some(known) = self.moved.get(&key) {
            return Ok(*known);
        }
        let tensor = self.graph.tensor(operand.id).clone();
        ensure!(operand.view.elements() <= MOST_ELEMENTS, "more than {MOST_ELEMENTS} elements");
        let shape: Vec<usize> =
            order.iter().map(|axis| operand.view.axes[*axis].iter().map(|d| d.extent).product()).collect();
        let name = format!("{}.transpose", tensor.name);
        let id = if let Some(data) = &tensor.data {
            self.charge(operand.view.elements())?;
            let positions = operand.view.transposed(order)?.positions();
            let data = match data {
                Data::Float32(values) => Data::Float32(pick(values, &positions)),
                Data::Int8(codes) => Data::Int8(pick(codes, &positions)),
                other => bail!("a constant of {:?} is not moved", other.data_type()),
            };
            self.add_data(&tensor.name, compact(shape), data, tensor.quantization)
        } else {
            let (extents, strides): (Vec<usize>, Vec<i64>) =
                operand.view.dimensions(order).iter().map(|d| (d.extent, d.stride)).unzip();
            let map = index_map(&extents, &strides, operand.view.offset)?;
            let id = self.add(&name, compact(shape), None);
            let output = self.graph.tensor_mut(id);
            (output.data_type, output.quantization) = (tensor.data_type, tensor.quantization);
            self.node_with(&name, Op::Rearrange(map), vec![operand.id], vec![id]);
            id
        };
        self.moved.insert(key, id);
        Ok(id)
    }

    /// The elements of an operand in the order of its axes.
    pub(super) fn in_logical_order(&mut self, operand: &Operand) -> Result<TensorId> {
        let order: Vec<usize> = (0..operand.view.rank()).collect();
        self.in_order(operand, &order)
    }

    /// An operand whose axes lie densely in memory each, and their order; moved only where they do not.
    pub(super) fn ordered(&mut self, operand: &Operand) -> Result<(Operand, Vec<usize>)> {
        let elements = self.graph.tensor(operand.id).elements();
        if let Some(order) = operand.view.order(elements) {
            return Ok((operand.clone(), order));
        }
        let order: Vec<usize> = (0..operand.view.rank()).collect();
        let id = self.in_order(operand, &order)?;
        Ok((Operand { id, view: operand.view.packed(&order), ..operand.clone() }, order))
    }

    /// An operand that is all of its tensor once, in any order; moved only where it is not.
    pub(super) fn dense(&mut self, operand: &Operand) -> Result<Operand> {
        if operand.view.memory(self.graph.tensor(operand.id).elements()).is_some() {
            return Ok(operand.clone());
        }
        let order: Vec<usize> = (0..operand.view.rank()).collect();
        let id = self.in_order(operand, &order)?;
        Ok(Operand { id, view: operand.view.packed(&order), ..operand.clone() })
    }

    /// An operand with an axis innermost in memory, and the axis's dimensions there.
    pub(super) fn innermost(&mut self, operand: &Operand, axis: usize) -> Result<(Operand, Vec<Dimension>)> {
        let elements = self.graph.tensor(operand.id).elements();
        if let Some(dimensions) = operand.view.innermost(axis, elements) {
            return Ok((operand.clone(), dimensions));
        }
        let order: Vec<usize> = (0..operand.view.rank()).filter(|other| *other != axis).chain([axis]).collect();
        let id = self.in_order(operand, &order)?;
        let view = operand.view.packed(&order);
        let dimensions = view.axes[axis].clone();
        Ok((Operand { id, view, ..operand.clone() }, dimensions))
    }

    /// A tensor in another shape.
    pub(super) fn shape_as(&mut self, id: TensorId, shape: &[usize]) -> TensorId {
        let tensor = self.graph.tensor(id);
        if tensor.shape == shape {
            return id;
        }
        if let Some(known) = self.shaped.get(&(id, shape.to_vec())) {
            return *known;
        }
        let reshaped = Tensor { shape: shape.to_vec(), ..tensor.clone() };
        let constant = tensor.data.is_some();
        let name = format!("{}.reshape", tensor.name);
        let view = self.graph.add_tensor(reshaped);
        if !constant {
            self.node_with(&name, Op::Reshape, vec![id], vec![view]);
        }
        self.shaped.insert((id, shape.to_vec()), view);
        view
    }
}

/// A shape with at most as many axes as tensors have.
pub(super) fn compact(shape: Vec<usize>) -> Vec<usize> {
    if shape.len() <= MAX_RANK {
        return shape;
    }
    let wide: Vec<usize> = shape.iter().copied().filter(|extent| *extent > 1).collect();
    if wide.len() <= MAX_RANK { wide } else { vec![wide.iter().product()] }
}

/// The shape of matrices with at most as many axes as tensors have.
pub(super) fn compact_matrices(shape: &[usize]) -> Vec<usize> {
    match shape.split_last_chunk::<2>() {
        Some((lead, matrix)) if shape.len() > MAX_RANK => {
            let mut compact = vec![lead.iter().product()];
            compact.extend(matrix);
            compact
        }
        _ => shape.to_vec(),
    }
}

/// A name as it goes into the model file.
pub(super) fn short(name: &str) -> String {
    name.trim_start_matches('/').chars().take(64).collect()
}
