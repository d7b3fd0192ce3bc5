//! Attention by blocks: the same numbers as the reference's, two queries at a time over operands laid out for it.
//!
//! Operands are 16-bit factors without their zero points, two along the sum in each word. Keys lie in pairs (of each pair,
//! for each two places of the depth, a word of either key), so do queries, and values in fours of columns (for each two keys a
//! word of each column). Where a row is missing to fill a block, the last one is repeated; where a place of the depth is, it is
//! 0. Scores of the two queries lie side by side, key by key; probabilities take their place, two keys a word.
//!
//! A core's [`Steps`] do the work on what is laid out; those of [`Portable`] serve every core.

use super::reference::{Attention, Factor, Matrices, attention as reference};
use super::{Code, OutOfBounds, Result};
use crate::fixed::{power_of_half, round_shift_wide};

/// The work on operands that are laid out, see the module; each equals the default.
pub trait Steps {
    /// Scores of two queries with all pairs of keys, and the larger score of each; `row` has two places for each key.
    fn scores(queries: &[u32], keys: &[u32], shift: u32, row: &mut [i32]) -> [i32; 2] {
        let mut largest = [i32::MIN; 2];
        let pairs = keys.chunks_exact(queries.len().max(1));
        for (keys, scores) in pairs.zip(row.as_chunks_mut::<4>().0) {
            let mut sums = [0_i64; 4];
            for ([q0, q1], [k0, k1]) in queries.as_chunks::<2>().0.iter().zip(keys.as_chunks::<2>().0) {
                for (sum, (q, k)) in sums.iter_mut().zip([(q0, k0), (q1, k0), (q0, k1), (q1, k1)]) {
                    let ([a, b], [c, d]) = (halves(*q), halves(*k));
                    *sum = sum.wrapping_add((a * c).into()).wrapping_add((b * d).into());
                }
            }
            *scores = sums.map(|sum| if shift == 0 { sum } else { round_shift_wide(sum, shift) } as i32);
            let [a, b, c, d] = *scores;
            largest = [largest[0].max(a).max(c), largest[1].max(b).max(d)];
        }
        largest
    }

    /// Powers for the scores of one query, every second of `row` from the first on, and their sum.
    fn powers(factor: High, largest: i32, row: &mut [i32]) -> u32 {
        let mut sum = 0_u32;
        for score in row.iter_mut().step_by(2) {
            let power = power_of_half(factor.unsigned(largest.wrapping_sub(*score) as u32));
            *score = power;
            sum = sum.wrapping_add(power as u32);
        }
        sum
    }

    /// Powers divided by their sums: of four neighbours (two keys of two queries) come two words, from the front on.
    fn probabilities(sums: [u32; 2], row: &mut [i32]) {
        let [of_first, of_second] = sums.map(|sum| sum.max(1));
        let share = |power: i32, sum: u32| (((power as u32) << 15).wrapping_add(sum / 2) / sum).min(32_767);
        for pair in 0..row.len() / 4 {
            let Some([a, b, c, d]) = row.get(4 * pair..).and_then(<[i32]>::first_chunk).copied() else { return };
            let words =
                [share(a, of_first) | share(c, of_first) << 16, share(b, of_second) | share(d, of_second) << 16];
            if let Some(target) = row.get_mut(2 * pair..).and_then(<[i32]>::first_chunk_mut) {
                *target = words.map(|word| word as i32);
            }
        }
    }

    /// Four columns of two queries: sums over the keys, scaled, plus the zero point.
    fn context(probabilities: &[i32], values: &[u32], factor: High, zero_point: i32) -> [i32; 8] {
        let mut sums = [0_i32; 8];
        for ([p0, p1], values) in probabilities.as_chunks::<2>().0.iter().zip(values.as_chunks::<4>().0) {
            let [p0, p1] = [p0, p1].map(|p| halves(*p as u32));
            for (column, value) in values.iter().enumerate() {
                let [a, b] = halves(*value);
                for (query, [first, second]) in [p0, p1].into_iter().enumerate() {
                    if let Some(sum) = sums.get_mut(4 * query + column) {
                        *sum = sum.wrapping_add(first * a).wrapping_add(second * b);
                    }
                }
            }
        }
        sums.map(|sum| factor.signed(sum).wrapping_add(zero_point))
    }
}

