//! A step of the program in a model file, as operators see it.

use bytemuck::{AnyBitPattern, NoUninit};
use serde::Deserialize;

use super::regions::Regions;
use super::tensor::{DataType, Place, Span, Tensor, Tensors};
use super::{Error, OpKind, QuantizedElement, words};
use crate::kernels::{OutOfBounds, parts};

/// A step's record in the file: [`StepRecord::WORDS`] little-endian words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct StepRecord {
    /// The number of an [`OpKind`].
    pub kind: u16,
    /// How many tensors it reads.
    pub inputs: u16,
    /// How many tensors it writes.
    pub outputs: u16,
    /// The words of its parameters.
    pub parameters: u16,
    /// The first of its words: indices of tensors, two a word, then parameters.
    pub first: u32,
    /// Working memory in the arena; a step without any has it at the start.
    pub scratch: Span,
}

impl StepRecord {
    /// The size of the record in the file.
    pub const WORDS: usize = size_of::<Self>() / 4;

    /// The step, if its words are among those of the file.
    #[inline]
    pub fn step<'m>(&self, name: &'m str, words: &'m [u32]) -> Option<Step<'m>> {
        let words = words.get(self.first as usize..)?;
        let (inputs, outputs) = (usize::from(self.inputs), usize::from(self.outputs));
        let (indices, words) = words.split_at_checked((inputs + outputs).div_ceil(2))?;
        let (inputs, rest) = bytemuck::cast_slice(indices).split_at_checked(inputs)?;
        Some(Step {
            kind: self.kind,
            name,
            inputs,
            outputs: rest.get(..outputs)?,
            scratch: self.scratch,
            parameters: words.get(..usize::from(self.parameters))?,
        })
    }
}

/// One operation of a model: an operator's kind, its operands and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Step<'m> {
    /// The number of an [`OpKind`].
    pub kind: u16,
    /// The name of the layer it came from; empty while it runs.
    pub name: &'m str,
    /// Indices of the tensors read.
    pub inputs: &'m [u16],
    /// Indices of the tensors written.
    pub outputs: &'m [u16],
    /// Working memory in the arena, free before and after the step.
    pub scratch: Span,
    /// The operator's own parameters, see [`words`].
    pub parameters: &'m [u32],
}

impl<'m> Step<'m> {
    /// The kind, if this library knows it.
    pub fn kind(&self) -> Option<OpKind> {
        OpKind::from_number(self.kind)
    }

    /// The indices of the tensors read.
    pub fn inputs(&self) -> impl Iterator<Item = u16> + use<'m> {
        self.inputs.iter().copied()
    }

    /// The indices of the tensors written.
    pub fn outputs(&self) -> impl Iterator<Item = u16> + use<'m> {
        self.outputs.iter().copied()
    }
}

/// What the steps of a file refer to.
#[derive(Debug, Clone, Copy)]
pub struct Tables<'m> {
    /// The operands and parameters of all steps.
    pub words: &'m [u32],
    /// The tensors.
    pub tensors: Tensors<'m>,
    /// The constants.
    pub constants: &'m [u8],
    /// The constants as words.
    pub constant_words: &'m [u32],
    /// The size of the arena.
    pub arena_bytes: usize,
}

/// A step with what its indices and spans refer to.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'m> {
    /// The step.
    pub record: &'m StepRecord,
    /// What the steps of its file refer to.
    pub tables: &'m Tables<'m>,
}

/// A step that reads one tensor and writes one, with its parameters where they lie in the file.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'m, P> {
    /// The tensor that it reads.
    pub input: &'m Tensor,
    /// The tensor that it writes.
    pub output: &'m Tensor,
    /// The operator's parameters: a number in each word.
    pub parameters: &'m P,
}

