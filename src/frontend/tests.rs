//! Features against the definitions, written down in f64 without a fast transform, a table or a shared line.

use core::f64::consts::PI;

use super::*;
use crate::learn::Pcg32;

const KWS: MfccSettings = MfccSettings::MLPERF_TINY_KWS;

/// Noise with two tones, between -1 and 1.
fn sound(samples: usize) -> Vec<f32> {
    let mut random = Pcg32::new(7);
    let tone = |t: usize, period: f64| (2.0 * PI * t as f64 / period).sin();
    let noise = (0..samples).map(|t| (t, f64::from(random.below(1 << 20)) / f64::from(1 << 19) - 1.0));
    noise.map(|(t, noise)| (0.3 * noise + 0.4 * tone(t, 31.7) + 0.3 * tone(t, 9.3)) as f32).collect()
}

/// The log-mel row of a frame.
fn log_mel(settings: &MelSettings, frame: &[f32]) -> Vec<f64> {
    let points = settings.fft.length();
    let windowed = frame.iter().enumerate().map(|(n, sample)| {
        let weight = (1.0 - (2.0 * PI * n as f64 / frame.len() as f64).cos()) / 2.0;
        weight * f64::from(*sample)
    });
    let windowed: Vec<f64> = windowed.collect();
    let levels = (0..=points / 2).map(|bin| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, value) in windowed.iter().enumerate() {
            let angle = 2.0 * PI * ((bin * n) % points) as f64 / points as f64;
            re += value * angle.cos();
            im -= value * angle.sin();
        }
        match settings.spectrum {
            Spectrum::Magnitude => (re * re + im * im).sqrt(),
            Spectrum::Power => re * re + im * im,
        }
    });
    let levels: Vec<f64> = levels.collect();
    let weights = |band| triangle(settings, band);
    let sum = |band| levels.iter().zip(weights(band)).map(|(level, weight)| level * weight).sum::<f64>();
    (0..settings.bands).map(|band| (sum(band) + f64::from(settings.floor)).ln()).collect()
}

/// Weights of a band for each Fourier coefficient, by the slopes of its two sides.
fn triangle(settings: &MelSettings, band: usize) -> Vec<f64> {
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (lowest, highest) = (mel(settings.lower_hz.into()), mel(settings.upper_hz.into()));
    let edge = |index: usize| lowest + (highest - lowest) * index as f64 / (settings.bands + 1) as f64;
    let (lower, centre, upper) = (edge(band), edge(band + 1), edge(band + 2));
    let points = settings.fft.length();
    let weight = |bin: usize| {
        let place = mel(bin as f64 * f64::from(settings.sample_rate_hz) / points as f64);
        let sides = ((place - lower) / (centre - lower)).min((upper - place) / (upper - centre));
        if bin == 0 { 0.0 } else { sides.max(0.0) }
    };
    (0..=points / 2).map(weight).collect()
}

fn cepstrum(row: &[f64], coefficients: usize) -> Vec<f64> {
    let bands = row.len() as f64;
    let angle = |k: usize, n: usize| PI * k as f64 * (n as f64 + 0.5) / bands;
    let sum = |k: usize| row.iter().enumerate().map(|(n, value)| value * angle(k, n).cos()).sum::<f64>();
    (0..coefficients).map(|k| (2.0 / bands).sqrt() * sum(k)).collect()
}

fn largest_difference(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    // NaN has to lose every comparison.
    let differences = found.iter().zip(expected).map(|(found, expected)| (f64::from(*found) - expected).abs());
    differences.fold(0.0, |worst, difference| if difference <= worst { worst } else { difference })
}

#[test]
fn log_mel_features_are_those_of_the_definition() {
    let other = MelSettings {
        sample_rate_hz: 8_000.0,
        frame_length: 201,
        frame_step: 77,
        fft: Fft::N256,
        spectrum: Spectrum::Power,
        bands: 20,
        lower_hz: 300.0,
        upper_hz: 4_000.0,
        floor: 0.01,
    };
    let long = MelSettings { frame_length: 2_048, frame_step: 2_048, fft: Fft::N2048, ..KWS.mel };
    let short = MelSettings { frame_length: 64, frame_step: 1, fft: Fft::N64, bands: 12, ..KWS.mel };
    // The definition's transform of 2,048 points takes an interpreter half an hour.
    let settings = if cfg!(miri) { &[short][..] } else { &[KWS.mel, other, long, short] };
    for settings in settings {
        let sound = sound(settings.frame_length + 5 * settings.frame_step / 2);
        let mut workspace = vec![f32::NAN; settings.workspace()];
        let mut mel = LogMel::new(settings, &mut workspace).unwrap();
        let mut rows = 0;
        for (t, sample) in sound.iter().enumerate() {
            let Some(row) = mel.push(*sample) else { continue };
            let begin = rows * settings.frame_step;
            assert_eq!(t + 1, begin + settings.frame_length);
            let expected = log_mel(settings, &sound[begin..=t]);
            let difference = largest_difference(row, &expected);
            println!("{} points, row {rows}: {difference:e}", settings.fft.length());
            assert!(difference < 1e-5, "{difference:e}");
            rows += 1;
        }
        assert_eq!(rows, 3);
        assert_eq!(rows, settings.rows(sound.len()));
    }
}

