//! The store: which slot counts, which one is written.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use super::error::StoreError;
use super::layout::Layout;
use super::record::{FORMAT, HeadIdentity, Header, is_newer};
use super::slot::{Chunk, Slot, mark_is_erased, read_payload, write_header, write_mark, write_payload};

/// Keeps the head of one encoder in a region of a NOR flash.
///
/// ```
/// # use embedded_storage::nor_flash::NorFlash;
/// use nervelet::store::{HeadIdentity, HeadStore, StoreError, region_bytes};
///
/// fn remember<F: NorFlash>(
///     flash: F,
///     encoder: [u8; 16],
///     weights: &mut [f32],
///     bias: &mut [f32],
/// ) -> Result<(), StoreError<F::Error>> {
///     let identity = HeadIdentity { encoder, classes: 12, features: 64 };
///     let mut store = HeadStore::new(flash, 0..region_bytes::<F>(12, 64), identity)?;
///     match store.load_into(weights, bias) {
///         Ok(_) => {}                      // goes on with what was learned
///         Err(StoreError::NoHead) => {}    // keeps the model's own head
///         Err(error) => return Err(error),
///     }
///     // ... train ...
///     store.commit(weights, bias)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeadStore<F> {
    flash: F,
    layout: Layout,
    identity: HeadIdentity,
}

type Slots<F> = [(u32, Slot<<F as embedded_storage::nor_flash::ErrorType>::Error>); 2];

impl<F: NorFlash> HeadStore<F> {
    /// A store in `region` of the flash, which has to begin and end on erase blocks and have
    /// [`region_bytes`](super::region_bytes) or more. Nothing is read or written yet.
    ///
    /// # Errors
    /// [`StoreError::UnsupportedFlash`], [`StoreError::BadShape`], [`StoreError::BadRegion`],
    /// [`StoreError::RegionTooSmall`].
    pub fn new(flash: F, region: Range<u32>, identity: HeadIdentity) -> Result<Self, StoreError<F::Error>> {
        let layout = Layout::new(&flash, region, identity)?;
        Ok(Self { flash, layout, identity })
    }

    /// What the heads of this store belong to.
    pub fn identity(&self) -> HeadIdentity {
        self.identity
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// Loads the newest confirmed head and returns its sequence number. `weights` are row-major
    /// `[classes][features]`, `bias` is `[classes]`.
    ///
    /// Reads both records once and the chosen one twice. The slices are written only after the
    /// record was found intact; they are unchanged on every error but [`StoreError::Flash`] and
    /// [`StoreError::NotKept`], which then came up between the two reads.
    ///
    /// # Errors
    /// [`StoreError::WrongLength`], [`StoreError::NoHead`], [`StoreError::Corrupt`],
    /// [`StoreError::EncoderMismatch`], [`StoreError::ShapeMismatch`],
    /// [`StoreError::UnsupportedFormat`], [`StoreError::Flash`].
    pub fn load_into(&mut self, weights: &mut [f32], bias: &mut [f32]) -> Result<u32, StoreError<F::Error>> {
        self.check_lengths(weights, bias)?;
        let slots = self.scan();
        match newest(&slots, Slot::confirmed) {
            Some((start, header)) => self.copy(start, &header, weights, bias),
            None => Err(self.why_none(slots)),
        }
    }

    /// Loads the head that is on trial and returns its sequence number.
    ///
    /// # Errors
    /// [`StoreError::NoTrial`], otherwise as for [`load_into`](Self::load_into).
    pub fn load_trial_into(&mut self, weights: &mut [f32], bias: &mut [f32]) -> Result<u32, StoreError<F::Error>> {
        self.check_lengths(weights, bias)?;
        let (start, header) = self.pending()?;
        self.copy(start, &header, weights, bias)
    }

    /// Stores a head and returns its sequence number. When this returns `Ok`, the head was read back
    /// and is what [`load_into`](Self::load_into) gives from now on; a trial is dropped. On any
    /// error, and after a power cut at any moment, the head confirmed before is still there.
    ///
    /// # Errors
    /// [`StoreError::WrongLength`], [`StoreError::NotFinite`], [`StoreError::Flash`],
    /// [`StoreError::NotKept`].
    pub fn commit(&mut self, weights: &[f32], bias: &[f32]) -> Result<u32, StoreError<F::Error>> {
        self.write(weights, bias, false)
    }

    /// Stores a head on trial: [`load_into`](Self::load_into) goes on giving the confirmed one until
    /// [`confirm`](Self::confirm). Replaces an earlier trial.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    pub fn commit_trial(&mut self, weights: &[f32], bias: &[f32]) -> Result<u32, StoreError<F::Error>> {
        self.write(weights, bias, true)
    }

    /// Confirms the head that is on trial and returns its sequence number. After a power cut it is
    /// confirmed, or still on trial.
    ///
    /// # Errors
    /// [`StoreError::NoTrial`], [`StoreError::NoMarkLeft`], [`StoreError::Flash`].
    pub fn confirm(&mut self) -> Result<u32, StoreError<F::Error>> {
        let (start, header) = self.pending()?;
        let mut failure = StoreError::NoMarkLeft;
        for at in self.layout.marks::<F>(start) {
            if !mark_is_erased(&mut self.flash, at) {
                continue;
            }
            match write_mark(&mut self.flash, at, &header) {
                Ok(()) if self.inspect(start).confirmed() == Some(&header) => return Ok(header.sequence),
                Ok(()) => failure = StoreError::NotKept,
                Err(error) => failure = StoreError::Flash(error),
            }
        }
        Err(failure)
    }

