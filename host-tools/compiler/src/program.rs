//! The lowered program: what goes into the model file, before the arena is planned.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use nervelet::ops::{OpKind, Place, Span, Tensor, words};
use serde::Serialize;

/// A step before it is encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The operator.
    pub kind: OpKind,
    /// The name of the node it came from.
    pub name: String,
    /// Indices of the tensors read.
    pub inputs: Vec<u16>,
    /// Indices of the tensors written.
    pub outputs: Vec<u16>,
    /// Bytes of working memory.
    pub scratch_bytes: usize,
    /// The most bytes of working memory that the kernel can make use of.
    pub most_scratch_bytes: usize,
    /// The operator that does the same in place, if there is one.
    pub in_place: Option<InPlace>,
    /// The operator's parameters, see [`words`].
    pub parameters: Vec<u32>,
}

/// Another operator for a step, whose output begins where its only input does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPlace {
    /// The operator.
    pub kind: OpKind,
    /// Bytes of working memory.
    pub scratch_bytes: usize,
}

/// Steps over tensors, with constants; arena offsets are still open.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The tensor table; the offset of an arena tensor is filled in by the plan.
    pub tensors: Vec<Tensor>,
    /// The buffer of each arena tensor: tensors of one buffer are aliases.
    pub buffers: Vec<Option<usize>>,
    /// The buffer that each one is written over, or itself.
    pub places: Vec<usize>,
    /// The constants so far.
    pub constants: Vec<u8>,
    /// In execution order.
    pub steps: Vec<Step>,
    /// Whether any weights are packed for a core.
    pub packed: bool,
    /// Constants by content, so that equal ones are stored once.
    known: HashMap<Vec<u8>, Span>,
}

impl Program {
    /// Stores a constant, 16-byte aligned, once for equal bytes.
    pub fn constant(&mut self, bytes: &[u8]) -> Result<Span> {
        if bytes.is_empty() {
            return Ok(Span::default());
        }
        if let Some(span) = self.known.get(bytes) {
            return Ok(*span);
        }
        self.constants.resize(self.constants.len().next_multiple_of(nervelet::model::ALIGNMENT), 0);
        let span = Span { offset: u32::try_from(self.constants.len())?, length: u32::try_from(bytes.len())? };
        self.constants.extend_from_slice(bytes);
        self.known.insert(bytes.to_vec(), span);
        Ok(span)
    }

    /// Adds a tensor in a buffer of its own or, for an alias, in another tensor's.
    pub fn tensor(&mut self, tensor: Tensor, buffer: Option<usize>) -> Result<u16> {
        let index = self.tensors.len();
        ensure!(index < usize::from(u16::MAX), "more than 65,535 tensors");
        let in_arena = tensor.place == Place::Arena;
        self.tensors.push(tensor);
        self.buffers.push(in_arena.then_some(buffer.unwrap_or(index)));
        self.places.push(index);
        Ok(index as u16)
    }

    /// Adds a step.
    pub fn step(
        &mut self,
        kind: OpKind,
        name: &str,
        inputs: Vec<u16>,
        outputs: Vec<u16>,
        parameters: &impl Serialize,
    ) -> Result<()> {
        let mut words = Vec::new();
        words::encode(parameters, &mut |word| words.push(word))?;
        self.steps.push(Step {
            kind,
            name: name.into(),
            inputs,
            outputs,
            scratch_bytes: 0,
            most_scratch_bytes: 0,
            in_place: None,
            parameters: words,
        });
        Ok(())
    }
}
