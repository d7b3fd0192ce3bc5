//! The layouts of Cortex-M4, M7 and M33.

use super::super::Window;
use super::{Filter, Records, staging_words};

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

impl Records for Layout {
    fn from_number(number: u8) -> Option<Self> {
        let all = [Layout::RowPairs, Layout::DenseRowPairs, Layout::DepthwiseQuads, Layout::DepthwiseColumns];
        all.into_iter().find(|layout| layout.number() == number)
    }

    fn number(self) -> u8 {
        self as u8
    }

    fn is_depthwise(self) -> bool {
        matches!(self, Layout::DepthwiseQuads | Layout::DepthwiseColumns)
    }

    fn computes(self, window: &Window) -> bool {
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

    fn lanes(self) -> usize {
        if self.is_depthwise() { 4 } else { 2 }
    }

    fn filter(self, rows: usize, row: usize) -> Filter {
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

    fn record_words(self, depth: usize) -> usize {
        match self {
            Layout::RowPairs | Layout::DenseRowPairs => (depth / 2).saturating_add(6),
            Layout::DepthwiseQuads => depth.saturating_mul(2).saturating_add(12),
            Layout::DepthwiseColumns => 36,
        }
    }

    fn weight(self, record: &[u32], lane: usize, k: usize) -> Option<i32> {
        let at = self.weight_byte(lane, k);
        let shifted = *record.get(at / 4)? >> (at % 4 * 8);
        Some(match self {
            Layout::RowPairs => i32::from(shifted as i8),
            Layout::DenseRowPairs if k.is_multiple_of(2) => i32::from(shifted as i8),
            Layout::DenseRowPairs => i32::from(shifted as i16).wrapping_sub(i32::from(shifted as i8)) >> 8,
            Layout::DepthwiseQuads | Layout::DepthwiseColumns => i32::from(shifted as i16),
        })
    }

    fn largest_sum(self, depth: usize, bias: i32) -> i64 {
        match self {
            Layout::DenseRowPairs => 1 << 23,
            _ => (depth as i64).saturating_mul(255 * 128).saturating_add(i64::from(bias.unsigned_abs())),
        }
    }

    fn sum(self, bias: i32, zero_point: i32, weights: impl Iterator<Item = i32>, products: i32) -> i32 {
        if self != Layout::DenseRowPairs {
            return bias.wrapping_add(products);
        }
        let start = weights.enumerate().fold(bias, |sum, (k, weight)| {
            let factor = zero_point.wrapping_mul(256).wrapping_add(if k.is_multiple_of(2) { 127 } else { 0 });
            sum.wrapping_add(weight.wrapping_mul(factor))
        });
        start.wrapping_add(products.wrapping_mul(256)) >> 8
    }

    fn scratch_words(self, window: &Window, channels: usize) -> usize {
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

impl Layout {
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
