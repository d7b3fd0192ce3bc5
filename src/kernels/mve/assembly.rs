//! The assembly routines and what they are given.

use core::arch::global_asm;

use super::super::wide::{Channels, Kernels, Pixels};

global_asm!(
    ".syntax unified",
    env!("NERVELET_ASSEMBLER"),
    include_str!("section.s"),
    include_str!("matrix.s"),
    include_str!("dense.s"),
    include_str!("planes.s"),
    include_str!("lanes.s"),
    include_str!("add.s"),
    include_str!("pooling.s"),
    include_str!("copy.s"),
    include_str!("stream.s"),
    include_str!("attention.s"),
    include_str!("taps.s"),
    include_str!("rows.s"),
    include_str!("wide.s"),
    include_str!("channels.s"),
    ".text",
    options(raw)
);

/// What the matrix kernels are given; see `matrix.s`.
#[repr(C)]
pub struct Matrix {
    pub pixels: [*const i8; 4],
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub output: *mut i8,
    /// Vectors of a pass; behind the first for the short kernel.
    pub vectors: usize,
    /// From the end of one pass to the next, and from the end of the last to the first; unused by the short kernel.
    pub advance: usize,
    pub back: usize,
    pub any_shift: u32,
    pub zero_point: i32,
    pub blocks: usize,
    pub step: usize,
    pub output_step: usize,
    pub weights_bytes: usize,
    pub distances: [u16; 8],
}

/// What the dense kernel is given; see `dense.s`.
#[repr(C)]
pub struct Dense {
    pub input: *const i8,
    pub stream: *const u32,
    pub output: *mut i8,
    pub last_output: *mut i8,
    pub records_before_last: usize,
    pub skipped: usize,
    pub rounds: usize,
    pub zero_point: i32,
}

/// What the dense kernel of few outputs is given; see `dense.s`.
#[repr(C)]
pub struct DenseRows {
    pub input: *const i8,
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub output: *mut i8,
    pub count: usize,
    pub zero_point: i32,
}

/// What the depthwise kernels are given; see `planes.s`.
#[repr(C)]
pub struct Planes {
    pub plane: *const i8,
    pub stream: *const u32,
    pub output: *mut i8,
    pub channels: usize,
    pub blocks_before_last: usize,
    pub output_step: usize,
    pub last_plane: usize,
    pub last_output: usize,
    pub plane_step: usize,
    pub zero_point: i32,
    pub mask: u32,
    pub distances: [u16; 8],
}

/// How pixels are spread over planes; see `planes.s`.
#[repr(C)]
pub struct Spread {
    pub source: *const i8,
    pub target: *mut i8,
    pub source_step: usize,
    pub target_step: usize,
    pub pixels: usize,
    pub rows: usize,
    pub source_row: usize,
    pub target_row: usize,
    pub channels: usize,
    pub planes: [u16; 8],
}

/// What the depthwise kernel of any window is given; see `lanes.s`. It moves on from record to record.
#[repr(C)]
pub struct Lanes {
    pub input: *const i8,
    pub output: *mut i8,
    pub weights: *const u32,
    pub scales: *const u32,
    pub records_before_last: usize,
    /// Channels from the record before the last to the last.
    pub last_step: usize,
    pub record_bytes: usize,
    pub pixels: usize,
    pub pixel_step: usize,
    pub channels: usize,
    pub rows: usize,
    pub columns: usize,
    /// From tap to tap, and from behind a row of taps to the next.
    pub step: usize,
    pub advance: usize,
    /// Bytes of weights before the first tap, and from row to row.
    pub first_weights: usize,
    pub skipped_weights: usize,
    pub mask: u32,
    pub zero_point: i32,
    pub input_zero_point: i32,
    /// Gaps in the taps that lie outside the image, and the taps of the first, of those between rows, of the last.
    pub skips: usize,
    pub skipped: [usize; 3],
}

/// What the kernel for sums is given; see `add.s`.
#[repr(C)]
pub struct Add {
    pub scaled: *const i8,
    pub exact: *const i8,
    pub output: *mut i8,
    pub exact_offset: i32,
    pub scaled_offset: i32,
    pub mantissa: i32,
    pub exponent: i32,
    pub shifts: i32,
    pub sum_mantissa: i32,
    pub sum_exponent: i32,
    pub sum_shifts: i32,
    pub zero_point: i32,
    pub elements: usize,
}

