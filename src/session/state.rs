//! What recurrent layers remember between runs: forgotten, taken out, put back.

use super::{Error, Session};
use crate::ops::Span;

impl Session<'_, '_> {
    /// Forgets what earlier runs left: recurrent state returns to its start.
    pub fn reset(&mut self) {
        for state in self.model.program().states {
            if let Some(bytes) = self.arena.get_mut(state.span.offset as usize..state.span.end()) {
                bytes.fill(state.reset[0]);
            }
        }
    }

    /// The bytes of recurrent state that [`Session::save_state`] writes; 0 for a model without any.
    pub fn state_bytes(&self) -> usize {
        self.states().fold(0_usize, |sum, span| sum.saturating_add(span.length as usize))
    }

    /// Copies the recurrent state, so that another stream can go through this session in between, or a device can sleep.
    ///
    /// Fails where `target` does not have [`Session::state_bytes`] bytes.
    pub fn save_state(&self, target: &mut [u8]) -> Result<(), Error> {
        self.expect_state_bytes(target.len())?;
        let mut rest = target;
        for span in self.states() {
            let (part, behind) = rest.split_at_mut_checked(span.length as usize).ok_or(Error::NotVerified)?;
            part.copy_from_slice(span.of(self.arena).ok_or(Error::NotVerified)?);
            rest = behind;
        }
        Ok(())
    }

    /// Puts back what [`Session::save_state`] copied, in this session or another one with the same model.
    ///
    /// Fails where `source` does not have [`Session::state_bytes`] bytes; any bytes are a state.
    pub fn restore_state(&mut self, source: &[u8]) -> Result<(), Error> {
        self.expect_state_bytes(source.len())?;
        let mut rest = source;
        for state in self.model.program().states {
            let span = state.span;
            let (part, behind) = rest.split_at_checked(span.length as usize).ok_or(Error::NotVerified)?;
            let target = self.arena.get_mut(span.offset as usize..span.end()).ok_or(Error::NotVerified)?;
            target.copy_from_slice(part);
            rest = behind;
        }
        Ok(())
    }

    fn expect_state_bytes(&self, have: usize) -> Result<(), Error> {
        let need = self.state_bytes();
        if need == have { Ok(()) } else { Err(Error::Length { need, have }) }
    }

    fn states(&self) -> impl Iterator<Item = Span> + '_ {
        self.model.program().states.iter().map(|state| state.span)
    }
}
