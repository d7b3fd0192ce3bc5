//! Weights laid out for a core's kernels: where each number lies, so that hosts write it and any kernel can read it.
//!
//! A packed layer is one stream of 32-bit words in the order in which a kernel consumes it: a record for each group of
//! output channels with their biases, weights, mantissas and right shifts. Where the channels don't fill the last
//! record, it overlaps the one before: channels are computed twice rather than in a kernel of their own.
//!
//! Packed layers keep the bound `|sum| << left shift < 2^30`, which [`PackedLayer::verify`] proves from the depth, the
//! biases and the shifts alone. Doubling a sum is then exact, and `round(2 * sum * mantissa / 2^32)`, one instruction
//! of many cores, equals the doubling high product of the reference.

use super::Window;
use crate::fixed::Multiplier;

/// The number that a file names for cores with the Armv7E-M DSP instructions: Cortex-M4, M7, M33.
pub const ARMV7EM: u16 = 1;

/// Whether this build runs files whose packings need a core. A host runs all of them, through the reference.
pub const fn runs(core: u16) -> bool {
    core == 0 || core == ARMV7EM && cfg!(any(nervelet_armv7em, not(target_os = "none")))
}

/// How the weights of an int8 layer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// Two output channels a record, for blocks of output pixels. Every row of the kernel is padded with zeros to a
    /// multiple of 4 weights; of 4 weights of both channels two words are made, `[a0 b0 a2 b2]` and `[a1 b1 a3 b3]`:
    /// what sign-extending every other byte turns into pairs of neighbours' neighbours.
    RowPairs = 1,
    /// Two output channels a record, for one output pixel at a time; rows padded as above, and the whole filter to a
    /// multiple of 8. The channels take turns with words of 4 weights: two halfwords `256 * odd + even`. Sums are
    /// modulo 2^24, and a bias is `256 * (bias - zero_point * sum of weights) - 127 * sum of even weights`, with the
    /// zero point of the inputs.
    DenseRowPairs = 2,
    /// Depthwise, four channels a record. Taps are paired in order, an odd one with a weight of zero; a pair has a
    /// word `[first second]` of 16-bit weights for each of the four channels.
    DepthwiseQuads = 3,
    /// Depthwise 3 x 3 with stride 1, four channels a record: for each channel and column the words `[top middle]` and
    /// `[middle bottom]` of 16-bit weights.
    DepthwiseColumns = 4,
}

