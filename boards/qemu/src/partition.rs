//! The part of flash where a product keeps its model.
//!
//! `memory.x` reserves the region and names its ends; a programmer (here: QEMU's loader device) writes the model file there, apart
//! from the firmware. The region starts on a 16-byte boundary, so the model is read in place.

unsafe extern "C" {
    /// First byte of the model partition.
    static _model_start: u8;
    /// One past the last byte of the model partition.
    static _model_end: u8;
}

/// The first `length` bytes of the model partition, or `None` when it is smaller.
pub fn model(length: usize) -> Option<&'static [u8]> {
    let start = &raw const _model_start;
    let capacity = (&raw const _model_end).addr().checked_sub(start.addr())?;
    if length > capacity {
        return None;
    }
    // SAFETY: memory.x sets this region apart from code and RAM, so `length` bytes from `start` are readable and nothing in the
    // firmware ever writes them.
    Some(unsafe { core::slice::from_raw_parts(start, length) })
}

/// Size of the model partition in bytes.
pub fn model_capacity() -> usize {
    (&raw const _model_end).addr().saturating_sub((&raw const _model_start).addr())
}
