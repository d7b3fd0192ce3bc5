//! The file with its ports, constants and nodes checked, and nodes as operators ask for them.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use prost::Message;

use super::array::{Array, Kind, shape};
use super::{guard, proto};

/// The oldest and newest versions of the file format and of the operators that are taken.
const IR_VERSIONS: std::ops::RangeInclusive<i64> = 3..=14;
const OPERATOR_SETS: std::ops::RangeInclusive<i64> = 7..=28;

/// The most nodes of a graph: what is unrolled further belongs into a recurrent layer.
const MOST_NODES: usize = 1 << 14;

/// A decoded file.
#[derive(Debug)]
pub(super) struct File {
    /// The version of the standard operators.
    pub(super) operator_set: i64,
    /// What the caller fills: name, shape, type.
    pub(super) inputs: Vec<(String, Vec<usize>, Kind)>,
    pub(super) graph: proto::Graph,
    /// The nodes that read each value, by index.
    readers: HashMap<String, Vec<usize>>,
}

impl File {
    /// Decodes a file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        guard::check(bytes)?;
        let model = proto::Model::decode(bytes).context("it does not decode")?;
        let version = model.ir_version;
        ensure!(IR_VERSIONS.contains(&version), "format version {version} is not taken, {IR_VERSIONS:?} are");
        let mut sets = model.opset_import.iter().filter(|set| matches!(&set.domain[..], "" | "ai.onnx"));
        let operator_set = sets.next().context("it does not say which operators it uses")?.version;
        ensure!(
            OPERATOR_SETS.contains(&operator_set),
            "operator set {operator_set} is not taken, {OPERATOR_SETS:?} are: export with opset_version=17"
        );
        let graph = model.graph.context("it holds no graph")?;
        ensure!(!graph.node.is_empty(), "its graph has no node");
        let nodes = graph.node.len();
        ensure!(nodes <= MOST_NODES, "its graph has {nodes} nodes, more than the {MOST_NODES} that are taken");
        ensure!(!graph.output.is_empty(), "its graph has no output");
        let mut inputs = Vec::new();
        for input in &graph.input {
            // Old files list constants among the inputs.
            if graph.initializer.iter().any(|tensor| tensor.name == input.name) {
                continue;
            }
            let (shape, kind) = port(input).with_context(|| format!("input \"{}\"", input.name))?;
            inputs.push((input.name.clone(), shape, kind));
        }
        ensure!(!inputs.is_empty(), "its graph has no input");
        let mut readers: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for input in node.input.iter().filter(|name| !name.is_empty()) {
                readers.entry(input.clone()).or_default().push(index);
            }
        }
        Ok(Self { operator_set, inputs, graph, readers })
    }

    /// The node that reads a value, if only one does and the caller does not.
    pub(super) fn sole_reader(&self, name: &str) -> Option<Operator<'_>> {
        let [index] = self.readers.get(name)?[..] else { return None };
        let is_output = self.graph.output.iter().any(|output| output.name == name);
        (!is_output).then(|| self.operator(index))?
    }

    /// A node.
    pub(super) fn operator(&self, index: usize) -> Option<Operator<'_>> {
        Some(Operator { index, node: self.graph.node.get(index)?, set: self.operator_set })
    }
}

/// The shape and type of an input; an open batch is 1.
fn port(input: &proto::ValueInfo) -> Result<(Vec<usize>, Kind)> {
    let found = input.r#type.as_ref().and_then(|found| found.tensor_type.as_ref()).context("is no tensor")?;
    let kind = Kind::from_number(found.elem_type.into())?;
    ensure!(
        matches!(kind, Kind::Float32 | Kind::Int8 | Kind::Uint8 | Kind::Int32 | Kind::Int64),
        "holds {kind:?}: inputs of float32, int8 and, as indices and lengths, int32 and int64 are taken"
    );
    let dimensions = &found.shape.as_ref().context("has no shape: export with fixed shapes")?.dim;
    let extent = |(axis, dimension): (usize, &proto::Dimension)| match (dimension.value, axis) {
        (Some(extent), _) if extent != 0 => Ok(extent),
        (None, 0) => Ok(1),
        _ => bail!("axis {axis} has no fixed extent: export with fixed shapes"),
    };
    let extents = dimensions.iter().enumerate().map(extent).collect::<Result<Vec<i64>>>()?;
    Ok((shape(&extents)?, kind))
}

