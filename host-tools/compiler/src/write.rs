//! From program to bytes: plans the arena, then encodes the model file.

use anyhow::{Context, Result, ensure};
use nervelet::model::schema::{File, Head, Header, MAGIC, Names, Port, Prelude, State, VERSION, checksum};
use nervelet::model::{ALIGNMENT, Strings};
use nervelet::ops::{DataType, Place, Span, StepRecord};
use sha2::{Digest, Sha256};

use crate::graph::{Graph, TensorId};
use crate::lower::Lowered;
use crate::pack::{Target, use_room};
use crate::plan::{Buffer, Plan, plan};
use crate::program::Program;

/// The f32 weights of the layer that devices train.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatHead {
    /// The graph tensor that the layer reads.
    pub features: TensorId,
    /// The name of the layer's node: steps before it are the encoder.
    pub node: String,
    /// Weights `[classes][features]`.
    pub weights: Vec<f32>,
    /// One bias for each class.
    pub bias: Vec<f32>,
}

/// Which buffers share memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Buffers that don't live at the same time share.
    #[default]
    ByLifetime,
    /// None: every tensor can be read after a run, for calibration and debugging.
    None,
}

/// Plans the arena and encodes the file; returns it with the plan.
pub fn write(
    graph: &Graph,
    mut lowered: Lowered,
    head: Option<&FloatHead>,
    sharing: Sharing,
    target: Target,
) -> Result<(Vec<u8>, Plan)> {
    let plan = place(graph, &mut lowered, sharing)?;
    let ports = ports(graph, &mut lowered)?;
    let head = head.map_or(Ok(Head::default()), |head| encode_head(head, &mut lowered))?;
    let states = states(graph, &lowered)?;
    let program = &lowered.program;
    let (steps, words) = encode_steps(program, &plan)?;
    let header = Header {
        // A file that needs no packing runs everywhere, whatever it was made for.
        core: if program.packed { target.core() } else { 0 },
        inputs: u16::try_from(graph.inputs.len())?,
        outputs: u16::try_from(graph.outputs.len())?,
        states: u16::try_from(states.len())?,
        steps: u32::try_from(steps.len())?,
        tensors: u32::try_from(program.tensors.len())?,
        constants: u32::try_from(program.constants.len().next_multiple_of(4))?,
        arena_bytes: u32::try_from(plan.arena_bytes)?,
        head,
        reserved: [0; 5],
    };
    let mut data = bytemuck::bytes_of(&header).to_vec();
    data.extend(&program.constants);
    data.resize(data.len().next_multiple_of(4), 0);
    let tables: [&[u8]; 5] = [
        bytemuck::cast_slice(&ports),
        bytemuck::cast_slice(&states),
        bytemuck::cast_slice(&steps),
        bytemuck::cast_slice(&program.tensors),
        bytemuck::cast_slice(&words),
    ];
    data.extend(tables.concat());
    let names = names(graph, program)?;
    let file = File { id: [0; 16], names: &names, extensions: &[], padding: &[], data: &data };
    Ok((encode(file)?, plan))
}

/// The records of the inputs, then of the outputs.
fn ports(graph: &Graph, lowered: &mut Lowered) -> Result<Vec<Port>> {
    let mut ports = Vec::new();
    for (position, id) in graph.inputs.iter().chain(&graph.outputs).enumerate() {
        let tensor = index(lowered, *id)?;
        let normalization = graph.normalization.get(position).and_then(Option::as_ref);
        let normalization = normalization.filter(|_| position < graph.inputs.len());
        let [mean, scale] = match normalization {
            Some(it) => [floats(&mut lowered.program, &it.mean)?, floats(&mut lowered.program, &it.scale)?],
            None => [Span::default(); 2],
        };
        ports.push(Port { tensor, normalized: normalization.is_some().into(), mean, scale });
    }
    Ok(ports)
}

