//! Overlapping windows over a stream of samples.

/// The last `LENGTH` samples of `CHANNELS` values each, in order.
///
/// ```
/// let mut window = nervelet::frontend::SlidingWindow::<2, 3>::new();
/// for t in 0..3 {
///     window.push([t as f32, 0.5]);
/// }
/// assert_eq!(window.ready(), Some(&[0.0, 0.5, 1.0, 0.5, 2.0, 0.5][..]));
/// window.advance(2);
/// assert_eq!(window.ready(), None);
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlidingWindow<const CHANNELS: usize, const LENGTH: usize> {
    samples: [[f32; CHANNELS]; LENGTH],
    filled: usize,
}

impl<const CHANNELS: usize, const LENGTH: usize> SlidingWindow<CHANNELS, LENGTH> {
    /// An empty window.
    pub const fn new() -> Self {
        Self { samples: [[0.0; CHANNELS]; LENGTH], filled: 0 }
    }

    /// Appends a sample; a full window drops its oldest.
    pub fn push(&mut self, sample: [f32; CHANNELS]) {
        if self.filled == LENGTH {
            self.advance(1);
        }
        if let Some(slot) = self.samples.get_mut(self.filled) {
            *slot = sample;
            self.filled += 1;
        }
    }

    /// The samples one behind the other, `[LENGTH][CHANNELS]`, once there are enough.
    pub fn ready(&self) -> Option<&[f32]> {
        (self.filled == LENGTH).then_some(self.samples.as_flattened())
    }

    /// Drops the oldest `hop` samples: the next window begins that much later.
    pub fn advance(&mut self, hop: usize) {
        let hop = hop.min(self.filled);
        self.samples.rotate_left(hop.min(LENGTH));
        self.filled -= hop;
    }
}

impl<const CHANNELS: usize, const LENGTH: usize> Default for SlidingWindow<CHANNELS, LENGTH> {
    fn default() -> Self {
        Self::new()
    }
}