/// Steps in Rust.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

impl Steps for Portable {}

/// A factor that is applied to the high word of a product: `mantissa / 2^(32 + shift)`, rounded once, halves up.
#[derive(Debug, Clone, Copy)]
pub struct High {
    /// Below `2^31`.
    pub mantissa: u32,
    /// In `1..=30`.
    pub shift: u32,
}

impl High {
    /// The same factor, where it has this form.
    fn of(factor: Factor) -> Option<Self> {
        let shift = u32::from(factor.shift).checked_sub(32).filter(|shift| (1..=30).contains(shift))?;
        Some(Self { mantissa: factor.mantissa, shift })
    }

    /// One half of the last place that is left.
    pub const fn half(self) -> u32 {
        1_u32.wrapping_shl(self.shift.wrapping_sub(1))
    }

    /// `x` times the factor, at most a number whose power is 0.
    fn unsigned(self, x: u32) -> u32 {
        let high = (u64::from(x).wrapping_mul(self.mantissa.into()) >> 32) as u32;
        (high.wrapping_add(self.half()) >> (self.shift & 31)).min((1 << 17) - 1)
    }

    /// `x` times the factor.
    fn signed(self, x: i32) -> i32 {
        let high = (i64::from(x).wrapping_mul(self.mantissa.into()) >> 32) as i32;
        high.wrapping_add(self.half() as i32) >> (self.shift & 31)
    }
}

#[inline(always)]
fn halves(word: u32) -> [i32; 2] {
    [i32::from(word as i16), i32::from((word >> 16) as i16)]
}

/// Words of scratch memory for an attention: queries, keys, values and scores as they are laid out; saturates.
pub fn scratch_words(scores: &Matrices, context: &Matrices) -> usize {
    let Layout { queries, keys, values, row } = Layout::of(scores, context);
    queries.saturating_add(keys).saturating_add(values).saturating_add(row)
}

/// Words of each part.
struct Layout {
    queries: usize,
    keys: usize,
    values: usize,
    row: usize,
}

impl Layout {
    fn of(scores: &Matrices, context: &Matrices) -> Self {
        let [depth, keys, columns] = [scores.depth, scores.columns, context.columns].map(|extent| extent as usize);
        let (pairs, depth_pairs) = (keys.div_ceil(2), depth.div_ceil(2));
        Self {
            queries: depth_pairs.saturating_mul(2),
            keys: pairs.saturating_mul(2).saturating_mul(depth_pairs),
            values: columns.div_ceil(4).saturating_mul(4).saturating_mul(pairs),
            row: pairs.saturating_mul(4),
        }
    }
}

/// Rows of a matrix within a tensor.
struct Source<'a, C> {
    codes: &'a [C],
    /// The first element, and what is between neighbouring rows and places of the depth.
    start: usize,
    row: usize,
    step: usize,
    /// Rows and places.
    extents: [usize; 2],
    zero_point: i32,
    /// Bits that factors are raised by.
    raised: u32,
}

