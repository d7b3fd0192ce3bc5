//! The layouts of Cortex-M3, M0 and M0+: a multiplication does the work of two.
//!
//! With two numbers `a` and `b` in one word, `a + 65536 * b`, one multiplication by `c` gives both products. They come
//! apart again where the lower sum fits 16 bits: that of two products always does, if no two weights are -128; that of
//! four does if their magnitudes add up to 255 or less, which a record notes.
//!
//! Biases are those for input codes as they are, `bias - zero_point * sum of weights`.

use super::super::Window;
use super::{Filter, Records, in_blocks, staging_words};

/// How the weights of an int8 layer are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// One output channel a record, for blocks of output pixels, of which two share a word: the bias, the chunk, the
    /// weights as bytes in order. Every row of the kernel is padded with zeros to a multiple of 4 weights.
    Channels = 32,
    /// Depthwise, one channel a record: the same, with the whole filter padded to a multiple of 4.
    Taps = 33,
    /// Two output channels a record, for one output pixel at a time: the biases, the chunk, and words of the bytes
    /// `[a0 a1 b0 b1]`, each 128 more than the weight. Rows are padded with zeros to a multiple of 4 weights.
    ChannelPairs = 34,
    /// Three output channels a record, for the only pixel: the biases, the weights as bytes in order, those of each channel
    /// in whole words. Inputs are taken as they are, which pays where they are few, or few outputs share them.
    ChannelTriples = 35,
}

/// What a record's second number is where four products fit 16 bits; else it is 0.
pub const FOURS: u32 = 1;

/// Output channels whose sums [`Layout::ChannelPairs`] holds at a time.
pub const SUMS: usize = 32;
/// The fewest inputs, of many, that it widens at a time, with the words they take.
pub const LEAST_SEGMENT: usize = 64;

/// The words of `inputs` widened inputs: of each four three words a pair.
pub const fn segment_words(inputs: usize) -> usize {
    inputs.div_ceil(4).saturating_mul(6)
}

/// The scratch words for a window of [`Layout::ChannelPairs`] that does not lie in the image in one piece.
pub const fn window_words(window: &Window, filter: &Filter) -> usize {
    if window.kernel[0] == 1 && window.kernel[1] == 1 && filter.row == filter.padded_row { 0 } else { filter.depth / 4 }
}

impl Records for Layout {
    fn from_number(number: u8) -> Option<Self> {
        let all = [Layout::Channels, Layout::Taps, Layout::ChannelPairs, Layout::ChannelTriples];
        all.into_iter().find(|layout| layout.number() == number)
    }

    fn number(self) -> u8 {
        self as u8
    }

    fn is_depthwise(self) -> bool {
        self == Layout::Taps
    }

    fn computes(self, window: &Window) -> bool {
        match self {
            Layout::Channels => in_blocks(window),
            Layout::ChannelTriples => Window { stride: [1; 2], dilation: [1; 2], ..*window } == Window::pixel(),
            Layout::Taps | Layout::ChannelPairs => true,
        }
    }

    fn lanes(self) -> usize {
        match self {
            Layout::Channels | Layout::Taps => 1,
            Layout::ChannelPairs => 2,
            Layout::ChannelTriples => 3,
        }
    }

    fn filter(self, rows: usize, row: usize) -> Filter {
        if self == Layout::ChannelTriples {
            return Filter { rows, row, padded_row: row, depth: rows.saturating_mul(row) };
        }
        let padded_row = if self == Layout::Taps { row } else { row.saturating_add(3) & !3 };
        Filter { rows, row, padded_row, depth: rows.saturating_mul(padded_row).saturating_add(3) & !3 }
    }

    fn record_words(self, depth: usize) -> usize {
        match self {
            Layout::Channels | Layout::Taps => (depth / 4).saturating_add(4),
            Layout::ChannelPairs => (depth / 2).saturating_add(7),
            Layout::ChannelTriples => depth.div_ceil(4).saturating_mul(3).saturating_add(9),
        }
    }

