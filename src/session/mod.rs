//! A verified model at work in an arena that the caller owns.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let bytes = []; if bytes.is_empty() { return Ok(()) }
//! use nervelet::{Arena, Model, Session};
//!
//! let model = Model::from_bytes(&bytes)?;
//! let mut arena = Arena::<16_384>::new();
//! let mut session = Session::new(&model, &mut arena)?;
//! session.set_input(0, &[0.1, -9.8, 0.3])?;
//! session.invoke()?;
//! if let Some(best) = session.prediction() {
//!     println!("class {} with {}", best.class, best.score);
//! }
//! # Ok(())
//! # }
//! ```

mod arena;
mod error;
mod io;
mod state;

pub use arena::Arena;
pub use error::Error;
pub use io::Prediction;

use crate::model::{ALIGNMENT, Model};
pub use crate::ops::Element;
use crate::ops::{Call, StepView};

/// Watches a session step by step: for profiling and calibration. Every method does nothing by default.
pub trait Observer {
    /// Called before a step runs.
    fn before_step(&mut self, step: usize) {
        let _ = step;
    }

    /// Called after a step has run, with the arena.
    fn after_step(&mut self, step: usize, arena: &[u8]) {
        let _ = (step, arena);
    }
}

impl Observer for () {}

/// A model with its arena.
#[derive(Debug)]
pub struct Session<'m, 'a> {
    model: Model<'m>,
    arena: &'a mut [u8],
}

impl<'m, 'a> Session<'m, 'a> {
    /// Puts a model to work in an arena, usually an [`Arena`]; resets it.
    ///
    /// Fails with [`Error::ArenaTooSmall`] or, where the arena does not start at a multiple of 16,
    /// [`Error::ArenaMisaligned`].
    pub fn new(model: &Model<'m>, arena: &'a mut [u8]) -> Result<Self, Error> {
        let (need, have) = (model.arena_bytes(), arena.len());
        let remainder = arena.as_ptr() as usize % ALIGNMENT;
        if remainder != 0 {
            return Err(Error::ArenaMisaligned { remainder });
        }
        let arena = arena.get_mut(..need).ok_or(Error::ArenaTooSmall { need, have })?;
        let mut session = Self { model: *model, arena };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Runs the whole model on the inputs. Inputs have to be set again before the next run.
    pub fn invoke(&mut self) -> Result<(), Error> {
        self.invoke_observed(&mut ())
    }

    /// As [`Session::invoke`], with an observer.
    pub fn invoke_observed(&mut self, observer: &mut impl Observer) -> Result<(), Error> {
        self.run(usize::MAX, observer)
    }

    /// Runs the steps before the trainable head on the inputs and gives their output: int8 codes of the features.
    pub fn features(&mut self) -> Result<&[i8], Error> {
        let head = self.model.head().ok_or(Error::NoHead)?;
        self.run(head.first_step, &mut ())?;
        self.read(&head.features)
    }

    /// Runs the first `count` steps.
    fn run(&mut self, count: usize, observer: &mut impl Observer) -> Result<(), Error> {
        let tables = &self.model.program().tables;
        // Steps of one kind often follow each other, or take turns with those of another.
        let Some(mut last) = self.model.operators().first() else { return Ok(()) };
        let mut before = last;
        for (step, record) in self.model.program().steps.iter().take(count).enumerate() {
            observer.before_step(step);
            if last.kind as u16 != record.kind {
                core::mem::swap(&mut last, &mut before);
                if last.kind as u16 != record.kind {
                    last = self.model.operator(record.kind).ok_or(Error::NotVerified)?;
                }
            }
            let view = &StepView { record, tables };
            (last.run)(&mut Call { view, arena: self.arena }).map_err(|_| Error::Step { step })?;
            observer.after_step(step, self.arena);
        }
        Ok(())
    }
}
