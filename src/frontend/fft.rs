//! The lengths of Fourier transforms to choose from.

use core::fmt;

use microfft::{Complex32, real};

/// A real fast Fourier transform of one length, in f32: `microfft`'s.
///
/// Each length is a constant of its own: a firmware links those it names, and one table of sines (2 KB) for all.
#[derive(Clone, Copy)]
pub struct Fft {
    length: usize,
    transform: fn(&mut [f32]) -> Option<&mut [Complex32]>,
}

macro_rules! lengths {
    ($($name:ident $length:literal $transform:path;)*) => {
        impl Fft {
            $(
                #[doc = concat!("A transform of ", $length, " samples.")]
                pub const $name: Self =
                    Self { length: $length, transform: |samples| Some($transform(samples.try_into().ok()?)) };
            )*
        }
    };
}

lengths! {
    N64 64 real::rfft_64;
    N128 128 real::rfft_128;
    N256 256 real::rfft_256;
    N512 512 real::rfft_512;
    N1024 1024 real::rfft_1024;
    N2048 2048 real::rfft_2048;
}

impl Fft {
    /// Samples it transforms.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Transforms [`length`](Self::length) samples in place: bins 0 to `length / 2 - 1`, the real one of the Nyquist
    /// frequency as the imaginary part of bin 0. `None` for another number of samples.
    pub(super) fn transform<'s>(&self, samples: &'s mut [f32]) -> Option<&'s mut [Complex32]> {
        (self.transform)(samples)
    }
}

impl fmt::Debug for Fft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fft").field(&self.length).finish()
    }
}

impl PartialEq for Fft {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length
    }
}

impl Eq for Fft {}

#[cfg(feature = "defmt")]
impl defmt::Format for Fft {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Fft({=usize})", self.length);
    }
}