    /// Removes the head that is on trial. After a power cut it is gone, or still on trial.
    ///
    /// # Errors
    /// [`StoreError::NoTrial`], [`StoreError::Flash`], [`StoreError::NotKept`].
    pub fn rollback(&mut self) -> Result<(), StoreError<F::Error>> {
        let (start, header) = self.pending()?;
        let Range { start: from, end: to } = self.layout.whole(start);
        self.flash.erase(from, to).map_err(StoreError::Flash)?;
        match self.inspect(start).header() {
            Some(left) if *left == header => Err(StoreError::NotKept),
            _ => Ok(()),
        }
    }

    fn write(&mut self, weights: &[f32], bias: &[f32], trial: bool) -> Result<u32, StoreError<F::Error>> {
        self.check_lengths(weights, bias)?;
        let parameters = || weights.iter().chain(bias);
        if let Some(index) = parameters().position(|parameter| !parameter.is_finite()) {
            return Err(StoreError::NotFinite { index });
        }
        let slots = self.scan();
        let start = lesser(&slots);
        let sequence = newest(&slots, Slot::header).map_or(0, |(_, header)| header.sequence.wrapping_add(1));

        let Range { start: from, end: to } = self.layout.whole(start);
        self.flash.erase(from, to).map_err(StoreError::Flash)?;
        let payload_crc =
            write_payload(&mut self.flash, &self.layout, start, parameters()).map_err(StoreError::Flash)?;
        let header = Header::new(self.identity, sequence, trial, payload_crc);
        write_header(&mut self.flash, start, &header).map_err(StoreError::Flash)?;

        let kept = self.inspect(start);
        let kept = if trial { kept.trial() } else { kept.confirmed() };
        if kept == Some(&header) { Ok(sequence) } else { Err(StoreError::NotKept) }
    }

    fn copy(
        &mut self,
        start: u32,
        header: &Header,
        weights: &mut [f32],
        bias: &mut [f32],
    ) -> Result<u32, StoreError<F::Error>> {
        let mut parameters = weights.iter_mut().chain(bias);
        let crc = read_payload(&mut self.flash, &self.layout, start, &mut Chunk::new(), |word| {
            if let Some(parameter) = parameters.next() {
                *parameter = f32::from_le_bytes(word);
            }
        });
        if crc.map_err(StoreError::Flash)? == header.payload_crc {
            Ok(header.sequence)
        } else {
            Err(StoreError::NotKept)
        }
    }

    fn inspect(&mut self, start: u32) -> Slot<F::Error> {
        Slot::inspect(&mut self.flash, &self.layout, start, self.identity)
    }

    fn scan(&mut self) -> Slots<F> {
        self.layout.slots.map(|start| (start, self.inspect(start)))
    }

    /// The trial, if it is newer than every confirmed head.
    fn pending(&mut self) -> Result<(u32, Header), StoreError<F::Error>> {
        let slots = self.scan();
        let confirmed = newest(&slots, Slot::confirmed);
        newest(&slots, Slot::trial)
            .filter(|(_, trial)| confirmed.is_none_or(|(_, head)| is_newer(trial.sequence, head.sequence)))
            .ok_or(StoreError::NoTrial)
    }

    /// The most telling reason why there is nothing to load.
    fn why_none(&self, slots: Slots<F>) -> StoreError<F::Error> {
        let expected = self.identity;
        if let Some((_, Header { identity: stored, .. })) = newest(&slots, Slot::foreign) {
            return if stored.encoder == expected.encoder {
                StoreError::ShapeMismatch { stored, expected }
            } else {
                StoreError::EncoderMismatch { stored: stored.encoder, expected: expected.encoder }
            };
        }
        let mut reason = StoreError::NoHead;
        for (_, slot) in slots {
            match slot {
                Slot::OtherFormat(found) => return StoreError::UnsupportedFormat { found, supported: FORMAT },
                Slot::Unreadable(error) => reason = StoreError::Flash(error),
                Slot::Garbage if matches!(reason, StoreError::NoHead) => reason = StoreError::Corrupt,
                _ => {}
            }
        }
        reason
    }

    fn check_lengths(&self, weights: &[f32], bias: &[f32]) -> Result<(), StoreError<F::Error>> {
        let HeadIdentity { classes, features, .. } = self.identity;
        let bias_need = classes as usize;
        let weights_need = bias_need.saturating_mul(features as usize);
        if weights.len() == weights_need && bias.len() == bias_need {
            Ok(())
        } else {
            let (weights_have, bias_have) = (weights.len(), bias.len());
            Err(StoreError::WrongLength { weights_need, weights_have, bias_need, bias_have })
        }
    }
}

/// Beginning and header of the newest slot among those that `wanted` accepts.
fn newest<E>(slots: &[(u32, Slot<E>); 2], wanted: impl Fn(&Slot<E>) -> Option<&Header>) -> Option<(u32, Header)> {
    let [first, second] = slots.each_ref().map(|(start, slot)| wanted(slot).map(|header| (*start, *header)));
    match (first, second) {
        (Some(first), Some(second)) if is_newer(second.1.sequence, first.1.sequence) => Some(second),
        (first, second) => first.or(second),
    }
}

/// Beginning of the slot to write: the one with less to lose, the older among equals.
fn lesser<E>(slots: &[(u32, Slot<E>); 2]) -> u32 {
    let [(first, a), (second, b)] = slots;
    let second_is_less = match b.value().cmp(&a.value()) {
        core::cmp::Ordering::Less => true,
        core::cmp::Ordering::Greater => false,
        core::cmp::Ordering::Equal => match (a.header(), b.header()) {
            // Never the one that `newest` takes, even of equals, which only damage can leave.
            (Some(a), Some(b)) => !is_newer(b.sequence, a.sequence),
            _ => false,
        },
    };
    if second_is_less { *second } else { *first }
}
