//! What can be wrong with the settings of a feature extractor.

use core::fmt;

/// Why a feature extractor was not built.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrontendError {
    /// A frequency, rate or level is outside its range.
    InvalidSetting {
        /// Name of the field.
        name: &'static str,
        /// Value given.
        value: f32,
    },
    /// A count is outside its range.
    OutOfRange {
        /// Name of the field.
        name: &'static str,
        /// Value given.
        value: usize,
        /// Smallest allowed.
        least: usize,
        /// Largest allowed.
        most: usize,
    },
    /// The workspace is too short.
    WorkspaceTooSmall {
        /// Values needed.
        need: usize,
        /// Values given.
        have: usize,
    },
}

impl fmt::Display for FrontendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InvalidSetting { name, value } => write!(f, "setting {name} = {value} is outside its range"),
            Self::OutOfRange { name, value, least, most } => {
                write!(f, "setting {name} = {value} is not from {least} to {most}")
            }
            Self::WorkspaceTooSmall { need, have } => {
                write!(f, "the workspace has {have} values, {need} are needed")
            }
        }
    }
}

impl core::error::Error for FrontendError {}

/// `Ok` when `valid` says so of a setting.
pub(super) fn check_setting(name: &'static str, value: f32, valid: impl Fn(f32) -> bool) -> Result<(), FrontendError> {
    if value.is_finite() && valid(value) { Ok(()) } else { Err(FrontendError::InvalidSetting { name, value }) }
}

/// `Ok` when a count is in its range.
pub(super) fn check_range(name: &'static str, value: usize, least: usize, most: usize) -> Result<(), FrontendError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(FrontendError::OutOfRange { name, value, least, most }) }
}
