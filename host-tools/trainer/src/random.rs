//! Seeded random numbers: each purpose draws from its own stream, so that none changes what another draws.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The generator used throughout.
pub(crate) type Generator = ChaCha8Rng;

/// What random numbers are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The weights at the start.
    Weights = 1,
    /// The order of examples.
    Order,
    /// Which values dropout zeroes.
    Dropout,
    /// Changes to training examples.
    Augmentation,
    /// Which rows fall into which split.
    Splits,
    /// Simulated people.
    Users,
    /// Which examples calibrate.
    Calibration,
}

/// The stream of a seed for a purpose.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> Generator {
    let mut generator = Generator::seed_from_u64(seed);
    generator.set_stream(purpose as u64);
    generator
}
