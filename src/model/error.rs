//! What can be wrong with a model file.

use crate::ops::{self, OpKind};

/// Why a file was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// It does not begin with the magic bytes of a model file.
    NotAModel,
    /// It was written for another version of the format.
    Version {
        /// The version of the file.
        found: u16,
        /// The versions that this library reads end here.
        newest: u16,
    },
    /// It ends early, or a field does not decode.
    Malformed,
    /// Its content does not match its checksum: it was damaged.
    Checksum {
        /// The checksum in the file.
        stored: u32,
        /// The checksum of the content.
        computed: u32,
    },
    /// The weights would lie at an address that is not a multiple of [`ALIGNMENT`](super::ALIGNMENT).
    Misaligned {
        /// How far the address is past the last multiple.
        remainder: usize,
    },
    /// The weights are packed for a core whose kernels this build does not have.
    WrongCore {
        /// The number of the core.
        core: u16,
    },
    /// A step is of a kind that this firmware does not link.
    OperatorNotLinked {
        /// The number of the step.
        step: usize,
        /// The kind, unless it is newer than this library.
        kind: Option<OpKind>,
        /// The number of the kind.
        number: u16,
    },
    /// A tensor of the table does not decode, has no elements or reaches outside its place.
    Tensor {
        /// Its index.
        index: usize,
    },
    /// An input or output refers to no tensor in the arena, or its normalisation does not fit.
    Port {
        /// Its position, outputs after inputs.
        position: usize,
    },
    /// The trainable head does not fit the tensors and steps.
    Head,
    /// A step is wrong.
    Step {
        /// The number of the step.
        step: usize,
        /// What is wrong with it.
        error: ops::Error,
    },
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::NotAModel => write!(f, "not a nervelet model file"),
            Error::Version { found, newest } => {
                write!(f, "model file version {found}, but this library reads up to {newest}: update the library")
            }
            Error::Malformed => write!(f, "the model file ends early or does not decode"),
            Error::Checksum { stored, computed } => {
                write!(f, "the model file is damaged: checksum {computed:#010x}, stored {stored:#010x}")
            }
            Error::Misaligned { remainder } => {
                write!(f, "the model file is {remainder} bytes past a multiple of 16: use include_model!")
            }
            Error::WrongCore { core } => write!(f, "the weights are packed for core {core}: export for this core"),
            Error::OperatorNotLinked { step, kind: Some(kind), .. } => {
                write!(f, "step {step} is a {kind:?}, which is not among the operators given")
            }
            Error::OperatorNotLinked { step, kind: None, number } => {
                write!(f, "step {step} is of kind {number}, which this library does not know")
            }
            Error::Tensor { index } => write!(f, "tensor {index} does not decode or lies outside its place"),
            Error::Port { position } => write!(f, "input or output {position} does not fit its tensor"),
            Error::Head => write!(f, "the trainable head does not fit the model"),
            Error::Step { step, error } => write!(f, "step {step}: {error}"),
        }
    }
}

impl core::error::Error for Error {}
