//! Log-mel features: the energies of overlapping frames of sound in bands that the ear tells apart.

use core::f32::consts::TAU;

use super::error::{FrontendError, check_range, check_setting};
use super::fft::Fft;

/// What a band sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Spectrum {
    /// Absolute values of the Fourier coefficients.
    Magnitude,
    /// Their squares.
    Power,
}

/// Settings of [`LogMel`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MelSettings {
    /// Samples a second, above 0.
    pub sample_rate_hz: f32,
    /// Samples a frame: at least 2, at most as many as the transform takes, which adds zeros behind them.
    pub frame_length: usize,
    /// Samples from the beginning of a frame to that of the next, from 1 to `frame_length`.
    pub frame_step: usize,
    /// The Fourier transform.
    pub fft: Fft,
    /// What a band sums up.
    pub spectrum: Spectrum,
    /// Bands, from 1 to half the transform's length.
    pub bands: usize,
    /// Lower edge of the first band in Hz, 0 or more.
    pub lower_hz: f32,
    /// Upper edge of the last band in Hz, above `lower_hz`, at most half the sample rate.
    pub upper_hz: f32,
    /// What is added to an energy before its logarithm is taken, above 0.
    pub floor: f32,
}

impl MelSettings {
    /// Length of the workspace, in f32 values: a frame, half a window, the transform's samples, a value for each
    /// Fourier coefficient in use, and a row.
    pub const fn workspace(&self) -> usize {
        self.frame_length
            .saturating_add(self.window())
            .saturating_add(self.fft.length())
            .saturating_add(self.coefficients())
            .saturating_add(self.bands)
    }

    /// Rows that so many samples give.
    pub const fn rows(&self, samples: usize) -> usize {
        match samples.checked_sub(self.frame_length) {
            // A step of 0 is refused at construction.
            Some(rest) => match rest.checked_div(self.frame_step) {
                Some(steps) => steps + 1,
                None => 0,
            },
            None => 0,
        }
    }

    /// Values of half a window, both ends counted.
    const fn window(&self) -> usize {
        self.frame_length / 2 + 1
    }

    /// The first Fourier coefficient above the lower edge; never the constant one.
    const fn first_coefficient(&self) -> usize {
        (self.place(self.lower_hz) as usize).saturating_add(1)
    }

    /// Fourier coefficients between the edges.
    const fn coefficients(&self) -> usize {
        let place = self.place(self.upper_hz);
        let below = place as usize;
        let end = if (below as f32) < place { below.saturating_add(1) } else { below };
        end.saturating_sub(self.first_coefficient())
    }

    /// A frequency counted in Fourier coefficients.
    const fn place(&self, hz: f32) -> f32 {
        hz * self.fft.length() as f32 / self.sample_rate_hz
    }

    pub(super) fn check(&self) -> Result<(), FrontendError> {
        let points = self.fft.length();
        check_setting("sample_rate_hz", self.sample_rate_hz, |v| v > 0.0)?;
        check_range("frame_length", self.frame_length, 2, points)?;
        check_range("frame_step", self.frame_step, 1, self.frame_length)?;
        check_range("bands", self.bands, 1, points / 2)?;
        check_setting("lower_hz", self.lower_hz, |v| v >= 0.0)?;
        check_setting("upper_hz", self.upper_hz, |v| v > self.lower_hz && v <= self.sample_rate_hz / 2.0)?;
        check_setting("upper_hz", self.upper_hz, |v| self.above_lower_edge(v) > 0.0)?;
        check_setting("floor", self.floor, |v| v >= f32::MIN_POSITIVE)
    }

    /// How far a frequency is above the lower edge, on the mel scale and in no unit.
    ///
    /// `mel(f) = 1127 ln(1 + f / 700)`, so `mel(f) - mel(l)` is proportional to `ln(1 + (f - l) / (700 + l))`.
    fn above_lower_edge(&self, hz: f32) -> f32 {
        libm::log1pf((hz - self.lower_hz) / (700.0 + self.lower_hz))
    }
}