/// What a row adds up to; see `stream.s`.
#[repr(C)]
#[derive(Default)]
pub struct Moments {
    pub sum: i32,
    pub squares: [u32; 2],
}

/// What a normalisation is given; see `stream.s`.
#[repr(C)]
pub struct Normalize {
    pub x: *const i16,
    pub gamma: *const i16,
    pub beta: *const i32,
    pub output: *mut i16,
    pub factor: i32,
    pub offset: i32,
    pub root: u32,
    pub high_shift: i32,
    pub shift: i32,
    pub count: usize,
}

/// What a change of scale is given; see `stream.s`.
#[repr(C)]
pub struct Rescale {
    pub x: *const u8,
    pub output: *mut u8,
    pub offset: i32,
    pub left: i32,
    pub mantissa: i32,
    pub right: i32,
    pub shifts: i32,
    pub zero_point: i32,
    pub count: usize,
}

/// What the kernel for products is given; see `add.s`.
#[repr(C)]
pub struct Mul {
    pub a: *const i8,
    pub b: *const i8,
    pub output: *mut i8,
    pub zero_points: [i32; 2],
    pub mantissa: i32,
    pub exponent: i32,
    pub shifts: i32,
    pub zero_point: i32,
    pub elements: usize,
}

/// What pooling is given; see `pooling.s`.
#[repr(C)]
pub struct Pool {
    pub codes: *const i8,
    pub output: *mut i8,
    pub channels: usize,
    pub columns: usize,
    pub rows: usize,
    pub step: usize,
    pub advance: usize,
    pub half: usize,
    pub reciprocal: usize,
    pub low: i32,
    pub high: i32,
    pub pixels: usize,
    pub pixel_step: usize,
}

/// What scores are given; see `attention.s`.
#[repr(C)]
pub struct Scores {
    pub keys: *const u32,
    pub keys_end: *const u32,
    pub queries: *const u32,
    pub vectors: usize,
    pub row: *mut i32,
    pub shift: u32,
    pub largest: [i32; 2],
}

/// What powers are given; see `attention.s`.
#[repr(C)]
pub struct Powers {
    pub row: *mut i32,
    pub table: *const u16,
    pub largest: i32,
    pub shift: i32,
    pub count: usize,
    pub mantissa: [u32; 4],
}

/// What sums of values are given; see `attention.s`.
#[repr(C)]
pub struct Context {
    pub probabilities: *const i32,
    pub pairs: usize,
    pub values: *const u32,
    pub mantissa: u32,
    pub shift: i32,
    pub zero_point: i32,
    pub results: *mut [i32; 8],
}

/// What a depthwise window of row-major weights is given; see `taps.s`.
#[repr(C)]
pub struct Taps {
    pub input: *const i8,
    pub weights: *const i8,
    pub rows: usize,
    pub columns: usize,
    pub steps: [usize; 2],
    pub advances: [usize; 2],
    pub input_offset: i32,
    pub channels: usize,
    pub bias: *const i32,
    pub mantissas: *const i32,
    pub exponents: *const i8,
    pub output: *mut i8,
    pub zero_point: i32,
}

/// What the products of rows are given; see `rows.s`.
#[repr(C)]
pub struct Rows {
    pub stream: *const u32,
    pub stream_end: *const u32,
    pub results: *mut i32,
    pub inputs: *const i16,
    pub vectors: usize,
    pub half: usize,
}

/// The kernels for int16 layers; see `wide.s` and `channels.s`.
pub const WIDE: Kernels = Kernels {
    pixels: nervelet_mve_wide_pixels,
    lanes: 8,
    taps: nervelet_mve_wide_taps,
    dense: nervelet_mve_wide_dense,
};

