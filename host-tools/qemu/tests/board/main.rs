//! Firmware under QEMU, with a model and samples made here. Without QEMU every test says that it was skipped.

mod bench;
mod finetune;
mod inference;
mod integers;
mod packed;
mod sequence;
mod support;
