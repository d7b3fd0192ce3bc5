//! The part of QEMU's plugin API, version 1, that counting needs. QEMU documents it in "QEMU TCG Plugins".

use std::ffi::{c_char, c_int, c_uint, c_void};

/// `struct qemu_plugin_tb`: a translated block, straight-line code that runs as a whole. Only ever seen behind a pointer.
#[repr(C)]
pub(crate) struct Block {
    _private: [u8; 0],
}

/// `struct qemu_plugin_insn`. Only ever seen behind a pointer.
#[repr(C)]
pub(crate) struct Instruction {
    _private: [u8; 0],
}

/// `qemu_plugin_id_t`.
pub(crate) type PluginId = u64;

/// `QEMU_PLUGIN_CB_NO_REGS`: the callback reads no register.
pub(crate) const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    pub(crate) fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: extern "C" fn(PluginId, *mut Block));
    pub(crate) fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Block,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        userdata: *mut c_void,
    );
    pub(crate) fn qemu_plugin_register_atexit_cb(
        id: PluginId,
        callback: extern "C" fn(PluginId, *mut c_void),
        userdata: *mut c_void,
    );
    pub(crate) fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    pub(crate) fn qemu_plugin_tb_vaddr(block: *const Block) -> u64;
    pub(crate) fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    pub(crate) fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    /// Returns a string of the C heap that the caller owns.
    pub(crate) fn qemu_plugin_insn_disas(instruction: *const Instruction) -> *mut c_char;
    /// The C library's `free`.
    pub(crate) fn free(pointer: *mut c_void);
}
