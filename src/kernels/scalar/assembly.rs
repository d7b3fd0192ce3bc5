//! The assembly routines and what they are given.

use core::arch::global_asm;

use super::super::wide::{Channels, Kernels, Pixels};

// Assembly of a whole module forgets the processor in link-time optimisation.
#[cfg(nervelet_armv7m)]
global_asm!(
    ".syntax unified",
    env!("NERVELET_ASSEMBLER"),
    include_str!("armv7m/requantize.s"),
    include_str!("armv7m/join.s"),
    include_str!("armv7m/matrix.s"),
    include_str!("armv7m/dense.s"),
    include_str!("armv7m/direct.s"),
    include_str!("armv7m/depthwise.s"),
    include_str!("armv7m/add.s"),
    include_str!("armv7m/pooling.s"),
    include_str!("armv7m/stream.s"),
    include_str!("armv7m/rows.s"),
    include_str!("armv7m/wide.s"),
    include_str!("armv7m/channels.s"),
    ".text",
    options(raw)
);
#[cfg(nervelet_armv6m)]
global_asm!(
    ".syntax unified",
    env!("NERVELET_ASSEMBLER"),
    include_str!("armv6m/requantize.s"),
    include_str!("armv6m/join.s"),
    include_str!("armv6m/matrix.s"),
    include_str!("armv6m/dense.s"),
    include_str!("armv6m/direct.s"),
    include_str!("armv6m/depthwise.s"),
    include_str!("armv6m/add.s"),
    include_str!("armv6m/pooling.s"),
    include_str!("armv6m/stream.s"),
    include_str!("armv6m/rows.s"),
    include_str!("armv6m/wide.s"),
    include_str!("armv6m/channels.s"),
    ".text",
    options(raw)
);

/// Units that a kernel unrolls.
pub struct Unrolled {
    /// Of four weights that are a chunk.
    pub fours: usize,
    /// Of two chunks of two weights.
    pub twos: usize,
}

#[cfg(nervelet_armv7m)]
pub const MATRIX: Unrolled = Unrolled { fours: 8, twos: 4 };
#[cfg(nervelet_armv7m)]
pub const DENSE: Unrolled = Unrolled { fours: 8, twos: 8 };
#[cfg(nervelet_armv6m)]
pub const MATRIX: Unrolled = Unrolled { fours: 4, twos: 2 };
#[cfg(nervelet_armv6m)]
pub const DENSE: Unrolled = Unrolled { fours: 4, twos: 4 };
/// Taps that the depthwise kernel unrolls.
pub const TAPS: usize = 9;

/// Where chunks of `depth` weights enter a kernel and what their sums start with.
pub struct Entry {
    pub skip: [usize; 2],
    pub start: [u32; 2],
}

impl Unrolled {
    pub fn entry(&self, depth: usize) -> Entry {
        let units = depth / 4;
        let start = (units as u32).wrapping_mul(32_768);
        Entry {
            skip: [units.wrapping_neg() % self.fours, units.wrapping_neg() % self.twos],
            start: [start, start.wrapping_mul(2)],
        }
    }
}

/// What the matrix kernel is given; see `matrix.s`.
#[repr(C)]
pub struct Matrix {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub inputs: *const u32,
    pub output: *mut i8,
    pub stride: usize,
    pub zero_point: i32,
    pub weights: usize,
    pub skip: [usize; 2],
    pub start: [u32; 2],
    pub unused: u32,
}

/// What the depthwise kernel is given; see `depthwise.s`.
#[repr(C)]
pub struct Depthwise {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub table: *const u32,
    pub table_end: *const u32,
    pub input: *const i8,
    pub output: *mut i8,
    pub stride: usize,
    pub zero_point: i32,
    pub skip: usize,
    pub padding: usize,
    pub unused: u32,
}

/// What the dense kernel is given; see `dense.s`.
#[repr(C)]
pub struct Dense {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub inputs: *const u32,
    pub start: u32,
    pub inputs_end: *const u32,
    pub offset: usize,
    pub behind: usize,
    pub output: *mut i8,
    pub zero_point: i32,
    /// Where sums come from and where they go, if they are not those of a whole layer.
    pub sums: [*mut u32; 2],
    /// The bytes of a record that begins one channel earlier, if there is one.
    pub odd: usize,
    pub skip: [usize; 2],
}

