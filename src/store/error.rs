//! What can go wrong between a head and its flash.

use core::fmt;

use super::record::HeadIdentity;

/// Why a head could not be stored or loaded; `E` is the flash driver's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The flash driver refused.
    Flash(E),
    /// The flash is not of a kind this store is made for: `READ_SIZE` and `WRITE_SIZE` are powers of
    /// two up to 256, each divides the next, and `ERASE_SIZE` is a multiple of `WRITE_SIZE`.
    UnsupportedFlash {
        /// Smallest read in bytes.
        read_size: usize,
        /// Smallest write in bytes.
        write_size: usize,
        /// Smallest erase in bytes.
        erase_size: usize,
    },
    /// The region does not begin and end on erase blocks within the flash.
    BadRegion {
        /// First byte.
        start: u32,
        /// The byte after the last.
        end: u32,
        /// Size of an erase block.
        erase_size: usize,
        /// Size of the flash.
        capacity: usize,
    },
    /// The region can't hold two records.
    RegionTooSmall {
        /// Bytes needed, see [`region_bytes`](super::region_bytes).
        need: u32,
        /// Bytes given.
        have: u32,
    },
    /// A head needs at least one class and one feature, and fewer than 2^32 bytes.
    BadShape {
        /// Classes.
        classes: u32,
        /// Features.
        features: u32,
    },
    /// Weights or bias are not as long as the head's shape says.
    WrongLength {
        /// Weights needed.
        weights_need: usize,
        /// Weights given.
        weights_have: usize,
        /// Bias values needed.
        bias_need: usize,
        /// Bias values given.
        bias_have: usize,
    },
    /// A parameter is NaN or infinite; such a head is not stored.
    NotFinite {
        /// Its index: weights row by row, then bias.
        index: usize,
    },
    /// Nothing was ever stored, or only a trial.
    NoHead,
    /// There is no trial to confirm, load or roll back.
    NoTrial,
    /// Power cuts spoiled every mark of the trial: load it and commit it instead.
    NoMarkLeft,
    /// There are traces of records, none of them intact. Nothing to load; a commit works.
    Corrupt,
    /// The stored head was trained on another encoder.
    EncoderMismatch {
        /// Id of the encoder that the stored head belongs to.
        stored: [u8; 16],
        /// Id asked for.
        expected: [u8; 16],
    },
    /// The stored head is of this encoder, but of another shape.
    ShapeMismatch {
        /// What the stored head belongs to.
        stored: HeadIdentity,
        /// What was asked for.
        expected: HeadIdentity,
    },
    /// The stored record was written by a newer version of this library.
    UnsupportedFormat {
        /// Its format.
        found: u8,
        /// The newest format known here.
        supported: u8,
    },
    /// The flash did not keep what was written. The previous head is still there.
    NotKept,
}

impl<E: fmt::Debug> fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "flash: {error:?}"),
            Self::UnsupportedFlash { read_size, write_size, erase_size } => {
                write!(f, "flash with read {read_size}, write {write_size}, erase {erase_size} bytes is not supported")
            }
            Self::BadRegion { start, end, erase_size, capacity } => write!(
                f,
                "region {start}..{end} is not whole blocks of {erase_size} bytes within {capacity} bytes of flash"
            ),
            Self::RegionTooSmall { need, have } => write!(f, "region of {have} bytes, {need} needed"),
            Self::BadShape { classes, features } => {
                write!(f, "a head of {classes} classes and {features} features can't be stored")
            }
            Self::WrongLength { weights_need, weights_have, bias_need, bias_have } => write!(
                f,
                "{weights_have} weights and {bias_have} bias values given, {weights_need} and {bias_need} needed"
            ),
            Self::NotFinite { index } => write!(f, "parameter {index} is not finite"),
            Self::NoHead => write!(f, "no head is stored"),
            Self::NoTrial => write!(f, "no head is on trial"),
            Self::NoMarkLeft => write!(f, "every mark of the trial is spoiled"),
            Self::Corrupt => write!(f, "no stored head is intact"),
            Self::EncoderMismatch { stored, expected } => {
                write!(f, "the stored head belongs to encoder {stored:02x?}, not {expected:02x?}")
            }
            Self::ShapeMismatch { stored, expected } => write!(
                f,
                "the stored head is {} classes by {} features, not {} by {}",
                stored.classes, stored.features, expected.classes, expected.features
            ),
            Self::UnsupportedFormat { found, supported } => {
                write!(f, "the stored head has format {found}, the newest known is {supported}")
            }
            Self::NotKept => write!(f, "the flash did not keep what was written"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StoreError<E> {}
