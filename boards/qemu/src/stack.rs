//! How deep the stack went, by painting it and looking how much of the paint is left.

use cortex_m::register::msp;

const PAINT: u32 = 0xC5C5_C5C5;
const WORD: usize = size_of::<u32>();
/// Left alone below the stack pointer: this module's own frame.
const MARGIN_BYTES: usize = 256;
/// Deepest stack that can be told apart.
const DEPTH_BYTES: usize = 256 * 1024;

unsafe extern "C" {
    /// End of the statics, from cortex-m-rt's linker script: the stack must not grow below.
    static _stack_end: u32;
}

/// Runs `work` and returns its result with the bytes of stack it took (to a word, and never less than a small frame).
///
/// Interrupts that arrive meanwhile are counted too, as they use the same stack.
#[inline(never)]
pub fn measure<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let top = msp::read() as usize;
    let bottom = (&raw const _stack_end).addr().max(top.saturating_sub(DEPTH_BYTES)).next_multiple_of(WORD);
    let painted = bottom..top.saturating_sub(MARGIN_BYTES);
    for address in painted.clone().step_by(WORD) {
        // SAFETY: the word lies between the end of the statics and the live part of the stack, so nobody owns it now.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
    }
    let result = work();
    // SAFETY: as above; reading free stack has no effect.
    let untouched =
        |address: &usize| unsafe { core::ptr::with_exposed_provenance::<u32>(*address).read_volatile() } == PAINT;
    let deepest = painted.clone().step_by(WORD).find(|address| !untouched(address)).unwrap_or(painted.end);
    (result, top.saturating_sub(deepest))
}
