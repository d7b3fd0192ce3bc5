//! The fields of a model file and how they are read; writers use the same types.

use serde::{Deserialize, Serialize};

use super::records::Records;
use super::{ALIGNMENT, Error};
use crate::ops::{Span, StepRecord, Tensor, Tensors};

/// The first bytes of every model file.
pub const MAGIC: [u8; 4] = *b"NRVL";

/// The version of the format that this library writes, and the newest that it reads.
///
/// It rises when an old reader could misread a new file. What an old reader may ignore goes into
/// [`File::extensions`] instead.
pub const VERSION: u16 = 2;

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
    /// What wrote the file, with its version.
    pub producer: &'m str,
    /// The name of the model.
    pub name: &'m str,
    /// The first 16 bytes of a hash over the rest of the file; names the encoder to heads trained on it.
    pub id: [u8; 16],
    /// The core whose packings the weights need, see [`crate::kernels`]; 0 is any.
    pub core: u16,
    /// The bytes of arena that the plan uses.
    pub arena_bytes: u32,
    /// What the caller fills.
    #[serde(borrow)]
    pub inputs: Records<'m, Port<'m>>,
    /// What the caller reads.
    pub outputs: Records<'m, Port<'m>>,
    /// Names of the classes that the first output scores.
    pub classes: Records<'m, &'m str>,
    /// The names of the layers that the steps came from.
    pub step_names: Records<'m, &'m str>,
    /// Parts of the arena that live from one run to the next.
    pub states: Records<'m, State>,
    /// The layer that a device can train.
    pub head: Option<Head>,
    /// Room for later versions; readers that don't know what is in it skip it.
    pub extensions: &'m [u8],
    /// How many bytes of the data are constants, a multiple of 4.
    pub constants: u32,
    /// How many steps there are.
    pub steps: u32,
    /// How many tensors there are.
    pub tensors: u32,
    /// Zeros that bring the data to a multiple of [`ALIGNMENT`] from the start of the file.
    pub padding: &'m [u8],
    /// The [`Program`]: constants, steps, tensors, and words.
    pub data: &'m [u8],
}

/// What runs: weights, tables of records of a fixed size, and words that these refer to.
#[derive(Debug, Clone, Copy)]
pub struct Program<'m> {
    /// Weights, biases, tables.
    pub constants: &'m [u8],
    /// The steps in order.
    pub steps: &'m [StepRecord],
    /// The tensors that they name.
    pub tensors: Tensors<'m>,
    /// The operands and parameters of the steps.
    pub words: &'m [u32],
}

impl<'m> Program<'m> {
    /// The program in the data of a file.
    fn read(file: &File<'m>) -> Option<Self> {
        let (constants, words) = file.data.split_at_checked(file.constants as usize)?;
        let words: &[u32] = bytemuck::try_cast_slice(words).ok()?;
        let (steps, words) = words.split_at_checked((file.steps as usize).checked_mul(StepRecord::WORDS)?)?;
        let (tensors, words) = words.split_at_checked((file.tensors as usize).checked_mul(Tensor::WORDS)?)?;
        let (steps, tensors) = (bytemuck::try_cast_slice(steps).ok()?, Tensors::read(tensors)?);
        Some(Self { constants, steps, tensors, words })
    }
}

/// An input or output of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Port<'m> {
    /// Its name.
    pub name: &'m str,
    /// The index of its tensor.
    pub tensor: u16,
    /// For an input: how raw readings are brought to the trained range.
    pub normalization: Option<Normalization>,
}

/// `(x - mean) * scale` along the last axis, both f32 among the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Normalization {
    /// One mean for each channel.
    pub mean: Span,
    /// One factor for each channel.
    pub scale: Span,
}

/// A part of the arena that a run leaves for the next one, such as a recurrent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct State {
    /// Where it lies in the arena.
    pub span: Span,
    /// The byte that a reset fills it with: the zero point of an int8 state, 0 for the others.
    pub reset: u8,
}

/// The layer that a device can train: everything from `first_step` on, replaced by a dense f32 layer and a softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    let program = Program::read(&file).ok_or(Error::Malformed)?;
    Ok((file, program))
}
