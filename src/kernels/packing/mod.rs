//! Weights laid out for a core's kernels: where each number lies, so that hosts write it and any kernel can read it.
//!
//! A packed layer is one stream of 32-bit words in the order in which a kernel consumes it: a record for each group of
//! output channels with their biases, weights and scales. Where the channels don't fill the last record, it overlaps
//! the one before: channels are computed twice rather than in a kernel of their own.
//!
//! Unless a layout has scales of its own, they are mantissas and right shifts, and packed layers keep the bound
//! `|sum| << left shift < 2^30`, which [`PackedLayer::verify`] proves from the depth, the biases and the shifts alone.
//! Doubling a sum is then exact, and `round(2 * sum * mantissa / 2^32)`, one instruction of many cores, equals the
//! doubling high product of the reference.
//!
//! Each core's layouts are a module. A build for a core knows those of the core alone; a
//! build for any other machine, such as a host, knows all.

#[cfg(any(nervelet_armv7em, nervelet_any_core))]
pub mod armv7em;
#[cfg(any(nervelet_mve, nervelet_any_core))]
pub mod mve;
#[cfg(any(nervelet_armv7m, nervelet_armv6m, nervelet_any_core))]
pub mod scalar;

use super::Window;
use crate::fixed::Multiplier;

/// The number that a file names for cores with the Armv7E-M DSP instructions: Cortex-M4, M7, M33.
pub const ARMV7EM: u16 = 1;
/// The number for Armv7-M without these: Cortex-M3.
pub const ARMV7M: u16 = 2;
/// The number for Armv6-M: Cortex-M0, M0+.
pub const ARMV6M: u16 = 3;
/// The number for cores with the vector instructions of Armv8.1-M: Cortex-M55, M85.
pub const MVE: u16 = 4;

/// Whether this build runs files whose packings need a core. A host runs all of them, through the reference.
pub const fn runs(core: u16) -> bool {
    let host = cfg!(not(target_os = "none"));
    match core {
        0 => true,
        ARMV7EM => host || cfg!(nervelet_armv7em),
        ARMV7M => host || cfg!(nervelet_armv7m),
        ARMV6M => host || cfg!(nervelet_armv6m),
        MVE => host || cfg!(nervelet_mve),
        _ => false,
    }
}

/// What computes a packed layer. Each form is an operator of its own: a firmware links the kernels of those that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A convolution, or a dense layer.
    Convolution,
    /// A convolution of fewer than four output pixels, or a dense layer.
    Pixels,
    /// A convolution whose sums are as large as they may be.
    PlainConvolution,
    /// A convolution with a filter for each channel.
    Depthwise,
    /// The same, down the columns of an image.
    DepthwiseColumns,
    /// A dense layer that takes its inputs as they are, without scratch memory.
    DirectDense,
}

impl Window {
    /// Whether every output pixel comes from the input pixel at its place.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1; 2] && self.stride == [1; 2] && self.padding == [0; 2] && self.input == self.output
    }
}

impl Form {
    /// Whether every channel has a filter of its own.
    pub const fn is_depthwise(self) -> bool {
        matches!(self, Form::Depthwise | Form::DepthwiseColumns)
    }
}

/// What a layout says of its records; every core's layouts implement it.
pub trait Records: Copy {
    /// The layout of a number below 128; numbers are unique among all cores.
    fn from_number(number: u8) -> Option<Self>;

    /// The number of the layout, at least 1.
    fn number(self) -> u8;

    /// What computes it.
    fn form(self) -> Form;

    /// Whether the layout's kernel computes a window.
    fn computes(self, window: &Window) -> bool;

    /// Output channels of one record.
    fn lanes(self) -> usize;

    /// The scratch words with which codes can take the place of a layer's inputs; `None` where they can't.
    fn in_place_words(self, _window: &Window, _channels: [usize; 2]) -> Option<usize> {
        None
    }

    /// Whether a layout holds so many channels: as a rule the last record may overlap the one before.
    fn holds(self, channels: usize) -> bool {
        channels >= self.lanes()
    }

    /// The extents of a filter of `rows` rows with `row` weights each; for a depthwise filter a row is one of taps.
    fn filter(self, rows: usize, row: usize) -> Filter;

    /// The words of one record whose filters have `depth` weights; the last are the scales of its lanes.
    fn record_words(self, depth: usize) -> usize;