fn encode_head(head: &FloatHead, lowered: &mut Lowered) -> Result<Head> {
    let mut steps = lowered.program.steps.iter();
    let first_step = steps.position(|step| step.name == head.node).context("the head is no step")?;
    Ok(Head {
        first_step: u16::try_from(first_step)?,
        features: index(lowered, head.features)?,
        weights: floats(&mut lowered.program, &head.weights)?,
        bias: floats(&mut lowered.program, &head.bias)?,
    })
}

/// The parts of the arena that live on, with the byte that a reset fills them with.
fn states(graph: &Graph, lowered: &Lowered) -> Result<Vec<State>> {
    let state = |id: &TensorId| {
        let tensor = lowered.program.tensors[usize::from(index(lowered, *id)?)];
        let reset = if tensor.data_type == DataType::Int8 { tensor.zero_point as u8 } else { 0 };
        Ok(State { span: tensor.span(), reset: [reset; 4] })
    };
    graph.states.iter().map(state).collect()
}

/// The index in the file's table.
fn index(lowered: &Lowered, id: TensorId) -> Result<u16> {
    lowered.tensors[id.0].context("a port, state or head is no tensor of the program")
}

/// What people read, encoded.
fn names(graph: &Graph, program: &Program) -> Result<Vec<u8>> {
    let ports = |ids: &[TensorId]| strings(ids.iter().map(|id| &*graph.tensor(*id).name));
    let (inputs, outputs) = (ports(&graph.inputs)?, ports(&graph.outputs)?);
    let classes = strings(graph.classes.iter().map(String::as_str))?;
    let steps = strings(program.steps.iter().map(|step| &*step.name))?;
    Ok(postcard::to_allocvec(&Names {
        producer: concat!("nervelet ", env!("CARGO_PKG_VERSION")),
        name: &graph.name,
        inputs: Strings::new(&inputs),
        outputs: Strings::new(&outputs),
        classes: Strings::new(&classes),
        steps: Strings::new(&steps),
    })?)
}

fn strings<'s>(strings: impl Iterator<Item = &'s str>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend(postcard::to_allocvec(string)?);
    }
    Ok(bytes)
}

/// The buffer of each table index that has one of its own, with its life.
pub(crate) fn buffers(graph: &Graph, lowered: &Lowered, sharing: Sharing) -> Result<Vec<Option<Buffer>>> {
    let program = &lowered.program;
    let last_step = program.steps.len().saturating_sub(1);
    let mut buffers: Vec<Option<Buffer>> = vec![None; program.tensors.len()];
    let mut touch = |index: u16, step: usize| -> Result<()> {
        let index = usize::from(index);
        let Some(root) = program.buffers[index] else { return Ok(()) };
        let bytes = program.tensors[index].span().length as usize;
        ensure!(bytes < u32::MAX as usize, "a tensor has 4 GiB or more");
        let place = program.places[root];
        let buffer = buffers[root].get_or_insert(Buffer { bytes, first: step, last: step, place });
        let (first, last) = (buffer.first.min(step), buffer.last.max(step));
        *buffer = Buffer { bytes: buffer.bytes.max(bytes), first, last, place };
        Ok(())
    };
    for id in &graph.inputs {
        touch(lowered.tensors[id.0].context("an input is no tensor of the program")?, 0)?;
    }
    for (number, step) in program.steps.iter().enumerate() {
        for index in step.inputs.iter().chain(&step.outputs) {
            touch(*index, number)?;
        }
    }
    for id in &graph.outputs {
        touch(lowered.tensors[id.0].context("an output is no tensor of the program")?, last_step)?;
    }
    for id in &graph.states {
        let index = lowered.tensors[id.0].context("a state is no tensor of the program")?;
        touch(index, 0)?;
        touch(index, last_step)?;
    }
    if sharing == Sharing::None {
        for buffer in buffers.iter_mut().flatten() {
            (buffer.first, buffer.last) = (0, last_step);
        }
    }
    Ok(buffers)
}

