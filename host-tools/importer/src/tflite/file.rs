//! A TensorFlow Lite file as records: its tables with every index checked.
//!
//! Field numbers are those of the TensorFlow Lite schema, version 3. Tensors are read when an operator asks for them,
//! so that an error can say which.

use anyhow::{Context, Result, bail, ensure};
use nervelet::ops::DataType;
use nervelet_compiler::graph::Quantization;

use super::constants::Bytes;
use super::opcodes;
use crate::flatbuffer::Table;

/// More than any network for a microcontroller has, and few enough to be read at once.
const MOST_OPERATORS: usize = 10_000;
const MOST_TENSORS: usize = 65_000;
const MOST_OPERANDS: usize = 1_000;
const MOST_SCALES: usize = 65_536;
/// The most bytes that one tensor may take.
const MOST_BYTES: usize = 1 << 26;

/// The tables of a file.
#[derive(Debug)]
pub(super) struct File<'b> {
    bytes: &'b [u8],
    tensors: Vec<Table<'b>>,
    buffers: Vec<Table<'b>>,
    /// In execution order.
    pub(super) operators: Vec<Operator<'b>>,
    /// The tensors that the caller fills.
    pub(super) inputs: Vec<usize>,
    /// The tensors that the caller reads.
    pub(super) outputs: Vec<usize>,
    /// Names that the exporter gave to inputs and outputs, by tensor.
    pub(super) signature: Vec<(usize, String)>,
    /// What the exporter wrote about the model.
    pub(super) description: String,
}

/// An operator: what it is, its operands and its options.
#[derive(Debug, Clone)]
pub(super) struct Operator<'b> {
    /// Its position in the file.
    pub(super) index: usize,
    /// Its number among the builtin operators.
    pub(super) code: u32,
    /// Its name.
    pub(super) name: String,
    /// The tensors it reads; `None` for an optional one left out.
    pub(super) inputs: Vec<Option<usize>>,
    /// The tensors it writes.
    pub(super) outputs: Vec<usize>,
    /// Tensors that only carry the quantization of inner values.
    pub(super) intermediates: Vec<usize>,
    options: Option<(u8, Table<'b>)>,
}

/// A tensor: type, shape, quantization and, for a constant, its bytes.
#[derive(Debug, Clone)]
pub(super) struct Tensor<'b> {
    /// Its name in the file.
    pub(super) name: String,
    /// Row-major extents.
    pub(super) shape: Vec<usize>,
    /// The element type.
    pub(super) data_type: DataType,
    /// For int8 and int16.
    pub(super) quantization: Option<Quantization>,
    /// The bytes of a constant.
    pub(super) constant: Option<Bytes<'b>>,
    /// Keeps its value from one run to the next.
    pub(super) is_variable: bool,
}

impl<'b> File<'b> {
    /// Reads the tables of a file.
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self> {
        let model = Table::root(bytes, b"TFL3")?;
        let version = model.scalar::<u32>(0, 0)?;
        ensure!(
            version == 3,
            "schema version {version}, but only version 3 is defined: the file is damaged or too new"
        );
        let codes = model.tables(1)?.collect::<Result<Vec<_>>>().context("the list of operator codes")?;
        let mut subgraphs = model.tables(2)?;
        let subgraph = subgraphs.next().context("the file holds no graph")??;
        let buffers = model.tables(4)?.collect::<Result<Vec<_>>>().context("the list of buffers")?;
        let tensors = subgraph.tables(0)?.take(MOST_TENSORS + 1).collect::<Result<Vec<_>>>();
        let tensors = tensors.context("the list of tensors")?;
        ensure!(tensors.len() <= MOST_TENSORS, "more than {MOST_TENSORS} tensors");
        let operators = subgraph.tables(3)?;
        ensure!(operators.len() <= MOST_OPERATORS, "{} operators, at most {MOST_OPERATORS} are read", operators.len());
        let operators = operators.enumerate().map(|(index, table)| {
            Operator::read(index, table?, &codes, tensors.len()).with_context(|| format!("operator {index}"))
        });
        let operators = operators.collect::<Result<Vec<_>>>()?;
        let port = |number| {
            let indices = subgraph.vector::<i32>(number)?;
            ensure!(indices.len() <= tensors.len(), "more than there are tensors");
            indices.iter().map(|index| required(index, tensors.len())).collect::<Result<Vec<_>>>()
        };
        let (inputs, outputs) = (port(1).context("the inputs")?, port(2).context("the outputs")?);
        let signature = signature(&model).unwrap_or_default();
        let description = model.string(3)?;
        Ok(Self { bytes, tensors, buffers, operators, inputs, outputs, signature, description })
    }