impl<'m> StepView<'m> {
    /// Decodes the operator's parameters.
    pub fn parameters<P: Deserialize<'m>>(&self) -> Result<P, OutOfBounds> {
        let behind = (self.inputs() + self.outputs()).div_ceil(2);
        let first = (self.record.first as usize).wrapping_add(behind);
        let parameters = self.tables.words.get(first..first.wrapping_add(self.record.parameters.into()));
        words::decode(parameters.ok_or(OutOfBounds)?).map_err(|_| OutOfBounds)
    }

    /// The step of a layer, whose parameters are words that are read where they lie.
    #[inline(always)]
    pub fn layer<P: AnyBitPattern>(&self) -> Result<Layer<'m, P>, OutOfBounds> {
        let first = self.record.first as usize;
        let words = self.tables.words.get(first..first.wrapping_add(1 + size_of::<P>() / 4)).ok_or(OutOfBounds)?;
        let (operands, parameters) = words.split_first().ok_or(OutOfBounds)?;
        let tensor = |index: u32| self.tables.tensors.get(index as u16).ok_or(OutOfBounds);
        Ok(Layer {
            input: tensor(*operands)?,
            output: tensor(operands >> 16)?,
            parameters: bytemuck::try_from_bytes(bytemuck::cast_slice(parameters)).map_err(|_| OutOfBounds)?,
        })
    }

    /// Fails unless the step is that of a layer, as for [`StepView::expect_operands`], with so many words of parameters.
    pub fn expect_layer<P: AnyBitPattern>(&self) -> Result<Layer<'m, P>, Error> {
        self.expect_operands(1, 1)?;
        if usize::from(self.record.parameters) != size_of::<P>() / 4 {
            return Err(Error::Parameters);
        }
        Ok(self.layer()?)
    }

    /// The same for a layer whose output begins where its input does, apart from the scratch memory.
    pub fn expect_layer_in_place<P: AnyBitPattern>(&self) -> Result<Layer<'m, P>, Error> {
        let StepRecord { scratch, .. } = *self.record;
        self.expect_counts(1, 1)?;
        if usize::from(self.record.parameters) != size_of::<P>() / 4 {
            return Err(Error::Parameters);
        }
        let layer: Layer<'m, P> = self.layer()?;
        for tensor in [layer.input, layer.output] {
            if tensor.place != Place::Arena {
                return Err(Error::Misplaced);
            }
            if tensor.offset != layer.input.offset || tensor.span().overlaps(scratch) {
                return Err(Error::Overlap);
            }
        }
        Ok(layer)
    }

    /// How many tensors it reads.
    pub fn inputs(&self) -> usize {
        self.record.inputs.into()
    }

    /// How many tensors it writes.
    pub fn outputs(&self) -> usize {
        self.record.outputs.into()
    }

    /// The input at a position.
    pub fn input(&self, position: usize) -> Result<&'m Tensor, OutOfBounds> {
        self.operand(position, 0, self.record.inputs)
    }

    /// The output at a position.
    pub fn output(&self, position: usize) -> Result<&'m Tensor, OutOfBounds> {
        self.operand(position, self.record.inputs, self.record.outputs)
    }

    /// An operand, one of `count` behind `before` others.
    fn operand(&self, position: usize, before: u16, count: u16) -> Result<&'m Tensor, OutOfBounds> {
        if position >= count.into() {
            return Err(OutOfBounds);
        }
        let index = self.index(position.wrapping_add(before.into())).ok_or(OutOfBounds)?;
        self.tables.tensors.get(index).ok_or(OutOfBounds)
    }

    /// The index of an operand, outputs after inputs. Two indices share a word, the first one in its lower half.
    fn index(&self, operand: usize) -> Option<u16> {
        let word = self.tables.words.get((self.record.first as usize).wrapping_add(operand / 2))?;
        Some((word >> (operand % 2 * 16)) as u16)
    }

    /// Fails unless the step names `inputs` inputs and `outputs` outputs; then checks every operand's place: inside
    /// the arena or the constants, outputs in the arena and apart from each other, the inputs and the scratch memory.
    pub fn expect_operands(&self, inputs: usize, outputs: usize) -> Result<(), Error> {
        self.expect_counts(inputs, outputs)?;
        let scratch = self.record.scratch;
        for operand in 0..inputs.saturating_add(outputs) {
            let (place, span) = self.place(operand)?;
            let mut clash = span.overlaps(scratch);
            if operand >= inputs {
                clash |= place != Place::Arena;
                for other in 0..operand {
                    clash |= self.place(other)?.1.overlaps(span);
                }
            }
            if clash {
                return Err(Error::Overlap);
            }
        }
        Ok(())
    }

    /// Fails unless the step names `inputs` inputs and `outputs` outputs, and its scratch memory is in the arena.
    fn expect_counts(&self, inputs: usize, outputs: usize) -> Result<(), Error> {
        let StepRecord { inputs: found_inputs, outputs: found_outputs, scratch, .. } = *self.record;
        if usize::from(found_inputs) != inputs || usize::from(found_outputs) != outputs {
            return Err(Error::OperandCount {
                expected: [inputs.min(255) as u8, outputs.min(255) as u8],
                found: [found_inputs, found_outputs],
            });
        }
        if scratch.end() > self.tables.arena_bytes {
            return Err(Error::OutsideArena { end: scratch.end(), arena: self.tables.arena_bytes });
        }
        if scratch.length == 0 && scratch.offset > 0 { Err(Error::Overlap) } else { Ok(()) }
    }

    /// Where an operand lies, and its bytes in the arena: none for a constant.
    fn place(&self, operand: usize) -> Result<(Place, Span), Error> {
        let index = self.index(operand).ok_or(Error::Parameters)?;
        let tensor = self.tables.tensors.get(index).ok_or(Error::NoSuchTensor { index })?;
        Ok((tensor.place, if tensor.place == Place::Arena { tensor.span() } else { Span::default() }))
    }

    /// Fails unless the step's scratch memory is so many words.
    pub fn expect_scratch_words(&self, words: usize) -> Result<(), Error> {
        let scratch = self.record.scratch;
        if !scratch.offset.is_multiple_of(4) {
            return Err(Error::Misaligned);
        }
        let (need, have) = (words.saturating_mul(4), scratch.length as usize);
        if need == have { Ok(()) } else { Err(Error::Scratch { need, have }) }
    }

    /// A constant of exactly `count` elements.
    pub fn constant<T: AnyBitPattern>(&self, span: Span, count: usize) -> Result<&'m [T], Error> {
        let need = count.saturating_mul(size_of::<T>());
        let bytes =
            span.of(self.tables.constants).ok_or(Error::Constant { need, have: self.tables.constants.len() })?;
        if bytes.len() != need {
            return Err(Error::Constant { need, have: bytes.len() });
        }
        bytemuck::try_cast_slice(bytes).map_err(|_| Error::Misaligned)
    }

    /// A constant of words, which begins and ends with one; for steps that were verified.
    #[inline(always)]
    pub fn constant_words(&self, span: Span) -> Result<&'m [u32], OutOfBounds> {
        let [first, words] = [span.offset as usize / 4, span.length as usize / 4];
        self.tables.constant_words.get(first..first.wrapping_add(words)).ok_or(OutOfBounds)
    }

    /// A constant with as many elements as its span has; for steps that were verified.
    pub fn constant_of<T: AnyBitPattern>(&self, span: Span) -> Result<&'m [T], OutOfBounds> {
        let bytes = self.tables.constants.get(span.range()).ok_or(OutOfBounds)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| OutOfBounds)
    }
}