unsafe extern "C" {
    fn nervelet_mve_wide_pixels(frame: *mut Pixels);
    fn nervelet_mve_wide_taps(frame: *mut Channels);
    fn nervelet_mve_wide_dense(frame: *mut Channels);
    pub fn nervelet_mve_matrix_short(frame: *const Matrix);
    /// Computes all channels of one pixel, one by one.
    pub fn nervelet_mve_dense_rows(frame: *const DenseRows);
    pub fn nervelet_mve_matrix_long(frame: *const Matrix);
    pub fn nervelet_mve_dense(frame: *const Dense);
    pub fn nervelet_mve_planes(frame: *const Planes);
    pub fn nervelet_mve_planes_2(frame: *const Planes);
    pub fn nervelet_mve_columns(frame: *const Planes);
    pub fn nervelet_mve_lanes(frame: *mut Lanes);
    pub fn nervelet_mve_spread(frame: *const Spread);
    /// For fewer than eight channels.
    pub fn nervelet_mve_spread_few(frame: *const Spread);
    pub fn nervelet_mve_scores(frame: *mut Scores);
    pub fn nervelet_mve_powers(frame: *const Powers) -> u32;
    pub fn nervelet_mve_context(frame: *const Context);
    pub fn nervelet_mve_taps(frame: *mut Taps);
    pub fn nervelet_mve_dot(input: *const i8, weights: *const i8, count: usize, input_offset: i32) -> i32;
    pub fn nervelet_mve_rows(frame: *const Rows);
    pub fn nervelet_mve_add(frame: *const Add);
    pub fn nervelet_mve_add_wide(frame: *const Add);
    pub fn nervelet_mve_moments(codes: *const i16, count: usize, moments: *mut Moments);
    pub fn nervelet_mve_normalize(frame: *const Normalize);
    pub fn nervelet_mve_interpolate(codes: *const i16, table: *const i16, output: *mut i16, count: usize);
    pub fn nervelet_mve_narrow(frame: *const Rescale);
    pub fn nervelet_mve_widen(frame: *const Rescale);
    pub fn nervelet_mve_max_pool(frame: *const Pool);
    pub fn nervelet_mve_average_pool(frame: *const Pool);
    pub fn nervelet_mve_mul(frame: *const Mul);
    fn nervelet_mve_copy(
        target: *mut i8,
        source: *const i8,
        bytes: usize,
        rows: usize,
        target_step: usize,
        source_step: usize,
    );
    fn nervelet_mve_fill(target: *mut i8, bytes: usize, value: i32);
    fn nervelet_mve_clamp(target: *mut i8, bytes: usize, low: i32, high: i32);
}

/// Copies the bytes of one slice to the start of another, unless it is shorter.
pub fn copy(target: &mut [i8], source: &[i8]) {
    if !source.is_empty() && source.len() <= target.len() {
        // SAFETY: reads all of `source`, once, and writes as many bytes of `target`, which has them.
        unsafe { nervelet_mve_copy(target.as_mut_ptr(), source.as_ptr(), source.len(), 1, 0, 0) };
    }
}

/// Copies `rows` rows of `bytes` bytes whose starts are `steps` apart in target and source; `None` where there is no room.
pub fn copy_rows(target: &mut [i8], source: &[i8], bytes: usize, rows: usize, steps: [usize; 2]) -> Option<()> {
    let before_last = rows.checked_sub(1)?;
    let [target_step, source_step] = steps;
    let end = |step: usize| before_last.checked_mul(step)?.checked_add(bytes);
    if bytes == 0 || end(target_step)? > target.len() || end(source_step)? > source.len() {
        return None;
    }
    // SAFETY: the last row ends inside both slices, as checked above.
    unsafe { nervelet_mve_copy(target.as_mut_ptr(), source.as_ptr(), bytes, rows, target_step, source_step) };
    Some(())
}

/// Sets all bytes.
pub fn fill(target: &mut [i8], value: i8) {
    // SAFETY: writes the bytes of `target`.
    unsafe { nervelet_mve_fill(target.as_mut_ptr(), target.len(), value.into()) };
}

/// Brings codes into a range of int8 codes, unless it is all of them.
pub fn clamp(codes: &mut [i8], range: [i32; 2]) {
    let [low, high] = range;
    if range != [-128, 127] {
        // SAFETY: reads and writes the bytes of `codes`.
        unsafe { nervelet_mve_clamp(codes.as_mut_ptr(), codes.len(), low, high) };
    }
}