    /// The number of tensors.
    pub(super) fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// A tensor.
    pub(super) fn tensor(&self, index: usize) -> Result<Tensor<'b>> {
        let table = self.tensors.get(index).with_context(|| format!("there is no tensor {index}"))?;
        let name = table.string(3)?;
        let place = format!("tensor {index} \"{name}\"");
        self.read_tensor(table, name).context(place)
    }

    fn read_tensor(&self, table: &Table<'b>, name: String) -> Result<Tensor<'b>> {
        let data_type = opcodes::data_type(table.scalar::<i8>(1, 0)?).map_err(|name| {
            anyhow::anyhow!("holds {name}: convert the model to float32, to full int8 or to int16 with int8 weights")
        })?;
        let extents = table.vector::<i32>(0)?;
        ensure!(extents.len() <= 8, "{} axes, no operator takes more than 6", extents.len());
        let shape = extents.iter().map(|extent| {
            usize::try_from(extent).ok().filter(|extent| *extent > 0).with_context(|| {
                format!("an extent of {extent}: give the model a fixed input shape, with batch 1, before conversion")
            })
        });
        let shape = shape.collect::<Result<Vec<usize>>>()?;
        let bytes = shape.iter().try_fold(data_type.bytes(), |bytes, extent| bytes.checked_mul(*extent));
        let bytes = bytes.filter(|bytes| *bytes <= MOST_BYTES);
        let bytes = bytes.with_context(|| format!("shape {shape:?} takes more than {} MiB", MOST_BYTES >> 20))?;
        ensure!(table.table(6)?.is_none(), "is stored sparse: convert the model without sparsity");
        ensure!(table.scalar::<u32>(10, 0)? == 0, "is stored in another file: convert to a single file");
        let quantization = match (table.table(4)?, data_type) {
            (Some(record), DataType::Int8 | DataType::Int16) => quantization(&record, &shape, data_type)?,
            // Of int32 only sums that leave the quantized part have a scale that matters; biases need none.
            (Some(record), DataType::Int32) => quantization(&record, &shape, data_type).ok().flatten(),
            _ => None,
        };
        let constant = self.buffer(table.scalar::<u32>(2, 0)?)?;
        if let Some(constant) = constant {
            let found = constant.len();
            ensure!(found == bytes, "shape {shape:?} takes {bytes} bytes, its buffer has {found}: the file is damaged");
        }
        Ok(Tensor {
            name,
            shape,
            data_type,
            quantization,
            constant: constant.map(Bytes::File),
            is_variable: table.flag(5)?,
        })
    }

    /// The quantization of a tensor of int8 whose shape does not matter.
    pub(super) fn quantization_of(&self, index: usize) -> Result<Option<Quantization>> {
        let table = self.tensors.get(index).with_context(|| format!("there is no tensor {index}"))?;
        let record = table.table(4)?;
        record.map_or(Ok(None), |record| quantization(&record, &[], DataType::Int8))
    }

    /// The values of a constant of float16; `None` for any other tensor.
    pub(super) fn half_constant(&self, index: usize) -> Result<Option<Vec<f32>>> {
        let table = self.tensors.get(index).with_context(|| format!("there is no tensor {index}"))?;
        if table.scalar::<i8>(1, 0)? != 1 {
            return Ok(None);
        }
        let bytes = self.buffer(table.scalar::<u32>(2, 0)?)?;
        let bytes = bytes.context("takes float16 computed at run time: only constants may be float16")?;
        Ok(Some(bytes.as_chunks::<2>().0.iter().map(|pair| half::f16::from_le_bytes(*pair).to_f32()).collect()))
    }

    /// The bytes of a buffer; `None` for an empty one, which stands for a value computed at run time.
    fn buffer(&self, index: u32) -> Result<Option<&'b [u8]>> {
        let count = self.buffers.len();
        let table = self.buffers.get(index as usize);
        let table = table.with_context(|| format!("names buffer {index}, but there are {count}"))?;
        let bytes = table.blob(0)?;
        let (offset, size) = (table.scalar::<u64>(1, 0)?, table.scalar::<u64>(2, 0)?);
        if offset > 1 || size > 1 {
            let start = usize::try_from(offset).ok();
            let end = start.zip(usize::try_from(size).ok()).and_then(|(start, size)| start.checked_add(size));
            let outside = start.zip(end).and_then(|(start, end)| self.bytes.get(start..end));
            return outside
                .map(Some)
                .with_context(|| format!("buffer {index} lies at {offset} with {size} bytes, outside the file"));
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

impl<'b> Operator<'b> {
    fn read(index: usize, table: Table<'b>, codes: &[Table<'b>], tensors: usize) -> Result<Self> {
        let number = table.scalar::<u32>(0, 0)?;
        let code = codes.get(number as usize);
        let code = code.with_context(|| format!("names operator code {number}, but there are {}", codes.len()))?;
        // The code once had one byte; files from then fill only that, newer ones both.
        let (old, new) = (i32::from(code.scalar::<i8>(0, 0)?), code.scalar::<i32>(3, 0)?);
        let builtin = u32::try_from(old.max(new)).context("has a negative operator code")?;
        let name = match (builtin, opcodes::name(builtin)) {
            (32, _) => format!("CUSTOM \"{}\"", code.string(1)?),
            (_, "") => format!("operator with builtin code {builtin}"),
            (_, name) => name.into(),
        };
        let place = |what| format!("{name}: its {what}");
        let operands = |number| {
            let indices = table.vector::<i32>(number)?;
            ensure!(indices.len() <= MOST_OPERANDS, "{} of them, at most {MOST_OPERANDS} are read", indices.len());
            Ok(indices)
        };
        let inputs = operands(1).with_context(|| place("inputs"))?.iter();
        let inputs = inputs.map(|input| if input == -1 { Ok(None) } else { required(input, tensors).map(Some) });
        let inputs = inputs.collect::<Result<Vec<_>>>().with_context(|| place("inputs"))?;
        let list = |number, what| {
            let indices = operands(number).with_context(|| place(what))?.iter();
            indices.map(|index| required(index, tensors)).collect::<Result<Vec<_>>>().with_context(|| place(what))
        };
        let (outputs, intermediates) = (list(2, "outputs")?, list(8, "intermediates")?);
        let options = table.table(4)?;
        let options =
            options.map(|options| Ok::<_, anyhow::Error>((table.scalar::<u8>(3, 0)?, options))).transpose()?;
        Ok(Self { index, code: builtin, name, inputs, outputs, intermediates, options })
    }

    /// The options, which have to be of the kind that belongs to the operator; `None` where the file has none.
    pub(super) fn options(&self, kind: u8) -> Result<Option<Table<'b>>> {
        match self.options {
            None => Ok(None),
            Some((found, table)) if found == kind => Ok(Some(table)),
            Some((found, _)) => bail!("has options of kind {found} where kind {kind} belongs: the file is damaged"),
        }
    }

    /// A scalar of the options, or its default.
    pub(super) fn option<T: crate::flatbuffer::Scalar>(&self, kind: u8, number: usize, default: T) -> Result<T> {
        self.options(kind)?.map_or(Ok(default), |options| options.scalar(number, default))
    }

    /// A required input.
    pub(super) fn input(&self, position: usize) -> Result<usize> {
        self.optional_input(position).with_context(|| format!("has no input {position}"))
    }

    /// An input that may be left out.
    pub(super) fn optional_input(&self, position: usize) -> Option<usize> {
        self.inputs.get(position).copied().flatten()
    }
}