/// A node as operators read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operator<'f> {
    pub(super) index: usize,
    pub(super) node: &'f proto::Node,
    /// The version of the operator set.
    pub(super) set: i64,
}

impl<'f> Operator<'f> {
    /// The name of a required input.
    pub(super) fn input(&self, position: usize) -> Result<&'f str> {
        self.optional_input(position).with_context(|| format!("has no input {position}"))
    }

    /// The name of an input, if it is given.
    pub(super) fn optional_input(&self, position: usize) -> Option<&'f str> {
        self.node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an output, if anything can read it.
    pub(super) fn output(&self, position: usize) -> Option<&'f str> {
        self.node.output.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn attribute(&self, name: &str, number: i32) -> Result<Option<&'f proto::Attribute>> {
        let mut found = self.node.attribute.iter().filter(|attribute| attribute.name == name);
        let Some(attribute) = found.next() else { return Ok(None) };
        ensure!(found.next().is_none(), "attribute {name} is given twice");
        let typed = attribute.r#type == number || attribute.r#type == 0;
        ensure!(typed, "attribute {name} has the wrong type ({})", attribute.r#type);
        Ok(Some(attribute))
    }

    /// A real attribute.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.attribute(name, 1)?.map_or(default, |attribute| attribute.f))
    }

    /// An integer attribute.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.optional_int(name)?.unwrap_or(default))
    }

    /// An integer attribute, if it is given.
    pub(super) fn optional_int(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.attribute(name, 2)?.map(|attribute| attribute.i))
    }

    /// A text attribute.
    pub(super) fn text(&self, name: &str, default: &'static str) -> Result<&'f str> {
        let Some(attribute) = self.attribute(name, 3)? else { return Ok(default) };
        std::str::from_utf8(&attribute.s).with_context(|| format!("attribute {name} is no text"))
    }

    /// A constant among the attributes.
    pub(super) fn array(&self, name: &str) -> Result<Option<Array>> {
        let tensor = self.attribute(name, 4)?.and_then(|attribute| attribute.t.as_ref());
        tensor.map(|tensor| Array::read(tensor).with_context(|| format!("attribute {name}"))).transpose()
    }

    /// A list of reals.
    pub(super) fn floats(&self, name: &str) -> Result<Option<&'f [f32]>> {
        Ok(self.attribute(name, 6)?.map(|attribute| &attribute.floats[..]))
    }

    /// A list of integers.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&'f [i64]>> {
        Ok(self.attribute(name, 7)?.map(|attribute| &attribute.ints[..]))
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&'f str>>> {
        let Some(attribute) = self.attribute(name, 8)? else { return Ok(None) };
        let texts = attribute.strings.iter().map(|bytes| std::str::from_utf8(bytes)).collect::<Result<_, _>>();
        texts.map(Some).with_context(|| format!("attribute {name} is no text"))
    }

    /// Fails unless an attribute, if given, has the value that the importer implies.
    pub(super) fn expect_int(&self, name: &str, wanted: i64) -> Result<()> {
        let found = self.int(name, wanted)?;
        ensure!(found == wanted, "{name}={found} is not taken, only {wanted}");
        Ok(())
    }
}

/// An axis counted from the end where it is negative.
pub(super) fn axis(index: i64, rank: usize) -> Result<usize> {
    let axis = if index < 0 { index.checked_add(rank as i64) } else { Some(index) };
    let axis = axis.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    axis.with_context(|| format!("axis {index} does not exist, there are {rank}"))
}
