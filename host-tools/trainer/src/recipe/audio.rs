//! Recordings, and the features that are made of them.

use anyhow::{Result, bail};
use nervelet::frontend::{Fft, MelSettings, MfccSettings, Spectrum};
use serde::{Deserialize, Serialize};

use super::Source;

/// A folder of WAV files of one channel of 16 bits, described by `manifest.csv` and `meta.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AudioFolderSpec {
    /// The folder's name under the data folder.
    pub name: String,
    /// The folder itself, instead; relative to the recipe.
    #[serde(default)]
    pub path: Option<String>,
    /// Manifest column with the file of each example.
    #[serde(default = "wav")]
    pub file: String,
    /// Manifest column with the class number.
    #[serde(default = "super::dataset::label")]
    pub label: String,
    /// Manifest column that names whom or what an example is from; ignored when the manifest has none.
    #[serde(default = "super::dataset::subject")]
    pub subject: String,
    /// Manifest column with train, val or test.
    #[serde(default = "super::dataset::split")]
    pub split: String,
    /// Manifest column with adapt or eval; ignored when the manifest has none.
    #[serde(default = "super::dataset::role")]
    pub role: String,
    /// The classes an autoencoder learns as normal; all others count as anomalies. Empty: all classes.
    #[serde(default)]
    pub normal: Vec<String>,
    /// Frames of an example. What is longer is cut.
    pub steps: usize,
    /// Whether shorter clips end where they end, and the network is told. Otherwise silence follows.
    #[serde(default)]
    pub lengths: bool,
    /// What is made of a frame.
    pub features: AudioFeatures,
}

/// Log-mel features, or their cepstral coefficients: [`nervelet::frontend`] documents them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AudioFeatures {
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples of a frame.
    pub frame_length: usize,
    /// Samples from one frame to the next.
    pub frame_step: usize,
    /// Samples that are Fourier transformed: a power of two from 64 to 2048, no fewer than a frame has.
    pub fft: usize,
    /// Mel bands.
    pub bands: usize,
    /// Lower edge of the first band in Hz.
    #[serde(default = "lower_hz")]
    pub lower_hz: f32,
    /// Upper edge of the last band in Hz; half the sample rate when left out.
    #[serde(default)]
    pub upper_hz: Option<f32>,
    /// What a band sums up.
    #[serde(default)]
    pub spectrum: SpectrumKind,
    /// Added to an energy before its logarithm.
    #[serde(default = "floor")]
    pub floor: f32,
    /// Cepstral coefficients that are kept; without, the features are the logarithms themselves.
    #[serde(default)]
    pub coefficients: Option<usize>,
}

/// What a band sums up.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SpectrumKind {
    /// Absolute values of the Fourier coefficients.
    #[default]
    Magnitude,
    /// Their squares.
    Power,
}

impl AudioFolderSpec {
    pub(super) fn check(&self, source: &Source) -> Result<()> {
        if !(1..=100_000).contains(&self.steps) {
            return Err(source.error(&["dataset", "steps"], format!("must be from 1 to 100000, is {}", self.steps)));
        }
        let (frame, step) = (self.features.frame_length, self.features.frame_step);
        if step == 0 || step > frame {
            let message = format!("must be from 1 to frame_length ({frame}), is {step}");
            return Err(source.error(&["dataset", "features", "frame_step"], message));
        }
        match self.features.settings() {
            Ok(_) => Ok(()),
            Err(error) => Err(source.error(&["dataset", "features", "fft"], error.to_string())),
        }
    }
}

impl AudioFeatures {
    /// Values of a frame.
    pub fn channels(&self) -> usize {
        self.coefficients.unwrap_or(self.bands)
    }

    /// The settings of the library's frontend; a device has the same.
    ///
    /// # Errors
    /// When there is no Fourier transform of the length.
    pub fn settings(&self) -> Result<MfccSettings> {
        let fft = match self.fft {
            64 => Fft::N64,
            128 => Fft::N128,
            256 => Fft::N256,
            512 => Fft::N512,
            1024 => Fft::N1024,
            2048 => Fft::N2048,
            other => bail!("must be 64, 128, 256, 512, 1024 or 2048, is {other}"),
        };
        let sample_rate_hz = self.sample_rate as f32;
        let mel = MelSettings {
            sample_rate_hz,
            frame_length: self.frame_length,
            frame_step: self.frame_step,
            fft,
            spectrum: match self.spectrum {
                SpectrumKind::Magnitude => Spectrum::Magnitude,
                SpectrumKind::Power => Spectrum::Power,
            },
            bands: self.bands,
            lower_hz: self.lower_hz,
            upper_hz: self.upper_hz.unwrap_or(sample_rate_hz / 2.0),
            floor: self.floor,
        };
        Ok(MfccSettings { mel, coefficients: self.channels() })
    }
}

fn wav() -> String {
    "wav".into()
}

fn lower_hz() -> f32 {
    20.0
}

fn floor() -> f32 {
    1e-6
}