/// Log-mel features of a stream of samples, frame by frame.
///
/// A frame is weighted with a periodic Hann window and Fourier transformed; the magnitudes or powers of the
/// coefficients are summed up in triangular bands, evenly spaced on the mel scale of HTK (`1127 ln(1 + f / 700)`), each
/// 1 at its centre and 0 at the centres of its neighbours; the constant coefficient is left out. A feature is
/// `ln(sum + floor)`. This is what TensorFlow computes with `tf.signal.stft`, `tf.signal.linear_to_mel_weight_matrix` and
/// `tf.math.log`. The arithmetic is f32, in one order, with `libm`: the same bits wherever floats are IEEE, and within
/// 1e-5 of exact arithmetic for sound with energy in every band. Samples have to be finite; others spoil the rows whose
/// frames hold them.
///
/// It takes [`MelSettings::workspace`] values of the caller's and no other memory but a few words and the stack of the
/// Fourier transform.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogMel<'w> {
    settings: MelSettings,
    /// The samples of the next frame, as far as they came.
    frame: &'w mut [f32],
    filled: usize,
    /// The first half of the window, its middle included.
    window: &'w mut [f32],
    spectrum: &'w mut [f32],
    /// For each coefficient in use, how many bands its frequency is above the lower edge. It is in band `n` where that is
    /// from `n` to `n + 2`, at the band's centre in the middle.
    places: &'w mut [f32],
    row: &'w mut [f32],
}

impl<'w> LogMel<'w> {
    /// An extractor without samples.
    ///
    /// # Errors
    /// A setting outside its range, or a workspace shorter than [`MelSettings::workspace`].
    pub fn new(settings: &MelSettings, workspace: &'w mut [f32]) -> Result<Self, FrontendError> {
        settings.check()?;
        let too_small = FrontendError::WorkspaceTooSmall { need: settings.workspace(), have: workspace.len() };
        Self::divide(settings, workspace).ok_or(too_small)
    }

    /// An extractor of checked settings; `None` for a short workspace.
    pub(super) fn divide(settings: &MelSettings, workspace: &'w mut [f32]) -> Option<Self> {
        let (frame, rest) = workspace.split_at_mut_checked(settings.frame_length)?;
        let (window, rest) = rest.split_at_mut_checked(settings.window())?;
        let (spectrum, rest) = rest.split_at_mut_checked(settings.fft.length())?;
        let (places, rest) = rest.split_at_mut_checked(settings.coefficients())?;
        let (row, _) = rest.split_at_mut_checked(settings.bands)?;

        for (n, weight) in window.iter_mut().enumerate() {
            *weight = 0.5 - 0.5 * libm::cosf(TAU * n as f32 / settings.frame_length as f32);
        }
        let bands = (settings.bands + 1) as f32 / settings.above_lower_edge(settings.upper_hz);
        for (place, coefficient) in places.iter_mut().zip(settings.first_coefficient()..) {
            let hz = coefficient as f32 * settings.sample_rate_hz / settings.fft.length() as f32;
            *place = bands * settings.above_lower_edge(hz);
        }
        Some(Self { settings: *settings, frame, filled: 0, window, spectrum, places, row })
    }

    /// Its settings.
    pub fn settings(&self) -> &MelSettings {
        &self.settings
    }

    /// Forgets the samples: the next one begins a frame.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// Takes a sample. The one that completes a frame gives its row: [`bands`](MelSettings::bands) features, lowest
    /// frequency first.
    pub fn push(&mut self, sample: f32) -> Option<&[f32]> {
        *self.frame.get_mut(self.filled)? = sample;
        self.filled += 1;
        if self.filled < self.frame.len() {
            return None;
        }
        self.compute()?;
        let step = self.settings.frame_step.min(self.filled);
        self.frame.rotate_left(step);
        self.filled -= step;
        Some(self.row)
    }

    /// The row of a whole frame.
    fn compute(&mut self) -> Option<()> {
        let (frame, zeros) = self.spectrum.split_at_mut_checked(self.frame.len())?;
        // A periodic window has its middle once, and an even one its first value too.
        let even = usize::from(self.frame.len().is_multiple_of(2));
        let window = self.window.iter().chain(self.window.iter().skip(1).rev().skip(even));
        for ((weighted, sample), weight) in frame.iter_mut().zip(self.frame.iter()).zip(window) {
            *weighted = sample * weight;
        }
        zeros.fill(0.0);
        let coefficients = self.settings.fft.transform(self.spectrum)?;

        self.row.fill(0.0);
        let coefficients = coefficients.iter().skip(self.settings.first_coefficient());
        for (coefficient, place) in coefficients.zip(self.places.iter()) {
            let power = coefficient.re * coefficient.re + coefficient.im * coefficient.im;
            let level = match self.settings.spectrum {
                Spectrum::Magnitude => libm::sqrtf(power),
                Spectrum::Power => power,
            };
            // Rising in this band, falling in the one before.
            let band = *place as usize;
            let rising = place - band as f32;
            if let Some(sum) = self.row.get_mut(band) {
                *sum += rising * level;
            }
            if let Some(sum) = band.checked_sub(1).and_then(|before| self.row.get_mut(before)) {
                *sum += (1.0 - rising) * level;
            }
        }
        for sum in self.row.iter_mut() {
            *sum = libm::logf(*sum + self.settings.floor);
        }
        Some(())
    }
}
