//! The checks that make a session safe: every tensor in its place, every step sound, ports and head that fit.

use super::schema::{Head, Port};
use super::{Error, Model};
use crate::kernels;
use crate::ops::{MAX_RANK, OpKind, Place, StepView, Tensor};

/// Checks everything that a session relies on.
pub(super) fn verify(model: &Model<'_>) -> Result<(), Error> {
    let program = model.program();
    let core = program.header.core;
    if !kernels::packing::runs(core) {
        return Err(Error::WrongCore { core });
    }
    for (index, tensor) in program.tables.tensors.iter().enumerate() {
        if !is_in_place(model, tensor) {
            return Err(Error::Tensor { index });
        }
    }
    if program.states.iter().any(|state| state.span.end() > model.arena_bytes()) {
        return Err(Error::Malformed);
    }
    for (position, port) in program.inputs.iter().chain(program.outputs).enumerate() {
        if !port_fits(model, port) {
            return Err(Error::Port { position });
        }
    }
    // A copy: the model itself may stay in registers.
    let tables = program.tables;
    for (step, record) in program.steps.iter().enumerate() {
        let number = record.kind;
        let not_linked = || Error::OperatorNotLinked { step, kind: OpKind::from_number(number), number };
        let operator = model.operator(number).ok_or_else(not_linked)?;
        (operator.verify)(&StepView { record, tables: &tables }).map_err(|error| Error::Step { step, error })?;
    }
    if head_fits(model) { Ok(()) } else { Err(Error::Head) }
}

/// A tensor has elements, is aligned to them, and lies inside the arena or the constants.
fn is_in_place(model: &Model<'_>, tensor: &Tensor) -> bool {
    let room = match tensor.place {
        Place::Arena => model.arena_bytes(),
        Place::Constant => model.constants().len(),
    };
    usize::from(tensor.rank) <= MAX_RANK
        && tensor.length > 0
        && tensor.bytes() == Some(tensor.length)
        && (tensor.offset as usize).is_multiple_of(tensor.data_type.bytes())
        && tensor.span().end() <= room
}

/// An input or output lies in the arena, and its normalisation has one entry a channel.
fn port_fits(model: &Model<'_>, port: &Port) -> bool {
    let Some(tensor) = model.tensors().get(port.tensor) else { return false };
    let channels = tensor.shape().last().map_or(1, |extent| *extent as usize);
    let normalized = port.normalized == 0
        || model.normalization(port).is_some_and(|(mean, scale)| [mean.len(), scale.len()] == [channels; 2]);
    tensor.place == Place::Arena && normalized
}

/// There is no head, or its weights fit the features that the encoder leaves in the arena.
fn head_fits(model: &Model<'_>) -> bool {
    let Head { first_step, features, weights, bias } = model.program().header.head;
    if weights.length == 0 {
        return true;
    }
    let fits = |features: &Tensor| {
        features.place == Place::Arena
            && Some(weights.length as usize) == features.elements().checked_mul(bias.length as usize)
    };
    bias.length >= 4
        && usize::from(first_step) <= model.program().steps.len()
        && [weights, bias].iter().all(|floats| model.floats(*floats).is_some())
        && model.tensors().get(features).is_some_and(fits)
}
