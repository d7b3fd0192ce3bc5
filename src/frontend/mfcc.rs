//! Mel-frequency cepstral coefficients: log-mel features with their correlation taken out.

use core::f32::consts::FRAC_PI_2;

use super::error::{FrontendError, check_range};
use super::fft::Fft;
use super::mel::{LogMel, MelSettings, Spectrum};

/// Settings of [`Mfcc`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MfccSettings {
    /// The log-mel features below.
    pub mel: MelSettings,
    /// Coefficients to keep of each frame, the first ones: from 1 to as many as there are bands.
    pub coefficients: usize,
}

impl MfccSettings {
    /// Those of the keyword spotting reference of MLPerf Tiny: of a second of 16 kHz, 49 rows of 10.
    ///
    /// Source: `get_dataset.py` of the benchmark's training scripts, feature type `mfcc`. That divides a clip by its
    /// largest sample ([`clip_peak`]) and fills it up with zeros to 16,000 samples.
    pub const MLPERF_TINY_KWS: Self = Self {
        mel: MelSettings {
            sample_rate_hz: 16_000.0,
            frame_length: 480,
            frame_step: 320,
            fft: Fft::N512,
            spectrum: Spectrum::Magnitude,
            bands: 40,
            lower_hz: 20.0,
            upper_hz: 4_000.0,
            floor: 1e-6,
        },
        coefficients: 10,
    };

    /// Length of the workspace, in f32 values: that of the log-mel features, a table of cosines and a row. 1,491 values
    /// (5,964 bytes) for [`MLPERF_TINY_KWS`](Self::MLPERF_TINY_KWS).
    pub const fn workspace(&self) -> usize {
        self.mel.workspace().saturating_add(self.cosines()).saturating_add(self.coefficients)
    }

    /// Values of half a wave, both ends counted.
    const fn cosines(&self) -> usize {
        self.mel.bands.saturating_mul(2).saturating_add(1)
    }
}

/// Cepstral coefficients of a stream of samples, frame by frame.
///
/// Coefficient `k` of the log-mel features `x` of `N` bands (see [`LogMel`]) is
/// `sqrt(2 / N) * sum over n of x[n] cos(pi k (2 n + 1) / (2 N))`: a cosine transform of type II as
/// `tf.signal.mfccs_from_log_mel_spectrograms` scales it, coefficient 0 as the others.
///
/// On a Cortex-M4F a row of [`MfccSettings::MLPERF_TINY_KWS`], its samples included, takes 65,609 instructions and
/// construction 410,000, counted under QEMU at `opt-level = "s"`.
///
/// ```
/// use nervelet::frontend::{Mfcc, MfccSettings, clip_peak};
///
/// const SETTINGS: MfccSettings = MfccSettings::MLPERF_TINY_KWS;
/// let mut workspace = [0.0; SETTINGS.workspace()];
/// let mut mfcc = Mfcc::new(&SETTINGS, &mut workspace)?;
///
/// let clip: Vec<i16> = (0..15_000).map(|t| (t * 37 % 2_000) as i16 - 1_000).collect(); // a microphone's
/// let peak = clip_peak(&clip);
/// let samples = clip.iter().map(|sample| f32::from(*sample) / peak);
/// let mut features = [0.0; 490]; // the input of a model
/// let mut rows = features.chunks_exact_mut(10);
/// for sample in samples.chain(std::iter::repeat(0.0)).take(16_000) {
///     if let Some(row) = mfcc.push(sample) {
///         rows.next().expect("49 rows").copy_from_slice(row);
///     }
/// }
/// assert!(rows.next().is_none());
/// # Ok::<(), nervelet::frontend::FrontendError>(())
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mfcc<'w> {
    mel: LogMel<'w>,
    /// Half a wave in `2 N` steps, already scaled.
    cosines: &'w mut [f32],
    row: &'w mut [f32],
}

impl<'w> Mfcc<'w> {
    /// An extractor without samples.
    ///
    /// # Errors
    /// A setting outside its range, or a workspace shorter than [`MfccSettings::workspace`].
    pub fn new(settings: &MfccSettings, workspace: &'w mut [f32]) -> Result<Self, FrontendError> {
        settings.mel.check()?;
        check_range("coefficients", settings.coefficients, 1, settings.mel.bands)?;
        let too_small = FrontendError::WorkspaceTooSmall { need: settings.workspace(), have: workspace.len() };
        Self::divide(settings, workspace).ok_or(too_small)
    }

    fn divide(settings: &MfccSettings, workspace: &'w mut [f32]) -> Option<Self> {
        let (cosines, rest) = workspace.split_at_mut_checked(settings.cosines())?;
        let (row, rest) = rest.split_at_mut_checked(settings.coefficients)?;
        let mel = LogMel::divide(&settings.mel, rest)?;

        let bands = settings.mel.bands as f32;
        let scale = libm::sqrtf(2.0 / bands);
        for (step, cosine) in cosines.iter_mut().enumerate() {
            *cosine = scale * libm::cosf(FRAC_PI_2 * step as f32 / bands);
        }
        Some(Self { mel, cosines, row })
    }

    /// The settings of the log-mel features below.
    pub fn mel_settings(&self) -> &MelSettings {
        self.mel.settings()
    }

    /// Forgets the samples: the next one begins a frame.
    pub fn reset(&mut self) {
        self.mel.reset();
    }

    /// Takes a sample. The one that completes a frame gives its row: the first
    /// [`coefficients`](MfccSettings::coefficients).
    pub fn push(&mut self, sample: f32) -> Option<&[f32]> {
        let bands = self.mel.push(sample)?;
        let period = bands.len() * 4;
        for (k, coefficient) in self.row.iter_mut().enumerate() {
            let mut sum = 0.0;
            let mut step = k;
            for band in bands {
                // The second half of a wave is the first one backwards.
                sum += band * self.cosines.get(step.min(period - step))?;
                step += 2 * k;
                if step >= period {
                    step -= period;
                }
            }
            *coefficient = sum;
        }
        Some(self.row)
    }
}

/// The largest sample of a clip, by which the keyword spotting reference of MLPerf Tiny divides the others. It is the
/// largest value, not the largest absolute one. A clip whose largest sample is 0 gives 1: the reference divides by 0.
pub fn clip_peak(clip: &[i16]) -> f32 {
    match clip.iter().max() {
        Some(0) | None => 1.0,
        Some(peak) => f32::from(*peak),
    }
}