    fn weight(self, record: &[u32], lane: usize, k: usize) -> Option<i32> {
        let byte = |word: usize, byte: usize| Some((*record.get(word)? >> (8 * byte)) as u8);
        Some(match self {
            Layout::Channels | Layout::Taps => i32::from(byte(2 + k / 4, k % 4)?.cast_signed()),
            Layout::ChannelPairs => i32::from(byte(3 + k / 2, k % 2 + 2 * lane)?) - 128,
            Layout::ChannelTriples => {
                let words = record.len().checked_sub(9)? / 3;
                i32::from(byte(3 + lane * words + k / 4, k % 4)?.cast_signed())
            }
        })
    }

    fn largest_sum(self, depth: usize, bias: i32) -> i64 {
        // Twice what it is: without long multiplications the product needs a bit more.
        2 * ((depth as i64).saturating_mul(128 * 128) + i64::from(bias.unsigned_abs()))
    }

    fn sum(self, bias: i32, zero_point: i32, weights: impl Iterator<Item = i32>, products: i32) -> i32 {
        let total = weights.fold(0, i32::wrapping_add);
        bias.wrapping_add(total.wrapping_mul(zero_point)).wrapping_add(products)
    }

    fn admits(self, record: &[u32], depth: usize) -> bool {
        let multipliers = record.rchunks(2 * self.lanes()).next().unwrap_or_default();
        let shifts_right = multipliers.iter().skip(1).step_by(2).all(|right| (1..=31).contains(right));
        if self == Layout::ChannelTriples {
            return shifts_right;
        }
        let fours = match record.get(self.lanes()) {
            Some(&FOURS) => true,
            Some(0) => false,
            _ => return false,
        };
        let head = self.lanes() + 1;
        let weights = record.get(head..head.saturating_add(depth / 4 * self.lanes())).unwrap_or_default();
        // The magnitudes of the lower and of the upper two weights of a word.
        let magnitudes = |word: u32| {
            let [a, b, c, d] = word.to_le_bytes().map(|byte| u32::from(byte.cast_signed().unsigned_abs()));
            [a + b, c + d]
        };
        let apart = |sums: [u32; 2]| sums.iter().all(|sum| *sum <= 255);
        let apart = match self {
            Layout::Taps | Layout::ChannelTriples => true,
            Layout::Channels if fours => weights.iter().all(|word| magnitudes(*word).iter().sum::<u32>() <= 255),
            Layout::Channels => weights.iter().all(|word| apart(magnitudes(*word))),
            // Bytes are 128 more than weights: as signed ones they differ in the upper bit.
            Layout::ChannelPairs => weights.chunks(2).all(|words| {
                let mut sums = words.iter().map(|word| magnitudes(word ^ 0x8080_8080));
                if fours { apart(sums.fold([0; 2], |[a, b], [c, d]| [a + c, b + d])) } else { sums.all(apart) }
            }),
        };
        apart && shifts_right
    }

    fn scratch_words(self, window: &Window, channels: usize) -> usize {
        let [rows, columns] = window.kernel;
        let filter = self.filter(rows, if self == Layout::Taps { columns } else { columns.saturating_mul(channels) });
        match self {
            // Four pixels, two words for each input.
            Layout::Channels => staging_words(window, &filter).saturating_add(filter.depth.saturating_mul(2)),
            // A pixel of zeros and two tables of taps for four pixels; the codes of these where there are fewer.
            Layout::Taps => {
                let table = rows.saturating_mul(columns).saturating_mul(4);
                let codes = if in_blocks(window) { 0 } else { channels };
                channels.div_ceil(4).saturating_add(table.saturating_mul(2)).saturating_add(codes)
            }
            Layout::ChannelPairs => {
                let segment = segment_words(if filter.depth < LEAST_SEGMENT { filter.depth } else { LEAST_SEGMENT });
                window_words(window, &filter).saturating_add(SUMS).saturating_add(segment)
            }
            Layout::ChannelTriples => 0,
        }
    }
}