    /// The word of a record with the bias of a lane: unless a layout says otherwise, biases come first.
    fn bias_word(self, _depth: usize, lane: usize) -> usize {
        lane
    }

    /// Weight `k` of a lane, counted with padding.
    fn weight(self, record: &[u32], lane: usize, k: usize) -> Option<i32>;

    /// A bound on the sum of a lane with `depth` weights.
    fn largest_sum(self, depth: usize, bias: i32) -> i64 {
        // An input code is off its zero point by at most 255, a weight is at most 128.
        (depth as i64).saturating_mul(255 * 128).saturating_add(i64::from(bias.unsigned_abs()))
    }

    /// A lane's sum from `products`, the sum of products of weights and inputs without their zero point.
    fn sum(self, bias: i32, _zero_point: i32, _weights: impl Iterator<Item = i32>, products: i32) -> i32 {
        bias.wrapping_add(products)
    }

    /// The words of a lane's scale.
    fn scale_words(self) -> usize {
        2
    }

    /// The multiplier of a scale.
    fn multiplier(self, scale: &[u32]) -> Multiplier {
        let [mantissa, right] = [0, 1].map(|at| scale.get(at).map_or(0, |word| *word as i32));
        Multiplier { mantissa, exponent: right.wrapping_neg() as i8 }
    }

    /// What a scale makes of a lane's finished sum, before it is clamped.
    fn scaled(self, scale: &[u32], sum: i32, zero_point: i32) -> i32 {
        self.multiplier(scale).apply(sum).wrapping_add(zero_point)
    }

    /// Whether a scale is one, and keeps the bound on sums of a lane.
    fn scales(self, scale: &[u32], shifts_right: bool, largest: i64, _zero_point: i32) -> bool {
        let [mantissa, right] = [0, 1].map(|at| scale.get(at).map_or(i32::MIN, |word| *word as i32));
        let least = if shifts_right { 1 } else { -30 };
        mantissa >= 0 && (least..=31).contains(&right) && largest << right.min(0).unsigned_abs() < 1 << 30
    }

    /// Whether a record keeps what its kernel takes for granted beside the bound on sums.
    fn admits(self, _record: &[u32], _depth: usize) -> bool {
        true
    }

    /// The scratch words that the kernel needs at least.
    fn scratch_words(self, window: &Window, channels: usize) -> usize;
}

/// How the weights of an int8 layer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// For Cortex-M4, M7 and M33.
    #[cfg(any(nervelet_armv7em, nervelet_any_core))]
    Armv7em(armv7em::Layout),
    /// For Cortex-M3, M0 and M0+.
    #[cfg(any(nervelet_armv7m, nervelet_armv6m, nervelet_any_core))]
    Scalar(scalar::Layout),
    /// For Cortex-M55 and M85.
    #[cfg(any(nervelet_mve, nervelet_any_core))]
    Mve(mve::Layout),
}

/// Evaluates an expression with the core's own layout.
macro_rules! each_core {
    ($layout:expr, $own:ident => $value:expr) => {
        match $layout {
            #[cfg(any(nervelet_armv7em, nervelet_any_core))]
            Layout::Armv7em($own) => $value,
            #[cfg(any(nervelet_armv7m, nervelet_armv6m, nervelet_any_core))]
            Layout::Scalar($own) => $value,
            #[cfg(any(nervelet_mve, nervelet_any_core))]
            Layout::Mve($own) => $value,
        }
    };
}

impl Layout {
    /// The layout of a number, among those that this build knows.
    pub fn from_number(number: u8) -> Option<Self> {
        #[cfg(any(nervelet_armv7em, nervelet_any_core))]
        if let Some(layout) = armv7em::Layout::from_number(number) {
            return Some(Self::Armv7em(layout));
        }
        #[cfg(any(nervelet_armv7m, nervelet_armv6m, nervelet_any_core))]
        if let Some(layout) = scalar::Layout::from_number(number) {
            return Some(Self::Scalar(layout));
        }
        #[cfg(any(nervelet_mve, nervelet_any_core))]
        if let Some(layout) = mve::Layout::from_number(number) {
            return Some(Self::Mve(layout));
        }
        None
    }

    /// The number of the layout, at least 1 and below 128.
    pub fn number(self) -> u8 {
        each_core!(self, own => own.number())
    }

    /// What computes it.
    pub fn form(self) -> Form {
        each_core!(self, own => own.form())
    }

