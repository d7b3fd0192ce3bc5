//! One error for a firmware's main loop.

use crate::{frontend, learn, model, session};

/// Whatever went wrong in loading, running, feeding or fine-tuning a model.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The model file was refused.
    Model(model::Error),
    /// The session could not do what was asked.
    Session(session::Error),
    /// Fine-tuning failed.
    Learn(learn::LearnError),
    /// A feature extractor was not built.
    Frontend(frontend::FrontendError),
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Model(error) => error.fmt(f),
            Error::Session(error) => error.fmt(f),
            Error::Learn(error) => error.fmt(f),
            Error::Frontend(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<model::Error> for Error {
    fn from(error: model::Error) -> Self {
        Error::Model(error)
    }
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Self {
        Error::Session(error)
    }
}

impl From<learn::LearnError> for Error {
    fn from(error: learn::LearnError) -> Self {
        Error::Learn(error)
    }
}

impl From<frontend::FrontendError> for Error {
    fn from(error: frontend::FrontendError) -> Self {
        Error::Frontend(error)
    }
}
