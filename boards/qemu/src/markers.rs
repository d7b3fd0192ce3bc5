//! Where the profiler switches its counters.
//!
//! The host's QEMU plugin counts executed instructions in buckets. The firmware names the bucket to count in from now on by calling
//! the marker function of that number: one of a table of functions that do nothing, four bytes each, which the plugin knows by
//! their addresses and leaves out of the count. Buckets are listed in [`nervelet_board_protocol::bucket`].

use core::arch::global_asm;

use nervelet_board_protocol::bucket;

/// Size of one marker function: `bx lr; nop`.
const MARKER_BYTES: usize = 4;

global_asm!(
    ".pushsection .text.board_markers, \"ax\", %progbits",
    ".balign 4",
    ".global board_markers",
    ".type board_markers, %function",
    ".thumb_func",
    "board_markers:",
    ".rept {count}",
    "bx lr",
    "nop",
    ".endr",
    ".size board_markers, . - board_markers",
    ".popsection",
    count = const bucket::COUNT,
);

unsafe extern "C" {
    safe fn board_markers();
}

/// Counts the instructions from here on in `bucket`.
#[inline]
pub fn mark(bucket: usize) {
    let table = board_markers as extern "C" fn() as usize;
    let address = table + MARKER_BYTES * bucket.min(bucket::COUNT - 1);
    // SAFETY: `address` is that of one of the functions above (Thumb bit included): they follow the C calling convention, take
    // nothing, return nothing and touch nothing.
    let marker = unsafe { core::mem::transmute::<usize, extern "C" fn()>(address) };
    marker();
}
