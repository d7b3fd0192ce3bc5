//! What every optimizer does.

use super::error::LearnError;
use super::head::DenseHead;

/// Moves the parameters of a head along a gradient.
pub trait Optimizer {
    /// Forgets all past steps.
    fn reset(&mut self);

    /// One update. `gradient` has the order of [`DenseHead::parameters`].
    ///
    /// # Errors
    /// [`LearnError::WrongLength`] of the gradient or of the optimizer's state; nothing was
    /// changed then.
    fn step(&mut self, head: &mut DenseHead<'_>, gradient: &[f32]) -> Result<(), LearnError>;
}

impl<O: Optimizer> Optimizer for &mut O {
    fn reset(&mut self) {
        (**self).reset();
    }

    fn step(&mut self, head: &mut DenseHead<'_>, gradient: &[f32]) -> Result<(), LearnError> {
        (**self).step(head, gradient)
    }
}
