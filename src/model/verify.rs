//! The checks that make a session safe: every tensor in its place, every step sound, ports and head that fit.

use super::schema::{Head, Port};
use super::{Error, Model};
use crate::kernels;
use crate::ops::{MAX_RANK, Place, Tensor};

/// Checks everything that a session relies on.
pub(super) fn verify(model: &Model<'_>) -> Result<(), Error> {
    let file = model.file();
    if !kernels::packing::runs(file.core) {
        return Err(Error::WrongCore { core: file.core });
    }
    let well_formed = file.inputs.is_well_formed()
        && file.outputs.is_well_formed()
        && file.classes.is_well_formed()
        && file.step_names.is_well_formed()
        && file.states.is_well_formed();
    if !well_formed {
        return Err(Error::Malformed);
    }
    for (index, tensor) in model.tensors().iter().enumerate() {
        if !is_in_place(model, tensor) {
            return Err(Error::Tensor { index });
        }
    }
    if file.states.iter().any(|state| state.span.end() > model.arena_bytes()) {
        return Err(Error::Malformed);
    }
    for (position, port) in model.inputs().chain(model.outputs()).enumerate() {
        if !port_fits(model, &port) {
            return Err(Error::Port { position });
        }
    }
    for (step, record) in model.records().iter().enumerate() {
        let view = model.view(record).ok_or(Error::Malformed)?;
        let number = record.kind;
        let operator =
            model.operator(number).ok_or(Error::OperatorNotLinked { step, kind: view.step.kind(), number })?;
        (operator.verify)(&view).map_err(|error| Error::Step { step, error })?;
    }
    match file.head {
        Some(head) if !head_fits(model, &head) => Err(Error::Head),
        _ => Ok(()),
    }
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
fn port_fits(model: &Model<'_>, port: &Port<'_>) -> bool {
    let Some(tensor) = model.tensor(port.tensor) else { return false };
    let channels = tensor.shape().last().map_or(1, |extent| *extent as usize);
    let normalized = port.normalization.is_none()
        || model.normalization(port).is_some_and(|(mean, scale)| [mean.len(), scale.len()] == [channels; 2]);
    tensor.place == Place::Arena && normalized
}

/// The head's weights fit the features that the encoder leaves in the arena.
fn head_fits(model: &Model<'_>, head: &Head) -> bool {
    let Some(trainable) = model.head() else { return false };
    let features = trainable.features.elements();
    trainable.features.place == Place::Arena
        && usize::from(head.first_step) <= model.records().len()
        && !trainable.bias.is_empty()
        && Some(trainable.weights.len()) == features.checked_mul(trainable.bias.len())
}
