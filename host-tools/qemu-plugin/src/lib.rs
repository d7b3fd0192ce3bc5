//! A QEMU TCG plugin that counts executed instructions in buckets which the firmware chooses.
//!
//! The firmware has a table of marker functions, four bytes each (`bx lr; nop`). Executing the i-th makes bucket i the current one;
//! markers themselves are not counted. Arguments: `out=FILE,markers=ADDRESS,count=N` (decimal).
//!
//! At exit the plugin writes one line a fact, numbers decimal:
//! - `i ADDRESS SIZE TEXT`: an instruction that was translated, disassembled by QEMU;
//! - `b BUCKET ADDRESS INSTRUCTIONS TIMES JUMPED`: the block of that many instructions at ADDRESS was executed TIMES times while BUCKET
//!   was current, and JUMPED times the next block was not the one that follows it in memory.
//!
//! Counts are exact as long as no block is left in its middle, which only a fault does.

mod api;
mod counters;

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use api::{Block, PluginId};
use counters::{CountedBlock, Counters, Instruction};

/// The API version this plugin was written for; QEMU reads it before anything else.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

static COUNTERS: OnceLock<Counters> = OnceLock::new();

/// Entry point: QEMU calls it once, before the machine starts. Anything but 0 makes QEMU give up.
///
/// # Safety
/// `argv` must point to `argc` pointers to strings that end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    let arguments = (0..count).map(|i| {
        // SAFETY: i < argc, and each pointer is to a string that ends in a zero.
        unsafe { CStr::from_ptr(*argv.add(i)) }.to_string_lossy()
    });
    let counters = match Counters::from_arguments(arguments) {
        Ok(counters) => counters,
        Err(message) => {
            eprintln!("nervelet-qemu-plugin: {message}");
            return 1;
        }
    };
    if COUNTERS.set(counters).is_err() {
        return 1;
    }
    // SAFETY: QEMU gave this id, and the callbacks live as long as the library is loaded.
    unsafe {
        api::qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
        api::qemu_plugin_register_atexit_cb(id, machine_exits, std::ptr::null_mut());
    }
    0
}

/// QEMU has translated a block and asks what to watch in it.
extern "C" fn block_translated(_id: PluginId, block: *mut Block) {
    let Some(counters) = COUNTERS.get() else { return };
    // SAFETY: QEMU calls with a valid block.
    let (address, instructions) = unsafe { read_block(block) };
    let counted = counters.add(address, instructions);
    let userdata = std::ptr::from_ref(counted).cast_mut().cast::<c_void>();
    // SAFETY: `block` is valid during this call, and `counted` is never freed.
    unsafe {
        api::qemu_plugin_register_vcpu_tb_exec_cb(block, block_executes, api::NO_REGISTERS, userdata);
    }
}

/// A block is about to run.
extern "C" fn block_executes(_vcpu: c_uint, userdata: *mut c_void) {
    // SAFETY: `block_translated` registered a `&'static CountedBlock` as userdata.
    let block: &'static CountedBlock = unsafe { &*userdata.cast() };
    block.executes();
}

extern "C" fn machine_exits(_id: PluginId, _userdata: *mut c_void) {
    let Some(counters) = COUNTERS.get() else { return };
    if let Err(error) = counters.write() {
        eprintln!("nervelet-qemu-plugin: can't write the profile: {error}");
    }
}

/// # Safety
/// `block` must be valid.
unsafe fn read_block(block: *const Block) -> (u64, Vec<Instruction>) {
    // SAFETY: the block is valid, hence its instructions too, and indices are below its count.
    unsafe {
        let instructions = (0..api::qemu_plugin_tb_n_insns(block)).map(|i| {
            let instruction = api::qemu_plugin_tb_get_insn(block, i);
            Instruction { size: api::qemu_plugin_insn_size(instruction) as u64, text: disassemble(instruction) }
        });
        (api::qemu_plugin_tb_vaddr(block), instructions.collect())
    }
}

/// # Safety
/// `instruction` must be valid.
unsafe fn disassemble(instruction: *const api::Instruction) -> CString {
    // SAFETY: QEMU returns a fresh string that ends in a zero, or null; it is copied, then freed once.
    unsafe {
        let text = api::qemu_plugin_insn_disas(instruction);
        if text.is_null() {
            return CString::default();
        }
        let copy = CStr::from_ptr(text).to_owned();
        api::free(text.cast());
        copy
    }
}