impl Tensor {
    /// Fails unless the elements are of a type.
    pub fn expect(&self, data_type: DataType) -> Result<(), Error> {
        if self.data_type == data_type { Ok(()) } else { Err(Error::DataType { found: self.data_type }) }
    }

    /// Fails unless the tensor is int8 with a zero point among the codes.
    pub fn expect_int8(&self) -> Result<(), Error> {
        self.expect_codes::<i8>()
    }

    /// Fails unless the tensor holds codes of a type with a zero point among them.
    pub fn expect_codes<C: QuantizedElement>(&self) -> Result<(), Error> {
        self.expect(C::DATA_TYPE)?;
        let [low, high] = C::RANGE;
        if (low..=high).contains(&self.zero_point) { Ok(()) } else { Err(Error::Quantization) }
    }
}

/// What a layer reads, its scratch memory and what it writes.
type LayerMemory<'r> = (&'r [u8], &'r mut [u8], &'r mut [u8]);

/// A step at work on the arena.
#[derive(Debug)]
pub struct Call<'r, 'm> {
    /// The step and what it refers to.
    pub view: &'r StepView<'m>,
    /// The arena.
    pub arena: &'r mut [u8],
}

impl<'m> Call<'_, 'm> {
    /// The first output, to write, beside everything else of the arena and the constants, to read.
    pub fn output(&mut self) -> Result<Regions<'_, 'm, 1>, OutOfBounds> {
        let output = self.view.output(0)?;
        Regions::carve(self.arena, self.view.tables.constants, [output.span()])
    }

    /// The first output and the scratch memory, to write, beside the rest, to read. The step has scratch memory.
    pub fn output_and_scratch(&mut self) -> Result<Regions<'_, 'm, 2>, OutOfBounds> {
        let output = self.view.output(0)?;
        Regions::carve(self.arena, self.view.tables.constants, [output.span(), self.view.record.scratch])
    }

    /// The scratch memory and another part of the arena, to write.
    #[inline(always)]
    pub(super) fn scratch_and(&mut self, part: Span) -> Result<[&mut [u8]; 2], OutOfBounds> {
        let (_, parts) =
            parts::three(self.arena, 0..0, [self.view.record.scratch.range(), part.range()]).ok_or(OutOfBounds)?;
        Ok(parts)
    }

    /// The bytes of a layer's input in the arena, its scratch memory and the bytes of its output.
    #[inline(always)]
    pub(super) fn memory_of<P>(&mut self, layer: &Layer<'_, P>) -> Result<LayerMemory<'_>, OutOfBounds> {
        let (x, codes) = (layer.input.span().range(), layer.output.span().range());
        let (x, [scratch, codes]) =
            parts::three(self.arena, x, [self.view.record.scratch.range(), codes]).ok_or(OutOfBounds)?;
        Ok((x, scratch, codes))
    }

    /// The bytes of a layer's input in the arena and those of its output.
    #[inline(always)]
    pub(super) fn operands_of<P>(&mut self, layer: &Layer<'_, P>) -> Result<(&[u8], &mut [u8]), OutOfBounds> {
        let (x, codes) = (layer.input.span().range(), layer.output.span().range());
        parts::two(self.arena, x, codes).ok_or(OutOfBounds)
    }

    /// The same for an input that may be a constant.
    pub(super) fn input_scratch_and_output(
        &mut self,
        input: &Tensor,
        output: &Tensor,
    ) -> Result<LayerMemory<'_>, OutOfBounds> {
        let x = input.span().range();
        let (constant, read) = if input.place == Place::Constant { (x, 0..0) } else { (0..0, x) };
        let written = [self.view.record.scratch.range(), output.span().range()];
        let (mut x, [scratch, codes]) = parts::three(self.arena, read, written).ok_or(OutOfBounds)?;
        if input.place == Place::Constant {
            x = self.view.tables.constants.get(constant).ok_or(OutOfBounds)?;
        }
        Ok((x, scratch, codes))
    }
}