fn required(index: i32, count: usize) -> Result<usize> {
    let found = usize::try_from(index).ok().filter(|index| *index < count);
    found.with_context(|| format!("name tensor {index}, but there are {count}"))
}

/// The names of inputs and outputs in the first signature.
fn signature(model: &Table<'_>) -> Result<Vec<(usize, String)>> {
    let Some(signature) = model.tables(7)?.next() else { return Ok(Vec::new()) };
    let signature = signature?;
    let ports = signature.tables(0)?.chain(signature.tables(1)?).take(256);
    ports.map(|port| port.and_then(|port| Ok((port.scalar::<u32>(1, 0)? as usize, port.string(0)?)))).collect()
}

/// The quantization of a tensor, checked: positive finite scales, zero points among the codes, one of each or one for
/// each index of an axis.
fn quantization(record: &Table<'_>, shape: &[usize], data_type: DataType) -> Result<Option<Quantization>> {
    ensure!(record.scalar::<u8>(4, 0)? == 0, "has block-wise or custom quantization: convert with plain int8");
    let (scales, zero_points) = (record.vector::<f32>(2)?, record.vector::<i64>(3)?);
    if scales.len() == 0 {
        return Ok(None);
    }
    ensure!(scales.len() <= MOST_SCALES, "{} scales, at most {MOST_SCALES} are read", scales.len());
    ensure!(scales.len() == zero_points.len(), "{} scales but {} zero points", scales.len(), zero_points.len());
    let axis = record.scalar::<i32>(6, 0)?;
    let axis = usize::try_from(axis).with_context(|| format!("is quantized along axis {axis}"))?;
    if scales.len() > 1 {
        let extent = shape.get(axis);
        let extent = extent.with_context(|| format!("is quantized along axis {axis} of shape {shape:?}"))?;
        ensure!(scales.len() == *extent, "{} scales along axis {axis} of shape {shape:?}", scales.len());
    }
    let scales: Vec<f32> = scales.iter().collect();
    let wrong = scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0));
    ensure!(wrong.is_none(), "a scale of {} is not positive", wrong.copied().unwrap_or_default());
    let codes = match data_type {
        DataType::Int8 => -128..=127,
        _ => 0..=0,
    };
    let zero_points = zero_points.iter().map(|zero_point| {
        ensure!(codes.contains(&zero_point), "a zero point of {zero_point} is outside {codes:?} of {data_type:?}");
        Ok(zero_point as i32)
    });
    Ok(Some(Quantization { scales, zero_points: zero_points.collect::<Result<Vec<_>>>()?, axis }))
}
