//! A small deterministic generator for shuffling and sampling. Not for secrets.

/// PCG-XSH-RR with 64 bits of state and 32 of output (O'Neill, 2014, "PCG: A Family of Simple Fast
/// Space-Efficient Statistically Good Algorithms for Random Number Generation").
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pcg32 {
    state: u64,
}

const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
/// Stream 54 of the reference implementation; any odd number is a full-period stream.
const INCREMENT: u64 = (54 << 1) | 1;

impl Pcg32 {
    /// A generator; equal seeds give equal sequences, on every machine.
    pub const fn new(seed: u64) -> Self {
        let state = INCREMENT.wrapping_add(seed);
        Self { state: state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) }
    }

    /// The next 32 random bits.
    pub const fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        let xorshifted = (((old >> 18) ^ old) >> 27) as u32;
        xorshifted.rotate_right((old >> 59) as u32)
    }

    /// A number from 0 to `bound - 1` (0 when `bound` is 0), by multiplication (Lemire, 2019). In
    /// constant time, hence without rejection: no value is favoured by more than `bound / 2^32`.
    pub const fn below(&mut self, bound: u32) -> u32 {
        ((self.next_u32() as u64 * bound as u64) >> 32) as u32
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        let mut rest = items;
        while let Some((last, before)) = rest.split_last_mut() {
            let chosen = self.below(before.len() as u32 + 1) as usize;
            if let Some(chosen) = before.get_mut(chosen) {
                core::mem::swap(last, chosen);
            }
            rest = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_those_of_the_reference() {
        // The reference implementation's demo: seed 42, stream 54.
        let mut random = Pcg32::new(42);
        let expected = [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b, 0xcbed_606e];
        assert_eq!(expected.map(|_| random.next_u32()), expected);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut random = Pcg32::new(1);
        let mut counts = [0_i32; 7];
        for _ in 0..7_000 {
            counts[random.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (count - 1000).abs() < 150), "{counts:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }

    #[test]
    fn shuffle_permutes_every_item_to_every_place() {
        let mut random = Pcg32::new(3);
        let mut counts = [[0_i32; 5]; 5];
        for _ in 0..5_000 {
            let mut items = [0, 1, 2, 3, 4];
            random.shuffle(&mut items);
            for (place, item) in items.iter().enumerate() {
                counts[*item][place] += 1;
            }
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert!(counts.iter().flatten().all(|count| (count - 1000).abs() < 150), "{counts:?}");
        random.shuffle::<u8>(&mut []);
    }
}
