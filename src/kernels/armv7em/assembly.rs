//! The assembly routines and what they are given.

use core::arch::global_asm;

use super::super::PackedLayer;

// Assembly of a whole module forgets the processor in link-time optimisation; the baseline of Armv8-M has no DSP.
#[cfg(nervelet_armv8m)]
global_asm!(".cpu cortex-m33");

global_asm!(
    ".syntax unified",
    env!("NERVELET_ASSEMBLER"),
    include_str!("requantize.s"),
    include_str!("widen.s"),
    include_str!("matrix.s"),
    include_str!("dense.s"),
    include_str!("wide_dense.s"),
    include_str!("depthwise.s"),
    include_str!("columns.s"),
    include_str!("pooling.s"),
    include_str!("add.s"),
    include_str!("wide/blocks.s"),
    include_str!("wide/window.s"),
    include_str!("wide/line.s"),
    include_str!("rows.s"),
    include_str!("attention.s"),
    include_str!("stream.s"),
    ".text",
    options(raw)
);

/// How sums become codes, for any kernel.
#[derive(Clone, Copy)]
pub struct Finish {
    /// 0: a relu with zero point -128; 1: the full range with any zero point; 2: any range.
    pub tail: u32,
    /// The bounds of the range, four times each.
    pub bounds: [u32; 2],
}

impl Finish {
    /// The cheapest way that gives the reference's codes.
    #[inline]
    pub fn of(layer: &PackedLayer<'_>) -> Self {
        let tail = if layer.range == [-128, 127] { u32::from(layer.output_zero_point != -128) } else { 2 };
        Self { tail, bounds: bounds(layer.range) }
    }
}

/// A code four times.
pub fn four_times(code: i32) -> u32 {
    u32::from(code as u8).wrapping_mul(0x0101_0101)
}

/// The bounds of a range, four times each.
pub fn bounds([low, high]: [i32; 2]) -> [u32; 2] {
    [four_times(low), four_times(high)]
}

/// The offset of the inputs in both halves of a word: it fits them for every zero point among int8 codes.
pub fn offsets(layer: &PackedLayer<'_>) -> u32 {
    u32::from(layer.input_offset as u16).wrapping_mul(0x0001_0001)
}

/// What widening is given; see `widen.s`.
#[repr(C)]
pub struct Widen {
    pub sources: [*const i8; 4],
    pub target: *mut u32,
    pub factor: u32,
    pub row_bytes: usize,
    pub rows: usize,
    pub advance: usize,
    pub blocks: usize,
    pub block_advance: usize,
    pub place: usize,
    pub place_step: usize,
    pub entry: usize,
}

/// What the matrix kernel is given; see `matrix.s`.
#[repr(C)]
pub struct Matrix {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub pixels: *mut u32,
    pub pixels_end: *mut u32,
    pub stride: usize,
    pub entry: usize,
    pub tail: u32,
    /// Where records are sign-extended and where their weights end there, if they are.
    pub record: *mut u32,
    pub weights_end: *const u32,
    /// The bytes of a record's weights, if they are not.
    pub bytes: usize,
    pub bounds: [u32; 2],
}

/// What the dense kernel is given; see `dense.s`.
#[repr(C)]
pub struct Dense {
    pub stream: *const u32,
    pub output: *mut i8,
    pub outputs: usize,
    pub inputs: *const u32,
    pub quads: usize,
    /// 0 for a zero point of -128.
    pub any_zero_point: i32,
}

/// What the dense kernels for wide weights are given; see `wide_dense.s`.
#[repr(C)]
pub struct WideDense {
    pub stream: *const u32,
    pub inputs: *const i8,
    pub words: usize,
    /// How many inputs are missing to a whole last word; 0 where there are no more than `words`.
    pub missing: usize,
    pub records: usize,
    /// How many channels the last record has in common with the one before.
    pub shared: usize,
    pub output: *mut i8,
}

/// What the depthwise kernel is given; see `depthwise.s`.
#[repr(C)]
pub struct Depthwise {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub table: *const u32,
    pub table_end: *const u32,
    pub pixel: *const i8,
    pub pixel_step: usize,
    pub output: *mut i8,
    pub output_skip: usize,
    pub pixels: usize,
    pub entry: usize,
    pub tail: u32,
    pub offsets: u32,
    pub bounds: [u32; 2],
}

/// What packing columns is given; see `columns.s`.
#[repr(C)]
pub struct Pack {
    pub source: *const i8,
    pub target: *mut u32,
    pub channels: usize,
    pub columns: usize,
    pub pairs: usize,
    pub row: usize,
    pub plane: usize,
    pub offsets: u32,
    pub zeros: u32,
    pub top: usize,
    pub bottom: usize,
}

/// What the kernel of columns is given; see `columns.s`.
#[repr(C)]
pub struct Columns {
    pub stream: *const u32,
    pub plane: *const u32,
    pub output: *mut i8,
    pub plane_step: usize,
    pub channels: usize,
    pub row: usize,
    pub steps: usize,
    pub rest: usize,
    pub columns: usize,
    pub tail: u32,
    pub bounds: [u32; 2],
}