impl<C: Code> Source<'_, C> {
    /// Lays rows out, `LANES` side by side, from row `first` on.
    fn lay_out<const LANES: usize>(&self, first: usize, target: &mut [u32]) -> Result {
        let [rows, depth] = self.extents;
        let block = depth.div_ceil(2).wrapping_mul(LANES).max(1);
        for (number, target) in target.chunks_exact_mut(block).enumerate() {
            for lane in 0..LANES {
                let row = first.wrapping_add(number.wrapping_mul(LANES)).wrapping_add(lane);
                let mut at = self.start.wrapping_add(row.min(rows.wrapping_sub(1)).wrapping_mul(self.row));
                let mut left = depth;
                for word in target.iter_mut().skip(lane).step_by(LANES) {
                    let low = self.factor(at)?;
                    at = at.wrapping_add(self.step);
                    let high = if left > 1 { self.factor(at)? } else { 0 };
                    at = at.wrapping_add(self.step);
                    left = left.wrapping_sub(2);
                    *word = u32::from(low as u16) | (high as u32) << 16;
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn factor(&self, at: usize) -> core::result::Result<i32, OutOfBounds> {
        Ok(self.codes.get(at).ok_or(OutOfBounds)?.widen().wrapping_sub(self.zero_point).wrapping_shl(self.raised))
    }
}

/// Bits that queries are raised by, and the factor of scores raised as much: those of 8 bits have room, and factors get the
/// form of [`High`].
fn raise(attention: &Attention, range: [i32; 2]) -> (u32, Factor) {
    let exponent = attention.exponent;
    let raised = 33_u32.saturating_sub(exponent.shift.into());
    // Without their zero points codes have 8 bits beside the sign.
    let room = range == i8::RANGE && raised <= 7 && attention.score_shift == 0;
    let fits = u64::from(attention.scores.depth).saturating_mul(1 << (16 + raised)) <= 1 << 30;
    if room && fits {
        (raised, Factor { shift: exponent.shift.saturating_add(raised as u8), ..exponent })
    } else {
        (0, exponent)
    }
}

/// [`reference::attention`](super::reference::attention) by blocks, where there are keys, `scratch` has [`scratch_words`] and
/// factors have the form of [`High`]; else the reference.
pub fn attention<C: Code, S: Steps>(
    attention: &Attention,
    operands: [&[C]; 3],
    scratch: &mut [i32],
    output: &mut [C],
) -> Result {
    let Attention { scores, context, zero_points, .. } = *attention;
    let layout = Layout::of(&scores, &context);
    let enough = scores.columns > 0 && scratch.len() >= scratch_words(&scores, &context);
    let (raised, exponent) = raise(attention, C::RANGE);
    let (Some(exponent), Some(factor), true) = (High::of(exponent), High::of(attention.output), enough) else {
        return reference(attention, operands, scratch, output);
    };
    let (row, rest) = scratch.split_at_mut_checked(layout.row).ok_or(OutOfBounds)?;
    let rest: &mut [u32] = bytemuck::cast_slice_mut(rest);
    let (queries, rest) = rest.split_at_mut_checked(layout.queries).ok_or(OutOfBounds)?;
    let (keys, rest) = rest.split_at_mut_checked(layout.keys).ok_or(OutOfBounds)?;
    let values = rest.get_mut(..layout.values).ok_or(OutOfBounds)?;
    let [count, depth, length, columns] =
        [scores.rows, scores.depth, scores.columns, context.columns].map(|extent| extent as usize);
    let source = |operand: usize, batch: u32, [of_batch, row, step]: [u32; 3], extents: [usize; 2]| Source {
        raised: if operand == 0 { raised } else { 0 },
        codes: operands[operand % 3],
        start: batch.wrapping_mul(of_batch) as usize,
        row: row as usize,
        step: step as usize,
        extents,
        zero_point: zero_points[operand % 3],
    };
    let turned = |[batch, row, column]: [u32; 3]| [batch, column, row];
    let mut outputs = output.chunks_exact_mut(columns.max(1));
    let block = depth.div_ceil(2).wrapping_mul(2).max(1);
    for batch in 0..scores.batches {
        source(1, batch, turned(scores.second), [length, depth]).lay_out::<2>(0, keys)?;
        source(2, batch, turned(context.second), [columns, length]).lay_out::<4>(0, values)?;
        let of_queries = source(0, batch, scores.first, [count, depth]);
        for query in (0..count).step_by(2) {
            of_queries.lay_out::<2>(query, queries)?;
            // The second query sees as many keys as the first, or one more.
            let seen = [query, query.wrapping_add(1)].map(|query| attention.keys_of(query as u32));
            let pairs = seen[1].div_ceil(2);
            let row = row.get_mut(..pairs.wrapping_mul(4)).ok_or(OutOfBounds)?;
            let keys = keys.get(..pairs.wrapping_mul(block)).ok_or(OutOfBounds)?;
            let mut largest = S::scores(queries, keys, attention.score_shift, row);
            let mut sums = [0; 2];
            for (first, ((seen, largest), sum)) in seen.into_iter().zip(&mut largest).zip(&mut sums).enumerate() {
                let own = row.get_mut(first..).unwrap_or_default();
                let end = seen.wrapping_mul(2).min(own.len());
                let (own, masked) = own.split_at_mut_checked(end).unwrap_or((&mut [], &mut []));
                if seen < length {
                    *largest = own.iter().step_by(2).copied().max().unwrap_or(i32::MIN);
                }
                *sum = S::powers(exponent, *largest, own);
                // A key that isn't seen has no weight, nor has one that only fills the last pair.
                masked.iter_mut().step_by(2).for_each(|power| *power = 0);
            }
            S::probabilities(sums, row);
            let probabilities = row.get(..pairs.wrapping_mul(2)).ok_or(OutOfBounds)?;
            let mut codes = [outputs.next().ok_or(OutOfBounds)?, &mut []];
            if query.wrapping_add(1) < count {
                codes[1] = outputs.next().ok_or(OutOfBounds)?;
            }
            let mut first = 0;
            for values in values.chunks_exact((layout.row).max(1)) {
                let values = values.get(..pairs.wrapping_mul(4)).ok_or(OutOfBounds)?;
                let results = S::context(probabilities, values, factor, zero_points[3]);
                for (codes, results) in codes.iter_mut().zip(results.as_chunks::<4>().0) {
                    for (code, result) in codes.iter_mut().skip(first).zip(results) {
                        *code = C::saturate(*result);
                    }
                }
                first = first.wrapping_add(4);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Pcg32;

    /// Batches of matrices, rows and columns in either order.
    fn matrices(batches: u32, [rows, depth, columns]: [u32; 3], turned: bool) -> Matrices {
        let second = if turned { [columns * depth, 1, depth] } else { [columns * depth, columns, 1] };
        Matrices { batches, rows, depth, columns, first: [rows * depth, depth, 1], second }
    }

    fn compare<C: Code + Default + core::fmt::Debug>(random: &mut Pcg32) {
        let mut below = |end: u32| random.below(end);
        let (batches, queries, depth, keys, columns) =
            (1 + below(3), 1 + below(5), 1 + below(20), 1 + below(19), 1 + below(10));
        let scores = matrices(batches, [queries, depth, keys], below(2) == 0);
        let context = matrices(batches, [queries, keys, columns], below(2) == 0);
        let [low, high] = C::RANGE;
        let mut code = || match below(6) {
            0 => C::saturate(low),
            1 => C::saturate(high),
            _ => C::saturate(low + below((high - low) as u32 + 1) as i32),
        };
        let mut codes =
            |extents: [u32; 3]| -> std::vec::Vec<C> { (0..extents.iter().product::<u32>()).map(|_| code()).collect() };
        let (q, k, v) =
            (codes([batches, queries, depth]), codes([batches, depth, keys]), codes([batches, keys, columns]));
        let bits = depth.next_power_of_two().trailing_zeros();
        let wide = high > 127;
        let mut zero_point = || if wide { 0 } else { below(256) as i32 - 128 };
        let attention = Attention {
            scores,
            context,
            score_shift: if wide { bits } else { 0 },
            zero_points: [zero_point(), zero_point(), zero_point(), zero_point()],
            // Exponents from flat to steep; outputs from small to saturating.
            exponent: Factor::from_real(libm::exp2(-f64::from(below(30))) * if wide { 1e-3 } else { 4.0 }),
            output: Factor::from_real(libm::exp2(-f64::from(13 + below(4)))),
            visible: match below(3) {
                0 => u32::MAX,
                1 => keys.saturating_sub(queries),
                _ => below(keys + 1),
            },
        };
        let elements = (batches * queries * columns) as usize;
        let (mut expected, mut found) = (std::vec![C::default(); elements], std::vec![C::default(); elements]);
        let mut row = std::vec![0; keys as usize];
        // Of some keys, as if the others were not there.
        let count = if below(4) == 0 { below(keys + 1) } else { keys };
        let scores = Matrices { columns: count, ..scores };
        let context = Matrices { depth: count, ..context };
        let attention = Attention { scores, context, ..attention };
        super::reference(&attention, [&q, &k, &v], &mut row, &mut expected).unwrap();
        let mut scratch = std::vec![77; scratch_words(&scores, &context)];
        super::attention::<C, Portable>(&attention, [&q, &k, &v], &mut scratch, &mut found).unwrap();
        assert_eq!(found, expected, "{attention:?}");
    }

    #[test]
    fn blocks_equal_the_reference() {
        let mut random = Pcg32::new(1);
        for _ in 0..if cfg!(miri) { 4 } else { 400 } {
            compare::<i8>(&mut random);
            compare::<i16>(&mut random);
        }
    }
}