/// What the dense kernels for inputs as they are are given; see `direct.s`.
#[repr(C)]
pub struct Direct {
    pub stream: *const u32,
    pub inputs: *const i8,
    pub count: usize,
    /// Where the codes of the last record go.
    pub last_output: *mut i8,
    /// The bytes behind a channel's weights.
    pub behind: usize,
    pub zero_point: i32,
    /// The bytes of a channel's weights with those behind.
    pub row: usize,
    pub output: *mut i8,
}

/// What the sum is given; see `add.s`.
#[repr(C)]
pub struct Add {
    pub scaled: *const i8,
    pub exact: *const i8,
    pub output: *mut i8,
    pub scaled_factor: i32,
    pub scaled_offset: i32,
    pub scaled_mantissa: i32,
    pub scaled_right: i32,
    pub exact_factor: i32,
    pub exact_offset: i32,
    pub mantissa: i32,
    pub right: i32,
    pub zero_point: i32,
    pub output_end: *mut i8,
}

/// What the product is given; see `add.s`.
#[repr(C)]
pub struct Mul {
    pub a: *const i8,
    pub b: *const i8,
    pub output: *mut i8,
    pub elements: usize,
    pub zero_points: [i32; 2],
    pub mantissa: i32,
    pub right: i32,
    pub zero_point: i32,
}

/// What the largest of a window is given; see `pooling.s`.
#[repr(C)]
pub struct MaxPool {
    pub codes: *const i8,
    pub output: *mut i8,
    pub channels: usize,
    pub columns: usize,
    pub rows: usize,
    pub step: usize,
    pub advance: usize,
}

/// What the products of rows are given; see `rows.s`.
#[repr(C)]
pub struct Rows {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub inputs: *const i16,
    pub inputs_end: *const i16,
    pub results: *mut i32,
    pub skip: usize,
}

/// The doubling of what is scaled: with long multiplications it comes doubled.
#[cfg(nervelet_armv7m)]
pub const DOUBLING: u32 = 1;
#[cfg(nervelet_armv6m)]
pub const DOUBLING: u32 = 0;

/// The kernels for int16 layers; see `wide.s` and `channels.s`.
pub const WIDE: Kernels =
    Kernels { pixels: nervelet_wide_pixels, lanes: 1, taps: nervelet_wide_taps, dense: nervelet_wide_dense };

unsafe extern "C" {
    /// Computes all channels of four pixels of int16.
    fn nervelet_wide_pixels(frame: *mut Pixels);
    /// Computes fours of channels of one pixel.
    fn nervelet_wide_taps(frame: *mut Channels);
    /// The same with one row of inputs for all.
    fn nervelet_wide_dense(frame: *mut Channels);
    /// Computes the results of all groups of rows.
    pub fn nervelet_rows(frame: *const Rows);
    /// Computes the largest codes of a window.
    pub fn nervelet_max_pool(frame: *const MaxPool);
    /// Multiplies two tensors.
    pub fn nervelet_mul(frame: *const Mul);
    /// Adds two tensors.
    pub fn nervelet_add(frame: *const Add);
    /// The same of int16 codes.
    pub fn nervelet_add_wide(frame: *const Add);
    /// Joins four windows of `rows` rows of `4 * units` codes, `advance` bytes apart, to `8 * units` words a row.
    pub fn nervelet_join(sources: *const [*const i8; 4], target: *mut u32, units: usize, rows: usize, advance: usize);
    /// Computes all records for a block of four pixels.
    pub fn nervelet_matrix(frame: *const Matrix);
    /// Computes all records for a block of four pixels.
    pub fn nervelet_depthwise(frame: *const Depthwise);
    /// Computes some records for some inputs of one pixel.
    pub fn nervelet_dense(frame: *const Dense);
    /// Computes all records of three channels.
    pub fn nervelet_dense_triples(frame: *mut Direct);
    /// Computes all records of one channel.
    pub fn nervelet_dense_singles(frame: *mut Direct);
    /// Makes the inputs of the dense kernel.
    pub fn nervelet_dense_widen(codes: *const i8, count: usize, target: *mut u32);
}
