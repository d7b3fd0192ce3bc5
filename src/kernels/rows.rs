//! Int8 weights against int16 inputs: rows of a matrix in groups of four, with the factors of their sums.
//!
//! Two weights share 16 bits: `256 * odd + even` holds the weights of an even row and the next odd one for the same input.
//! It is a factor as it is, of a sum that is `256 * odd + even` too, while its low byte alone is the even row's weight:
//! a core with 16-bit multipliers needs one extraction for two weights. The same words serve every core.
//!
//! A group of four rows over `depth` inputs (padded with zeros to a multiple of four) takes `depth + 8` words:
//!
//! | words | content |
//! |---|---|
//! | for each four inputs: 0 | rows 0 and 1, inputs 0 (low half) and 1 (high half) |
//! | 1 | rows 2 and 3, inputs 0 and 1 |
//! | 2 | rows 0 and 1, inputs 2 and 3 |
//! | 3 | rows 2 and 3, inputs 2 and 3 |
//! | the last eight | bias and mantissa of row 0, of row 1, of row 2, of row 3 |
//!
//! The result of a row is `(bias + sum(weight * input)) * mantissa / 2^shift`, rounded once, halves up.

/// Rows of weights, as the module says.
#[derive(Debug, Clone, Copy)]
pub struct RowQuads<'a> {
    /// The groups, one behind the other.
    pub words: &'a [u32],
    /// Inputs of a row, with their padding.
    pub depth: usize,
    /// The shift that belongs to the mantissas, `1..=32`.
    pub shift: u32,
}

impl<'a> RowQuads<'a> {
    /// Words of a number of rows; saturates. `depth` is padded already.
    pub const fn words_for(rows: usize, depth: usize) -> usize {
        rows.div_ceil(4).saturating_mul(depth.saturating_add(8))
    }

    /// The groups: weights, and biases with mantissas.
    #[inline(always)]
    pub fn groups(&self) -> impl Iterator<Item = (&'a [u32], &'a [u32; 8])> + use<'a> {
        let depth = self.depth;
        self.words.chunks_exact(depth.saturating_add(8)).filter_map(move |group| {
            let (weights, finish) = group.split_at_checked(depth)?;
            Some((weights, finish.first_chunk()?))
        })
    }

    /// Whether the words are groups, at least one, over that many inputs, and give that many results.
    pub const fn fits(&self, inputs: usize, results: usize) -> bool {
        let group = self.depth.saturating_add(8);
        let groups = self.words.len() / group;
        self.depth >= 4
            && self.depth.is_multiple_of(4)
            && inputs == self.depth
            && groups > 0
            && groups * group == self.words.len()
            && groups * 4 == results
    }

    /// Whether all weights are int8, no sum leaves 31 bits and no result 30, whatever the inputs.
    pub fn is_sound(&self) -> bool {
        (1..=32).contains(&self.shift)
            && self.groups().all(|(weights, finish)| {
                let mut magnitudes = [[0_u64; 2]; 2];
                let mut narrow = true;
                for (number, half) in bytemuck::cast_slice::<u32, i16>(weights).iter().enumerate() {
                    let [even, odd] = weights_of(*half);
                    // Where an odd row's -128 would stand before a negative weight, a halfword is 2^16 too large.
                    narrow &= odd <= 127;
                    if let Some([of_even, of_odd]) = magnitudes.get_mut(number / 2 % 2) {
                        *of_even = of_even.wrapping_add(even.unsigned_abs().into());
                        *of_odd = of_odd.wrapping_add(odd.unsigned_abs().into());
                    }
                }
                let (pairs, _) = finish.as_chunks::<2>();
                narrow
                    && magnitudes.as_flattened().iter().zip(pairs).all(|(magnitude, [bias, mantissa])| {
                        let bias = u64::from((*bias as i32).unsigned_abs());
                        let largest = magnitude.saturating_mul(1 << 15).saturating_add(bias);
                        largest <= i32::MAX as u64
                            && *mantissa <= i32::MAX as u32
                            && largest.saturating_mul((*mantissa).into()) >> self.shift < 1 << 30
                    })
            })
    }
}

/// The weights of an even row and the next odd one in half a word. Of the halves of a group, two in turn belong to rows 0
/// and 1, and two to rows 2 and 3, for the same two inputs.
#[inline(always)]
pub(super) fn weights_of(half: i16) -> [i32; 2] {
    let even = i32::from(half as i8);
    [even, i32::from(half).wrapping_sub(even) >> 8]
}

/// The four words of four rows and four inputs.
pub const fn pack(rows: [[i8; 4]; 4]) -> [u32; 4] {
    const fn word(even: [i8; 4], odd: [i8; 4], input: usize) -> u32 {
        let first = 256 * odd[input] as i32 + even[input] as i32;
        let second = 256 * odd[input + 1] as i32 + even[input + 1] as i32;
        (first as u32 & 0xFFFF) | (second as u32) << 16
    }
    let [a, b, c, d] = rows;
    [word(a, b, 0), word(c, d, 0), word(a, b, 2), word(c, d, 2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[i8; 4]; 4] = [[-127, 127, -1, 0], [127, -127, 5, -6], [1, -2, 127, -127], [-128, 64, 0, -1]];

    #[test]
    fn weights_round_trip() {
        let words = pack(ROWS);
        for (rows, pair) in ROWS.as_chunks::<2>().0.iter().enumerate() {
            for input in 0..4 {
                let word = words[rows + input / 2 * 2] >> (input % 2 * 16);
                assert_eq!(weights_of(word as i16), pair.map(|row| row[input].into()), "rows {rows}, input {input}");
            }
        }
    }

    #[test]
    fn what_could_overflow_is_not_sound() {
        let mut words = [[0; 4]; 3];
        words[0] = pack(ROWS);
        words[1] = [5, 1 << 20, 5, 1 << 20];
        let sound = |words: &[[u32; 4]; 3], shift| RowQuads { words: words.as_flattened(), depth: 4, shift }.is_sound();
        assert!(sound(&words, 32));
        assert!(!sound(&words, 0));
        assert!(!sound(&words, 33));
        assert!(!sound(&words, 9), "results of 31 bits");
        words[1][0] = i32::MAX as u32;
        assert!(!sound(&words, 32), "sums of 32 bits");
        words[1] = [5, 1 << 31, 5, 0];
        assert!(!sound(&words, 32), "a negative factor");
        words[1] = [5, 1 << 20, 5, 1 << 20];
        words[0][0] = 0x7FFF;
        assert!(!sound(&words, 32), "a weight of 128");
    }
}