#[test]
fn cepstral_coefficients_are_those_of_the_definition() {
    for coefficients in [1, 10, 40] {
        let mut settings = MfccSettings { coefficients, ..KWS };
        if cfg!(miri) {
            let mel = MelSettings { frame_length: 64, frame_step: 16, fft: Fft::N64, bands: 12, ..KWS.mel };
            settings = MfccSettings { mel, coefficients: coefficients.min(mel.bands) };
        }
        let sound = sound(settings.mel.frame_length + settings.mel.frame_step);
        let mut workspace = vec![f32::NAN; settings.workspace()];
        let mut mfcc = Mfcc::new(&settings, &mut workspace).unwrap();
        let mut rows = 0;
        for (t, sample) in sound.iter().enumerate() {
            let Some(row) = mfcc.push(*sample) else { continue };
            let expected = log_mel(&settings.mel, &sound[rows * settings.mel.frame_step..=t]);
            let difference = largest_difference(row, &cepstrum(&expected, settings.coefficients));
            println!("{coefficients} coefficients, row {rows}: {difference:e}");
            assert!(difference < 1e-5, "{difference:e}");
            rows += 1;
        }
        assert_eq!(rows, 2);
    }
}

#[test]
fn silence_is_the_floor_alone() {
    let mut workspace = [f32::NAN; KWS.workspace()];
    let mut mfcc = Mfcc::new(&KWS, &mut workspace).unwrap();
    let mut rows = 0;
    for _ in 0..16_000 {
        let Some(row) = mfcc.push(0.0) else { continue };
        let floor = (2.0_f64 / 40.0).sqrt() * 40.0 * 1e-6_f64.ln();
        assert!((f64::from(row[0]) - floor).abs() < 1e-4, "{row:?}, not {floor}");
        assert!(row[1..].iter().all(|coefficient| coefficient.abs() < 1e-4), "{row:?}");
        rows += 1;
    }
    assert_eq!(rows, 49);
    assert_eq!(KWS.mel.rows(16_000), 49);
    assert_eq!(KWS.mel.rows(479), 0);
}

#[test]
fn after_a_reset_nothing_is_left_of_the_past() {
    let sound = sound(KWS.mel.frame_length);
    let mut workspace = [0.0; KWS.workspace()];
    let mut mfcc = Mfcc::new(&KWS, &mut workspace).unwrap();
    let row = |mfcc: &mut Mfcc<'_>| sound.iter().find_map(|sample| mfcc.push(*sample).map(<[f32]>::to_vec));
    let first = row(&mut mfcc);
    assert!(first.is_some());
    assert_ne!(row(&mut mfcc), first);
    mfcc.reset();
    assert_eq!(row(&mut mfcc), first);
}

#[test]
fn what_a_clip_is_divided_by() {
    assert_eq!(clip_peak(&[3, -32_768, 12]), 12.0);
    assert_eq!(clip_peak(&[-3, -4]), -3.0);
    assert_eq!(clip_peak(&[0, -4]), 1.0);
    assert_eq!(clip_peak(&[]), 1.0);
}

#[test]
fn bad_settings_and_a_short_workspace_are_named() {
    let mut workspace = [0.0; KWS.workspace()];
    let good = KWS.mel;
    for (mel, expected) in [
        (MelSettings { sample_rate_hz: f32::NAN, ..good }, "sample_rate_hz"),
        (MelSettings { sample_rate_hz: -1.0, ..good }, "sample_rate_hz"),
        (MelSettings { frame_length: 513, ..good }, "frame_length"),
        (MelSettings { frame_length: usize::MAX, ..good }, "frame_length"),
        (MelSettings { frame_length: 1, ..good }, "frame_length"),
        (MelSettings { frame_step: 0, ..good }, "frame_step"),
        (MelSettings { frame_step: 481, ..good }, "frame_step"),
        (MelSettings { bands: 257, ..good }, "bands"),
        (MelSettings { lower_hz: -1.0, ..good }, "lower_hz"),
        (MelSettings { lower_hz: 4_000.0, ..good }, "upper_hz"),
        (MelSettings { upper_hz: 8_001.0, ..good }, "upper_hz"),
        (MelSettings { floor: 0.0, ..good }, "floor"),
        (MelSettings { floor: f32::INFINITY, ..good }, "floor"),
    ] {
        match Mfcc::new(&MfccSettings { mel, coefficients: 1 }, &mut workspace).map(|_| ()) {
            Err(FrontendError::InvalidSetting { name, .. } | FrontendError::OutOfRange { name, .. }) => {
                assert_eq!(name, expected);
            }
            other => panic!("{mel:?}: {other:?}"),
        }
    }
    let (least, most) = (1, 40);
    for value in [0, 41] {
        let found = Mfcc::new(&MfccSettings { coefficients: value, ..KWS }, &mut workspace).map(|_| ());
        assert_eq!(found, Err(FrontendError::OutOfRange { name: "coefficients", value, least, most }));
    }
    let (need, have) = (1_491, 1_490);
    let found = Mfcc::new(&KWS, &mut workspace[..have]).map(|_| ());
    assert_eq!(found, Err(FrontendError::WorkspaceTooSmall { need, have }));
    let need = KWS.mel.workspace();
    let found = LogMel::new(&KWS.mel, &mut workspace[..need - 1]).map(|_| ());
    assert_eq!(found, Err(FrontendError::WorkspaceTooSmall { need, have: need - 1 }));
}
