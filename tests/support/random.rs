//! A small deterministic generator for tests (xorshift64, Marsaglia 2003).

/// The generator's state.
pub struct Random(u64);

impl Random {
    /// A stream for a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) % bound.max(1) as u64) as usize
    }

    /// Numbers in `-amplitude..amplitude`.
    pub fn values(&mut self, count: usize, amplitude: f32) -> Vec<f32> {
        (0..count).map(|_| ((self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * amplitude).collect()
    }
}
