//! The assembly routines for int16 layers and what they are given. Their text is among that of the core's.

/// The function that the kernels call where 32 bits are too few: a sum times a mantissa and an exponent.
pub type Exact = extern "C" fn(sum: i64, mantissa: i32, exponent: i32) -> i32;

/// The range of codes: its bounds, twice each, and whether it is less than int16.
#[repr(C)]
pub struct WideRange {
    pub low: u32,
    pub high: u32,
    pub ranged: u32,
}

/// Four neighbouring pixels: the first tap of the first, and its first output.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WideBlock {
    pub pixel: *const i16,
    pub output: *mut i16,
}

/// What a channel of blocks is given; see `blocks.s`. Steps are in bytes.
#[repr(C)]
pub struct WideBlocks {
    pub start: [i64; 4],
    pub factor: i32,
    pub mantissa: i32,
    pub exponent: i32,
    pub exact: Exact,
    pub weights: *const i8,
    pub rows: usize,
    pub pairs: usize,
    pub advance: usize,
    pub skip: usize,
    pub blocks: *const WideBlock,
    pub blocks_end: *const WideBlock,
    pub stride: usize,
    pub three_strides: usize,
    pub channel: usize,
    pub output_stride: usize,
    pub range: WideRange,
    pub entry: usize,
    pub after: usize,
}

/// What the channels of a window are given; see `window.s`. Steps are in bytes.
#[repr(C)]
pub struct WideWindow {
    pub bias: *const i64,
    pub mask: usize,
    pub mantissas: *const i32,
    pub exponents: *const i8,
    pub weights: *const i8,
    pub filter: usize,
    pub inputs: *const i16,
    pub rows: usize,
    pub units: usize,
    pub rest: usize,
    pub advance: usize,
    pub skip: usize,
    pub output: *mut i16,
    pub last: usize,
    pub range: WideRange,
    pub exact: Exact,
    pub entry: usize,
}

/// What four channels of a line of pixels are given; see `line.s`. Steps are in bytes.
#[repr(C)]
pub struct WideLine {
    pub start: [i32; 4],
    pub factors: [i32; 4],
    pub exact: Option<Exact>,
    pub bias: *const i64,
    pub mantissas: *const i32,
    pub exponents: *const i8,
    pub inputs: *const i16,
    pub weights: *const i8,
    pub columns: usize,
    pub rows: usize,
    pub input_step: usize,
    pub weight_step: usize,
    pub input_advance: usize,
    pub weight_advance: usize,
    pub pixel_step: usize,
    pub pixels: usize,
    pub output: *mut i16,
    pub output_step: usize,
    pub range: WideRange,
}

unsafe extern "C" {
    /// One output channel of blocks of four pixels.
    pub fn nervelet_wide_blocks(frame: *const WideBlocks);
    /// The same with weights of 16 bits.
    pub fn nervelet_wide_blocks_ready(frame: *const WideBlocks);
    /// Makes weights of 16 bits.
    pub fn nervelet_wide_ready(weights: *const i8, count: usize, target: *mut i16);
    /// All output channels of one window.
    pub fn nervelet_wide_window(frame: *const WideWindow);
    /// The same with inputs in the order of `nervelet_wide_order`.
    pub fn nervelet_wide_window_ordered(frame: *const WideWindow);
    /// Puts the inputs of each four into the order 0 2 1 3.
    pub fn nervelet_wide_order(inputs: *const i16, count: usize, target: *mut i16);
    /// Four channels of a line of pixels, each with weights of its own.
    pub fn nervelet_wide_line(frame: *const WideLine);
}