/// Buffers with the scratch memory of each step that has some behind them: it lives for its own step.
pub(crate) fn with_scratch(program: &Program, buffers: impl Iterator<Item = Buffer>) -> Vec<Buffer> {
    let steps = program.steps.iter().enumerate().filter(|(_, step)| step.scratch_bytes > 0);
    buffers
        .chain(steps.map(|(number, step)| {
            let place = program.tensors.len() + number;
            Buffer { bytes: step.scratch_bytes, first: number, last: number, place }
        }))
        .collect()
}

/// Gives every arena tensor its offset.
fn place(graph: &Graph, lowered: &mut Lowered, sharing: Sharing) -> Result<Plan> {
    let buffers = buffers(graph, lowered, sharing)?;
    let program = &mut lowered.program;
    let roots: Vec<usize> = (0..buffers.len()).filter(|index| buffers[*index].is_some()).collect();
    let live = with_scratch(program, buffers.iter().flatten().copied());
    let mut plan = plan(&live);
    let mut scratch = plan.offsets.split_off(roots.len());
    let alive: Vec<(Buffer, usize)> = live.iter().copied().zip(plan.offsets.iter().copied()).collect();
    plan.arena_bytes = use_room(program, &alive, &mut scratch, plan.arena_bytes);
    let mut offsets = vec![None; program.tensors.len()];
    for (root, offset) in roots.iter().zip(&plan.offsets) {
        offsets[*root] = Some(*offset);
    }
    for (tensor, root) in program.tensors.iter_mut().zip(&program.buffers) {
        if let (Place::Arena, Some(offset)) = (tensor.place, root.and_then(|root| offsets[root])) {
            tensor.offset = u32::try_from(offset)?;
        }
    }
    plan.offsets = scratch;
    Ok(plan)
}

/// The records of the steps, and the words of their operands and parameters.
fn encode_steps(program: &Program, plan: &Plan) -> Result<(Vec<StepRecord>, Vec<u32>)> {
    let mut scratch = plan.offsets.iter();
    let (mut steps, mut words) = (Vec::new(), Vec::new());
    for step in &program.steps {
        let scratch = match step.scratch_bytes {
            0 => Span::default(),
            length => Span {
                offset: u32::try_from(*scratch.next().context("a step's scratch memory was not planned")?)?,
                length: u32::try_from(length)?,
            },
        };
        let first = u32::try_from(words.len())?;
        let operands: Vec<u16> = step.inputs.iter().chain(&step.outputs).copied().collect();
        words.extend(operands.chunks(2).map(|pair| {
            let [low, high] = [0, 1].map(|at| u32::from(pair.get(at).copied().unwrap_or(0)));
            low | high << 16
        }));
        words.extend(&step.parameters);
        steps.push(StepRecord {
            kind: step.kind as u16,
            inputs: u16::try_from(step.inputs.len())?,
            outputs: u16::try_from(step.outputs.len())?,
            parameters: u16::try_from(step.parameters.len())?,
            first,
            scratch,
        });
    }
    Ok((steps, words))
}

fn floats(program: &mut Program, values: &[f32]) -> Result<Span> {
    program.constant(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// Encodes a file with its id, its padding and its checksum.
pub fn encode(mut file: File<'_>) -> Result<Vec<u8>> {
    file.id = [0; 16];
    file.padding = &[];
    let digest = Sha256::digest(postcard::to_allocvec(&file)?);
    file.id.copy_from_slice(&digest[..16]);
    const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
    for padding in 0..ALIGNMENT {
        file.padding = &ZEROS[..padding];
        let body = postcard::to_allocvec(&file)?;
        let prelude = postcard::to_allocvec(&Prelude { magic: MAGIC, version: VERSION, checksum: checksum(&body) })?;
        let start = prelude.len() + body.len() - file.data.len();
        if start.is_multiple_of(ALIGNMENT) {
            return Ok([prelude, body].concat());
        }
    }
    // One of the 16 paddings aligns the data, since each adds one byte.
    anyhow::bail!("the data could not be aligned")
}