/// The most output rows that [`Layout::DepthwiseColumns`] is computed for at once, and the pairs of rows they need.
pub const COLUMN_ROWS: usize = 26;
/// See [`COLUMN_ROWS`].
pub const COLUMN_PAIRS: usize = 14;

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

    /// The packing that a file names; `None` for row-major and for numbers that this library does not know.
    pub const fn from_number(number: u8) -> Option<Self> {
        let layout = match number & !Self::ANY_SHIFT {
            1 => Layout::RowPairs,
            2 => Layout::DenseRowPairs,
            3 => Layout::DepthwiseQuads,
            4 => Layout::DepthwiseColumns,
            _ => return None,
        };
        Some(Self { layout, shifts_right: number & Self::ANY_SHIFT == 0 })
    }

    /// The number for the file.
    pub const fn number(self) -> u8 {
        self.layout as u8 | if self.shifts_right { 0 } else { Self::ANY_SHIFT }
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

/// The scratch words of [`Layout::RowPairs`] for four kernel rows that don't lie in the image as they are: with taps
/// outside or apart, or whole words that may end behind the image.
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

impl Layout {
    /// Whether the layout's kernel computes a window.
    pub const fn computes(self, window: &Window) -> bool {
        let Window { input, output, kernel, stride, dilation, padding } = window;
        match self {
            Layout::RowPairs => output[0].saturating_mul(output[1]) >= 4,
            Layout::DenseRowPairs | Layout::DepthwiseQuads => true,
            // At most one row of padding above and below.
            Layout::DepthwiseColumns => {
                kernel[0] == 3
                    && kernel[1] == 3
                    && stride[0] == 1
                    && stride[1] == 1
                    && dilation[0] == 1
                    && dilation[1] == 1
                    && padding[0] <= 1
                    && output[0] >= 4
                    && output[0].saturating_add(1) <= input[0].saturating_add(padding[0])
            }
        }
    }

    /// Output channels of one record.
    pub const fn lanes(self) -> usize {
        match self {
            Layout::RowPairs | Layout::DenseRowPairs => 2,
            Layout::DepthwiseQuads | Layout::DepthwiseColumns => 4,
        }
    }

    /// The extents of a filter of `rows` rows with `row` weights each; for a depthwise filter a row is one of taps.
    pub const fn filter(self, rows: usize, row: usize) -> Filter {
        let (padded_row, depth) = match self {
            Layout::RowPairs => {
                let padded = row.saturating_add(3) & !3;
                (padded, rows.saturating_mul(padded))
            }
            Layout::DenseRowPairs => {
                let padded = row.saturating_add(3) & !3;
                (padded, rows.saturating_mul(padded).saturating_add(7) & !7)
            }
            Layout::DepthwiseQuads => (row, rows.saturating_mul(row).saturating_add(1) & !1),
            Layout::DepthwiseColumns => (row, rows.saturating_mul(row)),
        };
        Filter { rows, row, padded_row, depth }
    }

    /// The words of one record whose filters have `depth` weights.
    pub const fn record_words(self, depth: usize) -> usize {
        match self {
            Layout::RowPairs | Layout::DenseRowPairs => (depth / 2).saturating_add(6),
            Layout::DepthwiseQuads => depth.saturating_mul(2).saturating_add(12),
            Layout::DepthwiseColumns => 36,
        }
    }

    /// The number of records.
    pub const fn records(self, channels: usize) -> usize {
        channels.div_ceil(self.lanes())
    }

    /// The first channel of a record: the last record ends with the last channel.
    pub const fn first_channel(self, record: usize, channels: usize) -> usize {
        let at = record.saturating_mul(self.lanes());
        let last = channels.saturating_sub(self.lanes());
        if at < last { at } else { last }
    }

    /// The byte of weight `k` of a lane, from the start of its record.
    const fn weight_byte(self, lane: usize, k: usize) -> usize {
        match self {
            Layout::RowPairs => 8 + k / 4 * 8 + k % 2 * 4 + k % 4 / 2 * 2 + lane,
            // The halfword that it shares.
            Layout::DenseRowPairs => 8 + k / 4 * 8 + lane * 4 + k % 4 / 2 * 2,
            Layout::DepthwiseQuads => 16 + k / 2 * 16 + lane * 4 + k % 2 * 2,
            // The middle row is there twice.
            Layout::DepthwiseColumns => 16 + lane * 24 + k % 3 * 8 + k / 3 * 2 + k / 6 * 2,
        }
    }

    /// The scratch words that the kernels need at least.
    pub const fn scratch_words(self, window: &Window, channels: usize) -> usize {
        let [rows, columns] = window.kernel;
        match self {
            // Four widened pixels with the place they go to.
            Layout::RowPairs => {
                let filter = self.filter(rows, columns.saturating_mul(channels));
                let staging = staging_words(window, &filter);
                staging.saturating_add(filter.depth.saturating_mul(2)).saturating_add(1)
            }
            Layout::DenseRowPairs => {
                let filter = self.filter(rows, columns.saturating_mul(channels));
                (filter.padded_row / 4).saturating_add(filter.depth / 2)
            }
            // A pixel of zeros and two tables of taps.
            Layout::DepthwiseQuads => {
                let filter = self.filter(rows, columns);
                channels.div_ceil(4).saturating_add(filter.depth.saturating_mul(2))
            }
            // Three columns of four planes.
            Layout::DepthwiseColumns => 3 * 4 * COLUMN_PAIRS,
        }
    }
}

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
    /// Whether the stream has the length that its geometry asks for and keeps the bound on sums.
    pub fn verify(&self, filter: &Filter, channels: usize) -> bool {
        let layout = self.packing.layout;
        let record = layout.record_words(filter.depth);
        let fits = channels >= layout.lanes()
            && (1..=MAX_DEPTH).contains(&filter.depth)
            && Some(self.words.len()) == layout.records(channels).checked_mul(record);
        let depth = filter.depth as i64;
        fits && self.words.chunks_exact(record).all(|record| {
            let (biases, rest) = record.split_at_checked(layout.lanes()).unwrap_or_default();
            let multipliers = rest.rchunks(2 * layout.lanes()).next().unwrap_or_default().chunks_exact(2);
            biases.len() == layout.lanes()
                && biases.iter().zip(multipliers).all(|(bias, multiplier)| {
                    let [mantissa, right] = [0, 1].map(|at| multiplier.get(at).map_or(i32::MIN, |word| *word as i32));
                    let least = if self.packing.shifts_right { 1 } else { -30 };
                    let largest = match layout {
                        Layout::DenseRowPairs => 1 << 23,
                        // An input code is off its zero point by at most 255, a weight is at most 128.
                        _ => depth * 255 * 128 + i64::from((*bias as i32).unsigned_abs()),
                    };
                    mantissa >= 0 && (least..=31).contains(&right) && largest << right.min(0).unsigned_abs() < 1 << 30
                })
        })
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

    /// The bias and the multiplier of a channel.
    pub fn requantization(&self, channel: usize, channels: usize, depth: usize) -> Option<(i32, Multiplier)> {
        let (record, lane) = self.place(channel, channels, depth);
        let lanes = self.packing.layout.lanes();
        let multiplier = record.rchunks(2 * lanes).next()?.get(2 * lane..)?;
        let exponent = (*multiplier.get(1)? as i32).wrapping_neg() as i8;
        Some((*record.get(lane)? as i32, Multiplier { mantissa: *multiplier.first()? as i32, exponent }))
    }

    /// A channel's sum from `products`, the sum of products of weights and inputs without their zero point.
    pub fn sum(&self, channel: usize, channels: usize, depth: usize, bias: i32, products: i32) -> i32 {
        if self.packing.layout != Layout::DenseRowPairs {
            return bias.wrapping_add(products);
        }
        let zero_point = self.input_offset.wrapping_neg();
        let start = (0..depth).fold(bias, |sum, k| {
            let factor = zero_point.wrapping_mul(256).wrapping_add(if k.is_multiple_of(2) { 127 } else { 0 });
            sum.wrapping_add(self.weight(channel, channels, depth, k).unwrap_or(0).wrapping_mul(factor))
        });
        start.wrapping_add(products.wrapping_mul(256)) >> 8
    }

    /// Weight `k` of a channel, counted with padding.
    pub fn weight(&self, channel: usize, channels: usize, depth: usize, k: usize) -> Option<i32> {
        let (record, lane) = self.place(channel, channels, depth);
        let at = self.packing.layout.weight_byte(lane, k);
        let shifted = *record.get(at / 4)? >> (at % 4 * 8);
        Some(match self.packing.layout {
            Layout::RowPairs => i32::from(shifted as i8),
            Layout::DenseRowPairs if k.is_multiple_of(2) => i32::from(shifted as i8),
            Layout::DenseRowPairs => i32::from(shifted as i16).wrapping_sub(i32::from(shifted as i8)) >> 8,
            Layout::DepthwiseQuads | Layout::DepthwiseColumns => i32::from(shifted as i16),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for layout in [Layout::RowPairs, Layout::DenseRowPairs, Layout::DepthwiseQuads, Layout::DepthwiseColumns] {
            for shifts_right in [true, false] {
                let packing = Packing { layout, shifts_right };
                assert_eq!(Packing::from_number(packing.number()), Some(packing));
            }
        }
        for number in [0, 5, 127, 128, 133] {
            assert_eq!(Packing::from_number(number), None);
        }
    }

    #[test]
    fn weights_of_a_record_lie_apart() {
        // Two weights of a dense filter share their bytes; the weights of the columns' middle row are there twice.
        for (layout, bytes, shared) in
            [(Layout::RowPairs, 1, 1), (Layout::DenseRowPairs, 2, 2), (Layout::DepthwiseQuads, 2, 1)]
        {
            let depth = 16;
            let mut taken = std::vec![false; layout.record_words(depth) * 4];
            for lane in 0..layout.lanes() {
                for k in (0..depth).step_by(shared) {
                    for byte in 0..bytes {
                        assert!(!std::mem::replace(&mut taken[layout.weight_byte(lane, k) + byte], true));
                    }
                }
            }
            let edges = [layout.lanes() * 4, layout.lanes() * 8];
            assert_eq!(taken.iter().position(|taken| *taken), Some(edges[0]));
            assert_eq!(taken.iter().rposition(|taken| *taken), Some(taken.len() - edges[1] - 1));
        }
    }
}
