//! The fields of a model file and how they are read; writers use the same types.

use bytemuck::{AnyBitPattern, NoUninit};
use serde::{Deserialize, Serialize};

use super::strings::Strings;
use super::{ALIGNMENT, Error};
use crate::ops::{Span, StepRecord, Tables, Tensor, Tensors};

/// The first bytes of every model file.
pub const MAGIC: [u8; 4] = *b"NRVL";

/// The version of the format that this library writes, and the newest that it reads.
///
/// It rises when an old reader could misread a new file. What an old reader may ignore goes into
/// [`File::extensions`] instead.
pub const VERSION: u16 = 3;

/// What comes before the [`File`]; its encoding never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Prelude {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`VERSION`].
    pub version: u16,
    /// [`checksum`] of the encoded [`File`].
    #[serde(with = "postcard::fixint::le")]
    pub checksum: u32,
}

/// A model, borrowed from its bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct File<'m> {
    /// The first 16 bytes of a hash over the rest of the file; names the encoder to heads trained on it.
    pub id: [u8; 16],
    /// The [`Names`], decoded when somebody asks.
    pub names: &'m [u8],
    /// Room for later versions; readers that don't know what is in it skip it.
    pub extensions: &'m [u8],
    /// Zeros that bring the data to a multiple of [`ALIGNMENT`] from the start of the file.
    pub padding: &'m [u8],
    /// The [`Program`].
    pub data: &'m [u8],
}

/// What people read about a model; nothing that runs depends on it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Names<'m> {
    /// What wrote the file, with its version.
    pub producer: &'m str,
    /// The name of the model.
    pub name: &'m str,
    /// The names of the inputs.
    #[serde(borrow)]
    pub inputs: Strings<'m>,
    /// The names of the outputs.
    pub outputs: Strings<'m>,
    /// The names of the classes that the first output scores.
    pub classes: Strings<'m>,
    /// The names of the layers that the steps came from.
    pub steps: Strings<'m>,
}

/// What runs: tables of records of a fixed size, words that they refer to, and weights.
///
/// The data of a file in this order: header, constants, and the others as they stand here, tensors before words.
#[derive(Debug, Clone, Copy)]
pub struct Program<'m> {
    /// How long the tables are.
    pub header: &'m Header,
    /// What the caller fills.
    pub inputs: &'m [Port],
    /// What the caller reads.
    pub outputs: &'m [Port],
    /// Parts of the arena that live from one run to the next.
    pub states: &'m [State],
    /// The steps in order.
    pub steps: &'m [StepRecord],
    /// What they refer to: constants, tensors, and words of operands and parameters.
    pub tables: Tables<'m>,
}

/// The first 64 bytes of the data, little-endian words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, AnyBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Header {
    /// The core whose packings the weights need, see [`crate::kernels`]; 0 is any.
    pub core: u16,
    /// How many inputs there are.
    pub inputs: u16,
    /// How many outputs there are.
    pub outputs: u16,
    /// How many states there are.
    pub states: u16,
    /// How many steps there are.
    pub steps: u32,
    /// How many tensors there are.
    pub tensors: u32,
    /// The bytes of the constants, a multiple of 4.
    pub constants: u32,
    /// The bytes of arena that the plan uses.
    pub arena_bytes: u32,
    /// The layer that a device can train; without weights where there is none.
    pub head: Head,
    /// Zeros.
    pub reserved: [u32; 5],
}

impl<'m> Program<'m> {
    /// The program in the data of a file.
    fn read(data: &'m [u8]) -> Option<Self> {
        let (header, rest) = data.split_at_checked(size_of::<Header>())?;
        let header: &Header = bytemuck::try_from_bytes(header).ok()?;
        let (constants, rest) = rest.split_at_checked(header.constants as usize)?;
        let mut words = bytemuck::try_cast_slice(rest).ok()?;
        let mut table = |records: u32, words_of_one: usize| {
            let (table, rest) = words.split_at_checked((records as usize).checked_mul(words_of_one)?)?;
            words = rest;
            Some(table)
        };
        let inputs = records(table(header.inputs.into(), Port::WORDS)?)?;
        let outputs = records(table(header.outputs.into(), Port::WORDS)?)?;
        let states = records(table(header.states.into(), State::WORDS)?)?;
        let steps = records(table(header.steps, StepRecord::WORDS)?)?;
        let tensors = Tensors::read(table(header.tensors, Tensor::WORDS)?)?;
        let constant_words = bytemuck::try_cast_slice(constants).ok()?;
        let tables = Tables { words, tensors, constants, constant_words, arena_bytes: header.arena_bytes as usize };
        Some(Self { header, inputs, outputs, states, steps, tables })
    }
}

/// A table over its words.
fn records<R: AnyBitPattern>(words: &[u32]) -> Option<&[R]> {
    bytemuck::try_cast_slice(words).ok()
}

/// An input or output of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Port {
    /// The index of its tensor.
    pub tensor: u16,
    /// 1 for an input whose raw readings are brought to the trained range, by `(x - mean) * scale` along the last axis.
    pub normalized: u16,
    /// One mean for each channel, f32 among the constants.
    pub mean: Span,
    /// One factor for each channel, f32 among the constants.
    pub scale: Span,
}

impl Port {
    /// The size of the record in the file.
    pub const WORDS: usize = size_of::<Self>() / 4;
}

/// A part of the arena that a run leaves for the next one, such as a recurrent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AnyBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct State {
    /// Where it lies in the arena.
    pub span: Span,
    /// The byte that a reset fills it with, four times: the zero point of an int8 state, 0 for the others.
    pub reset: [u8; 4],
}

impl State {
    /// The size of the record in the file.
    pub const WORDS: usize = size_of::<Self>() / 4;
}

/// The layer that a device can train: everything from `first_step` on, replaced by a dense f32 layer and a softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, AnyBitPattern, NoUninit)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Head {
    /// The steps before this one are the encoder.
    pub first_step: u16,
    /// The index of the encoder's output tensor.
    pub features: u16,
    /// F32 weights `[classes][features]` among the constants.
    pub weights: Span,
    /// F32 bias, one for each class.
    pub bias: Span,
}

/// CRC-32 (ISO-HDLC, as in zip and Ethernet).
pub fn checksum(bytes: &[u8]) -> u32 {
    static CRC: crc::Crc<u32, crc::Table<1>> = crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

/// Decodes a file and checks magic, version, checksum and alignment.
pub fn read(bytes: &[u8]) -> Result<(File<'_>, Program<'_>), Error> {
    let magic = bytes.get(..MAGIC.len()).ok_or(Error::NotAModel)?;
    if magic != MAGIC {
        return Err(Error::NotAModel);
    }
    let (prelude, body) = postcard::take_from_bytes::<Prelude>(bytes).map_err(|_| Error::Malformed)?;
    if prelude.version != VERSION {
        return Err(Error::Version { found: prelude.version, newest: VERSION });
    }
    let (file, behind) = postcard::take_from_bytes::<File<'_>>(body).map_err(|_| Error::Malformed)?;
    let content = body.get(..body.len().saturating_sub(behind.len())).ok_or(Error::Malformed)?;
    let computed = checksum(content);
    if computed != prelude.checksum {
        return Err(Error::Checksum { stored: prelude.checksum, computed });
    }
    let remainder = file.data.as_ptr() as usize % ALIGNMENT;
    if remainder != 0 && !file.data.is_empty() {
        return Err(Error::Misaligned { remainder });
    }
    let program = Program::read(file.data).ok_or(Error::Malformed)?;
    Ok((file, program))
}