    /// Whether the layout's kernel computes a window.
    pub fn computes(self, window: &Window) -> bool {
        each_core!(self, own => own.computes(window))
    }

    /// Output channels of one record.
    pub fn lanes(self) -> usize {
        each_core!(self, own => own.lanes())
    }

    /// The scratch words with which codes can take the place of a layer's inputs; `None` where they can't.
    pub fn in_place_words(self, window: &Window, channels: [usize; 2]) -> Option<usize> {
        each_core!(self, own => own.in_place_words(window, channels))
    }

    /// Whether the layout holds so many channels.
    pub fn holds(self, channels: usize) -> bool {
        each_core!(self, own => own.holds(channels))
    }

    /// The extents of a filter, see [`Records::filter`].
    pub fn filter(self, rows: usize, row: usize) -> Filter {
        each_core!(self, own => own.filter(rows, row))
    }

    /// The words of one record whose filters have `depth` weights.
    pub fn record_words(self, depth: usize) -> usize {
        each_core!(self, own => own.record_words(depth))
    }

    /// The number of records.
    pub fn records(self, channels: usize) -> usize {
        channels.div_ceil(self.lanes())
    }

    /// The first channel of a record: the last record ends with the last channel.
    pub fn first_channel(self, record: usize, channels: usize) -> usize {
        record.saturating_mul(self.lanes()).min(channels.saturating_sub(self.lanes()))
    }

    /// The scratch words that the kernels need at least.
    pub fn scratch_words(self, window: &Window, channels: usize) -> usize {
        each_core!(self, own => own.scratch_words(window, channels))
    }
}

/// A packing as a file names it, apart from 0, which is row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Packing {
    /// Where the weights lie.
    pub layout: Layout,
    /// Every multiplier is below one half: its right shift is 1 or more.
    pub shifts_right: bool,
}

impl Packing {
    const ANY_SHIFT: u8 = 0x80;

    /// The packing that a file names; `None` for row-major and for numbers that this build does not know.
    pub fn from_number(number: u8) -> Option<Self> {
        let layout = Layout::from_number(number & !Self::ANY_SHIFT)?;
        Some(Self { layout, shifts_right: number & Self::ANY_SHIFT == 0 })
    }

    /// The number for the file.
    pub fn number(self) -> u8 {
        self.layout.number() | if self.shifts_right { 0 } else { Self::ANY_SHIFT }
    }
}

/// The extents of one output channel's filter in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Rows of the kernel.
    pub rows: usize,
    /// Weights of one row.
    pub row: usize,
    /// Weights of one row with padding.
    pub padded_row: usize,
    /// Weights of the filter with all padding.
    pub depth: usize,
}

/// Images up to this many bytes are copied into their padding.
const MOST_PADDED_BYTES: usize = 4096;

/// The scratch words for a copy of the image with its padding; 0 where there is none or the image is large. Windows
/// are read by whole words, so there are some behind the last.
pub const fn padded_image_words(window: &Window, channels: usize) -> usize {
    let [rows, columns] = window.padded_input();
    let bytes = rows.saturating_mul(columns).saturating_mul(channels).saturating_add(4);
    let inside = rows <= window.input[0] && columns <= window.input[1];
    if inside || bytes > MOST_PADDED_BYTES { 0 } else { bytes.div_ceil(4) }
}

/// Whether a window has the pixels for blocks of four; fewer are computed one by one.
pub const fn in_blocks(window: &Window) -> bool {
    window.output[0].saturating_mul(window.output[1]) >= 4
}

/// The scratch words for four kernel rows that don't lie in the image as they are: with taps outside or apart, or whole
/// words that may end behind the image.
pub const fn staging_words(window: &Window, filter: &Filter) -> usize {
    let [rows, columns] = window.padded_input();
    let inside = window.padding[0] == 0
        && window.padding[1] == 0
        && rows <= window.input[0]
        && columns <= window.input[1]
        && (window.dilation[1] == 1 || window.kernel[1] == 1);
    if inside && filter.padded_row == filter.row { 0 } else { filter.padded_row }
}

/// The most padded weights of a filter: with biases below `2^29` the bound on sums holds.
pub const MAX_DEPTH: usize = 16_384;

