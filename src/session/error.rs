//! What can go wrong in a session.

use crate::ops::DataType;

/// Why a session could not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The arena has fewer bytes than the model's plan uses.
    ArenaTooSmall {
        /// Bytes needed, [`Model::arena_bytes`](crate::Model::arena_bytes).
        need: usize,
        /// Bytes given.
        have: usize,
    },
    /// The arena does not start at a multiple of 16; [`Arena`](super::Arena) does.
    ArenaMisaligned {
        /// How far it is past the last multiple.
        remainder: usize,
    },
    /// The model has no input or output with this number.
    NoSuchPort {
        /// The number asked for.
        index: usize,
    },
    /// The slice given has another length than the tensor.
    Length {
        /// Elements of the tensor.
        need: usize,
        /// Elements given.
        have: usize,
    },
    /// The tensor has elements of another type than asked for.
    DataType {
        /// The type that it has.
        found: DataType,
    },
    /// A value is not a number or infinite.
    NotFinite {
        /// Its position.
        position: usize,
    },
    /// The model names no trainable head.
    NoHead,
    /// A step failed: the file was changed after it was verified.
    Step {
        /// The number of the step.
        step: usize,
    },
    /// The file no longer is what was verified.
    NotVerified,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::ArenaTooSmall { need, have } => write!(f, "the model needs an arena of {need} bytes, {have} given"),
            Error::ArenaMisaligned { remainder } => {
                write!(f, "the arena is {remainder} bytes past a multiple of 16: use Arena")
            }
            Error::NoSuchPort { index } => write!(f, "the model has no input or output {index}"),
            Error::Length { need, have } => write!(f, "the tensor has {need} elements, {have} given"),
            Error::DataType { found } => write!(f, "the tensor holds {found:?}"),
            Error::NotFinite { position } => write!(f, "value {position} is not finite"),
            Error::NoHead => write!(f, "the model has no trainable head"),
            Error::Step { step } => write!(f, "step {step} is not what was verified"),
            Error::NotVerified => write!(f, "the model file changed after it was verified"),
        }
    }
}

impl core::error::Error for Error {}
