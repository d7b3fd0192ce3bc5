//! A folder of recordings: each row of `manifest.csv` names a WAV file, whose features the library's own frontend makes, to
//! the bit as a device does.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use nervelet::frontend::{LogMel, Mfcc};

use super::description::{origin, read_meta};
use super::manifest::{self, Columns};
use super::{Dataset, Row};
use crate::recipe::{AudioFeatures, AudioFolderSpec};

pub(super) fn load(spec: &AudioFolderSpec, folder: &Path) -> Result<Dataset> {
    let meta = read_meta(&folder.join("meta.json"))?;
    let columns = Columns {
        label: &spec.label,
        split: &spec.split,
        subject: &spec.subject,
        role: &spec.role,
        file: Some(&spec.file),
    };
    let (rows, files): (Vec<Row>, _) = manifest::read(&columns, &folder.join("manifest.csv"))?;
    let channels = spec.features.channels();
    let mut extractor = Extractor::new(&spec.features)?;
    let (mut values, mut lengths) = (Vec::with_capacity(rows.len() * spec.steps * channels), Vec::new());
    for file in &files {
        let path = folder.join(file);
        let clip = read_wav(&path, spec.features.sample_rate)?;
        let mut features = extractor.features(&clip, spec.steps, !spec.lengths)?;
        ensure!(features.iter().all(|value| value.is_finite()), "{} has features that are no numbers", path.display());
        lengths.push((features.len() / channels) as f32);
        features.resize(spec.steps * channels, 0.0);
        values.append(&mut features);
    }
    Ok(Dataset {
        name: spec.name.clone(),
        simulated: meta.simulated,
        origin: origin(&folder.join("DATASHEET.md")),
        shape: [1, spec.steps, channels],
        channels: Vec::new(),
        classes: manifest::classes(meta.classes, &rows),
        values,
        side: None,
        lengths: spec.lengths.then_some(lengths),
        targets: None,
        rows,
    })
}

/// The samples of a recording with one channel of 16 bits, from -1 to 1.
fn read_wav(path: &Path, sample_rate: u32) -> Result<Vec<f32>> {
    let mut reader = hound::WavReader::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let format = reader.spec();
    ensure!(
        format.channels == 1 && format.bits_per_sample == 16 && format.sample_format == hound::SampleFormat::Int,
        "{}: {} channels of {} bits; recordings of one channel of 16 bits are taken",
        path.display(),
        format.channels,
        format.bits_per_sample
    );
    ensure!(
        format.sample_rate == sample_rate,
        "{} has {} samples a second, the recipe's features are those of {sample_rate}",
        path.display(),
        format.sample_rate
    );
    let samples = reader.samples::<i16>().map(|sample| sample.map(|sample| f32::from(sample) / 32_768.0));
    samples.collect::<Result<_, _>>().with_context(|| format!("can't read {}", path.display()))
}

/// The library's frontend with its memory.
struct Extractor {
    features: AudioFeatures,
    workspace: Vec<f32>,
}

impl Extractor {
    fn new(features: &AudioFeatures) -> Result<Self> {
        let length = features.settings()?.workspace();
        let mut extractor = Self { features: features.clone(), workspace: vec![0.0; length] };
        // What the settings have wrong shows before the first file is read.
        extractor.push(&[], |_| true)?;
        Ok(extractor)
    }

    /// The first `steps` rows of a clip; with `silence`, so many rows as if silence followed. At least one.
    fn features(&mut self, clip: &[f32], steps: usize, silence: bool) -> Result<Vec<f32>> {
        let frame = self.features.frame_length;
        let mut clip = clip.to_vec();
        let whole = frame + (steps - 1) * self.features.frame_step;
        clip.resize(if silence { clip.len().max(whole) } else { clip.len().max(frame) }, 0.0);
        let mut values = Vec::new();
        let mut rows = 0;
        self.push(&clip, |row| {
            values.extend_from_slice(row);
            rows += 1;
            rows < steps
        })?;
        Ok(values)
    }

    /// Gives each row of the samples to `take`, until it has enough.
    fn push(&mut self, samples: &[f32], mut take: impl FnMut(&[f32]) -> bool) -> Result<()> {
        let settings = self.features.settings()?;
        let refused = |error| anyhow::anyhow!("dataset.features: {error}");
        if self.features.coefficients.is_some() {
            let mut mfcc = Mfcc::new(&settings, &mut self.workspace).map_err(refused)?;
            let _enough = samples.iter().any(|sample| mfcc.push(*sample).is_some_and(|row| !take(row)));
        } else {
            let mut mel = LogMel::new(&settings.mel, &mut self.workspace).map_err(refused)?;
            let _enough = samples.iter().any(|sample| mel.push(*sample).is_some_and(|row| !take(row)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(lengths: bool) -> AudioFolderSpec {
        let text = format!(
            "name = \"tones\"\nsteps = 8\nlengths = {lengths}\n\
             features = {{ sample_rate = 8000, frame_length = 200, frame_step = 100, fft = 256, bands = 10 }}"
        );
        toml::from_str(&text).unwrap()
    }

    fn write_tone(path: &Path, samples: usize, rate: u32) {
        let format = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, format).unwrap();
        for index in 0..samples {
            writer.write_sample(((index * 37 % 200) * 100) as i16).unwrap();
        }
        writer.finalize().unwrap();
    }

    struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn folder(name: &str, rate: u32) -> Folder {
        let folder = Folder(std::env::temp_dir().join(format!("nervelet-audio-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        // Shorter than a frame, three frames, more than eight.
        for (index, samples) in [50, 400, 5000].into_iter().enumerate() {
            write_tone(&folder.0.join(format!("{index}.wav")), samples, rate);
        }
        std::fs::write(folder.0.join("manifest.csv"), "split,label,wav\ntrain,0,0.wav\nval,1,1.wav\ntest,1,2.wav\n")
            .unwrap();
        folder
    }

    #[test]
    fn clips_have_the_lengths_of_their_sound() {
        let folder = folder("lengths", 8000);
        let masked = load(&spec(true), &folder.0).unwrap();
        assert_eq!(masked.shape, [1, 8, 10]);
        assert_eq!(masked.lengths, Some(vec![1.0, 3.0, 8.0]));
        let silent = load(&spec(false), &folder.0).unwrap();
        assert_eq!(silent.lengths, None);
        // What counts is the same either way; behind it, one has the floor's logarithm.
        assert_eq!(silent.example(1)[..20], masked.example(1)[..20]);
        assert_eq!(silent.example(1)[70], 1e-6_f32.ln());
        assert_eq!(silent.example(2), masked.example(2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = format!("{:#}", load(&spec(true), &folder("rate", 16_000).0).unwrap_err());
        assert!(error.contains("16000 samples a second") && error.contains("8000"), "{error}");
        let mut wide = spec(true);
        wide.features.upper_hz = Some(5000.0);
        let error = format!("{:#}", load(&wide, &folder("band", 8000).0).unwrap_err());
        assert!(error.contains("upper_hz"), "{error}");
        let broken = folder("broken", 8000);
        std::fs::write(broken.0.join("1.wav"), b"RIFF").unwrap();
        let error = format!("{:#}", load(&spec(true), &broken.0).unwrap_err());
        assert!(error.contains("1.wav"), "{error}");
    }
}
