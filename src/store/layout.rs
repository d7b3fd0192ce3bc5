//! Where the parts of a record lie in the region.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use super::error::StoreError;
use super::record::{HEADER_BYTES, HeadIdentity};

/// Bytes moved at once: the largest `WRITE_SIZE` that is supported.
pub(super) const CHUNK: usize = 256;
/// Bytes of a mark that count.
pub(super) const MARK_BYTES: usize = 8;
/// Marks of a slot: attempts to confirm a trial.
pub(super) const MARKS: u32 = 4;

/// Bytes of flash that a [`HeadStore`](super::HeadStore) needs for heads of this shape on a flash
/// like `F`: two slots of whole erase blocks. `u32::MAX` if it is more than that.
pub const fn region_bytes<F: NorFlash>(classes: u32, features: u32) -> u32 {
    let bytes = Offsets::new(F::WRITE_SIZE as u64, F::ERASE_SIZE as u64, classes, features).slot.saturating_mul(2);
    if bytes > u32::MAX as u64 { u32::MAX } else { bytes as u32 }
}

/// The parts of a slot, from its beginning.
struct Offsets {
    payload: u64,
    /// Without padding.
    payload_bytes: u64,
    marks: u64,
    /// Whole erase blocks.
    slot: u64,
}

impl Offsets {
    const fn new(write_size: u64, erase_size: u64, classes: u32, features: u32) -> Self {
        // (2^32 - 1) * 2^32 parameters at most: only the bytes can overflow.
        let payload_bytes = (classes as u64 * (features as u64 + 1)).saturating_mul(4);
        let payload = round_up(HEADER_BYTES as u64, write_size);
        let marks = payload.saturating_add(round_up(payload_bytes, write_size));
        let end = marks.saturating_add(MARKS as u64 * round_up(MARK_BYTES as u64, write_size));
        Self { payload, payload_bytes, marks, slot: round_up(end, erase_size) }
    }
}

/// The next multiple of `unit`; `value` if there is none.
const fn round_up(value: u64, unit: u64) -> u64 {
    match value.checked_next_multiple_of(unit) {
        Some(multiple) => multiple,
        None => value,
    }
}

/// A checked region: every address in it fits u32 and lies within the flash.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Layout {
    /// Beginnings of the slots.
    pub(super) slots: [u32; 2],
    slot_bytes: u32,
    payload: u32,
    payload_bytes: u32,
    marks: u32,
}

impl Layout {
    pub(super) fn new<F: NorFlash>(
        flash: &F,
        region: Range<u32>,
        identity: HeadIdentity,
    ) -> Result<Self, StoreError<F::Error>> {
        let (read_size, write_size, erase_size) = (F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE);
        let supported = read_size.is_power_of_two()
            && write_size.is_power_of_two()
            && read_size <= write_size
            && write_size <= CHUNK
            && erase_size > 0
            && erase_size.is_multiple_of(write_size);
        if !supported {
            return Err(StoreError::UnsupportedFlash { read_size, write_size, erase_size });
        }
        let HeadIdentity { classes, features, .. } = identity;
        let offsets = Offsets::new(write_size as u64, erase_size as u64, classes, features);
        if classes == 0 || features == 0 || offsets.payload_bytes > u64::from(u32::MAX) {
            return Err(StoreError::BadShape { classes, features });
        }

        let Range { start, end } = region;
        let whole = |address: u32| u64::from(address).is_multiple_of(erase_size as u64);
        let capacity = flash.capacity();
        if start > end || u64::from(end) > capacity as u64 || !whole(start) || !whole(end) {
            return Err(StoreError::BadRegion { start, end, erase_size, capacity });
        }
        let have = end.saturating_sub(start);
        // The halves depend on the region alone: a record of another shape is still found.
        let half = have / 2;
        let half = half.saturating_sub(half.checked_rem(erase_size as u32).unwrap_or(0));
        let too_small = StoreError::RegionTooSmall { need: region_bytes::<F>(classes, features), have };
        match [offsets.slot, offsets.payload, offsets.payload_bytes, offsets.marks].map(u32::try_from) {
            [Ok(slot_bytes), Ok(payload), Ok(payload_bytes), Ok(marks)] if slot_bytes <= half => {
                Ok(Self { slots: [start, start.saturating_add(half)], slot_bytes, payload, payload_bytes, marks })
            }
            _ => Err(too_small),
        }
    }

    /// The blocks of the record in the slot that begins at `slot`.
    pub(super) fn whole(&self, slot: u32) -> Range<u32> {
        slot..slot.saturating_add(self.slot_bytes)
    }

    /// The pieces of the payload: address, and bytes that count.
    pub(super) fn chunks(&self, slot: u32) -> impl Iterator<Item = (u32, usize)> + use<> {
        let (begin, bytes) = (slot.saturating_add(self.payload), self.payload_bytes);
        (0..bytes).step_by(CHUNK).map(move |offset| {
            let rest = bytes.saturating_sub(offset) as usize;
            (begin.saturating_add(offset), rest.min(CHUNK))
        })
    }

    /// Addresses of the marks.
    pub(super) fn marks<F: NorFlash>(&self, slot: u32) -> impl Iterator<Item = u32> + use<F> {
        let begin = slot.saturating_add(self.marks);
        let step = MARK_BYTES.max(F::WRITE_SIZE) as u32;
        (0..MARKS).map(move |index| begin.saturating_add(index.saturating_mul(step)))
    }
}
