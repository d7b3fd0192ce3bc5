//! The model file: one postcard value, verified once, read in place.
//!
//! A file is a straight-line program over a table of tensors. Its parts in order are the fields of [`schema::File`],
//! after a [`schema::Prelude`] of magic, version and checksum. What a run needs is a [`schema::Program`] of fixed-size
//! records; names are for people and come after each other in [`schema::Names`]. Nothing is copied: names, tensors,
//! steps and weights are borrowed from the bytes, which may lie in flash.
//!
//! [`Model::from_bytes`] checks the checksum and then every step, so that a session can't reach outside the arena or
//! the file. Its time is linear in the length of the file.

mod error;
pub mod schema;
mod strings;
mod verify;

pub use error::Error;
pub use strings::Strings;

use crate::ops::{self, Operator, Span, Tables, Tensor, Tensors};
use schema::{Content, Head, Names, Port, Program};

/// The alignment that a file needs in memory, in bytes.
pub const ALIGNMENT: usize = 16;

/// A verified model.
#[derive(Debug, Clone, Copy)]
pub struct Model<'m> {
    content: Content<'m>,
    operators: &'m [&'static Operator],
}

impl<'m> Model<'m> {
    /// Verifies a file and links every operator of the library.
    ///
    /// `bytes` starts with the file, 16-byte aligned; what follows the file, such as the rest of a flash partition,
    /// is left alone. Fails with an [`Error`] that says what is wrong.
    pub fn from_bytes(bytes: &'m [u8]) -> Result<Self, Error> {
        Self::with_operators(bytes, ops::ALL)
    }

    /// Verifies a file and links only the operators given; a step of another kind is an error that names it.
    pub fn with_operators(bytes: &'m [u8], operators: &'m [&'static Operator]) -> Result<Self, Error> {
        let model = Self { content: schema::read(bytes)?, operators };
        verify::verify(&model)?;
        Ok(model)
    }

    /// What people read about the model; empty where it does not decode.
    pub fn names(&self) -> Names<'m> {
        postcard::from_bytes(self.content.names).unwrap_or_default()
    }

    /// The name of the model.
    pub fn name(&self) -> &'m str {
        self.names().name
    }

    /// What wrote the file, with its version.
    pub fn producer(&self) -> &'m str {
        self.names().producer
    }

    /// The names of the classes that the first output scores; none for a regression.
    pub fn classes(&self) -> impl Iterator<Item = &'m str> + use<'m> {
        self.names().classes.iter()
    }

    /// The hash of the file's content; it names the encoder that a head was trained on.
    pub fn id(&self) -> [u8; 16] {
        *self.content.id
    }

    /// The bytes of arena that a session needs.
    pub fn arena_bytes(&self) -> usize {
        self.content.program.header.arena_bytes as usize
    }

    /// What the caller fills.
    pub fn inputs(&self) -> &'m [Port] {
        self.content.program.inputs
    }

    /// What the caller reads.
    pub fn outputs(&self) -> &'m [Port] {
        self.content.program.outputs
    }

    /// The inputs with their names.
    pub fn named_inputs(&self) -> impl Iterator<Item = (&'m str, &'m Port)> + use<'m> {
        self.names().inputs.iter().chain(core::iter::repeat("")).zip(self.inputs())
    }

    /// The outputs with their names.
    pub fn named_outputs(&self) -> impl Iterator<Item = (&'m str, &'m Port)> + use<'m> {
        self.names().outputs.iter().chain(core::iter::repeat("")).zip(self.outputs())
    }

    /// The steps in order.
    pub fn steps(&self) -> impl Iterator<Item = ops::Step<'m>> + use<'m> {
        let Program { steps, tables: Tables { words, .. }, .. } = self.content.program;
        let names = self.names().steps.iter().chain(core::iter::repeat(""));
        steps.iter().zip(names).filter_map(|(record, name)| record.step(name, words))
    }

    /// The tensors that steps and ports refer to.
    pub fn tensors(&self) -> Tensors<'m> {
        self.content.program.tables.tensors
    }

    /// The tensor with an index.
    pub fn tensor(&self, index: u16) -> Option<Tensor> {
        self.tensors().get(index).copied()
    }

    /// The weights, biases and tables.
    pub fn constants(&self) -> &'m [u8] {
        self.content.program.tables.constants
    }

    /// The layer that a device can train, if the file names one.
    pub fn head(&self) -> Option<TrainableHead<'m>> {
        let Head { first_step, features, weights, bias } = self.content.program.header.head;
        let head = TrainableHead {
            first_step: usize::from(first_step),
            features: self.tensor(features)?,
            weights: self.floats(weights)?,
            bias: self.floats(bias)?,
        };
        (weights.length > 0).then_some(head)
    }

    /// The factors that bring raw readings to the range the network was trained on: mean and scale by channel.
    pub fn normalization(&self, port: &Port) -> Option<(&'m [f32], &'m [f32])> {
        let normalization = (self.floats(port.mean)?, self.floats(port.scale)?);
        (port.normalized != 0).then_some(normalization)
    }

    /// What runs: the tables of the file.
    pub fn program(&self) -> &Program<'m> {
        &self.content.program
    }

    /// The operators that the firmware links.
    pub(crate) fn operators(&self) -> &'m [&'static Operator] {
        self.operators
    }

    /// The operator of a kind.
    #[inline(always)]
    pub(crate) fn operator(&self, kind: u16) -> Option<&'m &'static Operator> {
        self.operators.iter().find(|operator| operator.kind as u16 == kind)
    }

    fn floats(&self, span: Span) -> Option<&'m [f32]> {
        bytemuck::try_cast_slice(span.of(self.content.program.tables.constants)?).ok()
    }
}

/// The dense layer in front of the output, in f32, as the host trained it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainableHead<'m> {
    /// The steps before this one are the encoder.
    pub first_step: usize,
    /// The encoder's output.
    pub features: Tensor,
    /// Weights `[classes][features]`.
    pub weights: &'m [f32],
    /// One bias for each class.
    pub bias: &'m [f32],
}

/// Embeds a model file in the firmware's flash with the alignment that [`Model::from_bytes`] asks for.
///
/// ```
/// # macro_rules! include_bytes { ($path:literal) => { &[0_u8; 32] } }
/// static MODEL: &[u8] = nervelet::include_model!("gestures.postcard");
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        #[repr(C, align(16))]
        struct Aligned<Bytes: ?Sized>(Bytes);
        static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &ALIGNED.0
    }};
}