/// What pooling one pixel is given; see `pooling.s`.
#[repr(C)]
pub struct Pool {
    pub source: *const i8,
    pub columns: usize,
    pub rows: usize,
    pub step: usize,
    pub advance: usize,
    pub taps: usize,
    pub half: usize,
    pub bounds: [u32; 2],
    pub output: *mut i8,
    pub last: usize,
}

/// What the sum is given; see `add.s`.
#[repr(C)]
pub struct Add {
    pub scaled: *const u8,
    pub exact: *const u8,
    pub output: *mut u8,
    pub scaled_factor: i32,
    pub scaled_offset: i32,
    pub scaled_mantissa: i32,
    pub scaled_right: i32,
    pub exact_factor: i32,
    pub exact_offset: i32,
    pub mantissa: i32,
    pub right: i32,
    pub zero_point: i32,
    pub output_end: *mut u8,
}

/// What the products of rows are given; see `rows.s`.
#[repr(C)]
pub struct Rows {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub inputs: *const i16,
    pub inputs_end: *const i16,
    pub results: *mut i32,
    pub entry: usize,
}

/// What the product is given; see `add.s`.
#[repr(C)]
pub struct Mul {
    pub a: *const i8,
    pub b: *const i8,
    pub output: *mut i8,
    pub zero_point_a: i32,
    pub zero_point_b: i32,
    pub scaling: [u32; 3],
    pub output_end: *mut i8,
}

/// What the scores of two queries are given; see `attention.s`.
#[repr(C)]
pub struct Scores {
    pub keys: *const u32,
    pub keys_end: *const u32,
    pub queries: *const u32,
    pub queries_end: *const u32,
    pub row: *mut i32,
    pub right: u32,
    pub left: u32,
    pub half: u32,
    pub largest: [i32; 2],
    pub entry: usize,
}

/// What the powers of one query are given; see `attention.s`.
#[repr(C)]
pub struct Powers {
    pub row: *mut i32,
    pub end: *mut i32,
    pub largest: i32,
    pub mantissa: u32,
    pub half: u32,
    pub shift: u32,
    pub table: *const u16,
}

/// What four columns of two queries are given; see `attention.s`.
#[repr(C)]
pub struct Context {
    pub probabilities: *const i32,
    pub end: *const i32,
    pub values: *const u32,
    pub mantissa: u32,
    pub half: u32,
    pub right: u32,
    pub zero_point: i32,
    pub results: *mut i32,
    pub entry: usize,
}

unsafe extern "C" {
    /// The sum of two tensors of int16.
    pub fn nervelet_add_wide(frame: *const Add);
    /// Scores of two queries with all keys.
    pub fn nervelet_scores(frame: *mut Scores);
    /// Powers of one query's scores and their sum.
    pub fn nervelet_powers(frame: *const Powers) -> u32;
    /// Powers of two queries over their sums.
    pub fn nervelet_probabilities(row: *mut i32, end: *mut i32, sums: *const [u32; 2]);
    /// Four columns of two queries.
    pub fn nervelet_context(frame: *const Context);
    /// Computes all groups of rows.
    pub fn nervelet_rows(frame: *const Rows);
    /// Adds two tensors.
    pub fn nervelet_add(frame: *const Add);
    /// Multiplies two tensors.
    pub fn nervelet_mul(frame: *const Mul);
    /// Packs columns of four channels.
    pub fn nervelet_columns_pack(frame: *mut Pack);
    /// Makes two columns of each plane, `from` bytes behind the first, the first two.
    pub fn nervelet_columns_move(planes: *mut u32, from: usize, plane: usize);
    /// Computes four channels of some columns.
    pub fn nervelet_columns_run(frame: *const Columns);
    /// Widens blocks of four windows.
    pub fn nervelet_widen(frame: *const Widen);
    /// The same for weights of a byte each.
    pub fn nervelet_widen_plain(frame: *const Widen);
    /// The rounded means of one pixel's channels.
    pub fn nervelet_pool_mean(frame: *const Pool);
    /// The largest codes of one pixel's channels.
    pub fn nervelet_pool_max(frame: *const Pool);
    /// Computes all records for some blocks of pixels.
    pub fn nervelet_matrix(frame: *const Matrix);
    /// The same for weights of a byte each.
    pub fn nervelet_matrix_plain(frame: *const Matrix);
    /// Computes all records for one pixel.
    pub fn nervelet_dense(frame: *const Dense);
    /// Computes records of one channel from weights of 16 bits.
    pub fn nervelet_wide_dense_1(frame: *const WideDense);
    /// The same for two channels.
    pub fn nervelet_wide_dense_2(frame: *const WideDense);
    /// The same for three channels.
    pub fn nervelet_wide_dense_3(frame: *const WideDense);
    /// The same for four channels.
    pub fn nervelet_wide_dense_4(frame: *const WideDense);
    /// Makes the inputs of the dense kernel.
    pub fn nervelet_spread(codes: *const i8, count: usize, target: *mut u32);
    /// Computes all records for a run of pixels.
    pub fn nervelet_depthwise(frame: *const Depthwise);
}