/// An int8 layer whose weights are packed.
#[derive(Debug, Clone, Copy)]
pub struct PackedLayer<'a> {
    /// The packing.
    pub packing: Packing,
    /// The stream: little-endian words.
    pub words: &'a [u32],
    /// Added to every input code: the negated zero point of the input.
    pub input_offset: i32,
    /// The zero point of the output.
    pub output_zero_point: i32,
    /// The range of the fused activation, in output codes.
    pub range: [i32; 2],
}

impl PackedLayer<'_> {
    /// Whether the stream has the length that its geometry asks for, scales that fit it, and keeps the bound on sums.
    pub fn verify(&self, filter: &Filter, channels: usize) -> bool {
        let Packing { layout, shifts_right } = self.packing;
        let words = layout.record_words(filter.depth);
        let fits = layout.holds(channels)
            && (1..=MAX_DEPTH).contains(&filter.depth)
            && Some(self.words.len()) == layout.records(channels).checked_mul(words);
        fits && each_core!(layout, own => self.words.chunks_exact(words).all(|record| {
            let scale_words = own.scale_words();
            let scales = record.rchunks(scale_words * own.lanes()).next().unwrap_or_default().chunks_exact(scale_words);
            scales.len() == own.lanes()
                && scales.enumerate().all(|(lane, scale)| {
                    let Some(bias) = record.get(own.bias_word(filter.depth, lane)) else { return false };
                    let largest = own.largest_sum(filter.depth, *bias as i32);
                    own.scales(scale, shifts_right, largest, self.output_zero_point)
                })
                && own.admits(record, filter.depth)
        }))
    }

    /// The record and the lane of a channel.
    fn place(&self, channel: usize, channels: usize, depth: usize) -> (&[u32], usize) {
        let layout = self.packing.layout;
        let (record, lanes) = (channel / layout.lanes(), layout.lanes());
        let words = layout.record_words(depth);
        let start = record.wrapping_mul(words);
        let lane = channel.saturating_sub(layout.first_channel(record, channels)).min(lanes - 1);
        (self.words.get(start..start.wrapping_add(words)).unwrap_or_default(), lane)
    }

    /// The bias and the scale of a channel.
    fn bias_and_scale(&self, channel: usize, channels: usize, depth: usize) -> Option<(i32, &[u32])> {
        let (record, lane) = self.place(channel, channels, depth);
        let words = each_core!(self.packing.layout, own => own.scale_words());
        let scales = record.rchunks(words * self.packing.layout.lanes()).next()?;
        let bias = each_core!(self.packing.layout, own => own.bias_word(depth, lane));
        Some((*record.get(bias)? as i32, scales.chunks_exact(words).nth(lane)?))
    }

    /// The bias and the multiplier of a channel.
    pub fn requantization(&self, channel: usize, channels: usize, depth: usize) -> Option<(i32, Multiplier)> {
        let (bias, scale) = self.bias_and_scale(channel, channels, depth)?;
        Some((bias, each_core!(self.packing.layout, own => own.multiplier(scale))))
    }

    /// The code of a channel from `products`, as in [`PackedLayer::sum`].
    pub fn code(&self, channel: usize, channels: usize, depth: usize, products: i32) -> Option<i8> {
        let (bias, scale) = self.bias_and_scale(channel, channels, depth)?;
        let sum = self.sum(channel, channels, depth, bias, products);
        let code = each_core!(self.packing.layout, own => own.scaled(scale, sum, self.output_zero_point));
        let [low, high] = self.range;
        Some(code.min(high).max(low) as i8)
    }

    /// A channel's sum, as its scale takes it, from `products`, the sum of products of weights and inputs without their zero point.
    pub fn sum(&self, channel: usize, channels: usize, depth: usize, bias: i32, products: i32) -> i32 {
        let zero_point = self.input_offset.wrapping_neg();
        let weights = (0..depth).map(|k| self.weight(channel, channels, depth, k).unwrap_or(0));
        each_core!(self.packing.layout, own => own.sum(bias, zero_point, weights, products))
    }

    /// Weight `k` of a channel, counted with padding.
    pub fn weight(&self, channel: usize, channels: usize, depth: usize, k: usize) -> Option<i32> {
        let (record, lane) = self.place(channel, channels, depth);
        each_core!(self.packing.layout, own => own.weight(record, lane, k))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let mut known = 0;
        for number in 0..=u8::MAX {
            let Some(packing) = Packing::from_number(number) else { continue };
            assert_eq!(packing.number(), number);
            assert!(!matches!(number, 0 | 128));
            known += 1;
        }
        assert!(known >= 8);
    }
}
