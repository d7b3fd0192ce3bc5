//! What a device does with a user's samples, replayed on the host with the library's own learner: the same bits.

use anyhow::{Context, Result, ensure};
use nervelet::learn::{
    Adam, AdamSettings, DenseHead, FineTuneSettings, FineTuner, HeadShape, LearnError, Quantization, ReplayBuffer,
    Report, Sgd, SgdSettings,
};
use nervelet::{Model, Session};
use nervelet_compiler::AlignedBytes;
use nervelet_qemu::{Optimizer, Samples, Settings, limits};

type Replay = ReplayBuffer<{ limits::FEATURES }, { limits::SAMPLES }, { limits::CLASSES }>;

/// What learning did.
#[derive(Debug, Clone)]
pub struct Learned {
    /// Class given to each evaluation sample before.
    pub predictions_before: Vec<u8>,
    /// And after.
    pub predictions_after: Vec<u8>,
    /// The learned head: weights `[classes][features]`, then the bias.
    pub head: Vec<f32>,
    /// Epochs, steps, losses.
    pub report: Report,
}

/// Fine-tunes the head of a model on `adapt` and judges it on `eval`, before and after.
pub fn learn(bytes: &[u8], adapt: &Samples, eval: &Samples, settings: &Settings) -> Result<Learned> {
    let model = Model::from_bytes(bytes)?;
    let trained = model.head().context("the model has no trainable head: export it from a classifier")?;
    let shape = HeadShape { classes: trained.bias.len(), features: trained.features.elements() };
    let quantization = Quantization { scale: trained.features.scale, zero_point: trained.features.zero_point };
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut encoder = Encoder { session: Session::new(&model, &mut arena)?, quantization };
    let (mut weights, mut bias) = (trained.weights.to_vec(), trained.bias.to_vec());
    let mut head = DenseHead::new(shape.features, &mut weights, &mut bias)?;

    let predictions_before = encoder.judge(&head, eval)?;
    let mut replay = Replay::new(shape.features, shape.classes, settings.seed)?;
    for (inputs, label) in adapt.inputs.iter().zip(&adapt.labels) {
        replay.push(encoder.encode(inputs)?, usize::from(*label))?;
    }
    let report = match train(&mut head, &replay, quantization, settings) {
        // As the firmware: the guard has put the head back, which stays in force.
        Err(LearnError::Regressed { first_loss, .. }) => Report::unchanged(first_loss),
        report => report?,
    };
    let predictions_after = encoder.judge(&head, eval)?;
    let head = head.weights().iter().chain(head.bias()).copied().collect();
    Ok(Learned { predictions_before, predictions_after, head, report })
}

/// The frozen part of the model.
struct Encoder<'m, 'a> {
    session: Session<'m, 'a>,
    quantization: Quantization,
}

impl Encoder<'_, '_> {
    fn encode(&mut self, inputs: &[Vec<u8>]) -> Result<&[i8]> {
        self.session.reset();
        for (index, bytes) in inputs.iter().enumerate() {
            let input = self.session.input_bytes_mut(index)?;
            ensure!(input.len() == bytes.len(), "input {index} has {} bytes, {} given", input.len(), bytes.len());
            input.copy_from_slice(bytes);
        }
        Ok(self.session.features()?)
    }

    fn judge(&mut self, head: &DenseHead<'_>, samples: &Samples) -> Result<Vec<u8>> {
        let mut predictions = Vec::with_capacity(samples.inputs.len());
        for inputs in &samples.inputs {
            let quantization = self.quantization;
            let features: Vec<f32> = self.encode(inputs)?.iter().map(|code| quantization.dequantize(*code)).collect();
            predictions.push(head.predict(&features)?.class as u8);
        }
        Ok(predictions)
    }
}

fn train(
    head: &mut DenseHead<'_>,
    replay: &Replay,
    quantization: Quantization,
    settings: &Settings,
) -> Result<Report, LearnError> {
    let tuning = FineTuneSettings {
        batch: settings.batch as usize,
        max_epochs: settings.max_epochs,
        patience: settings.patience,
        anchor: settings.anchor,
        seed: settings.seed,
        ..FineTuneSettings::default()
    };
    let shape = head.shape();
    let mut workspace = vec![0.0; shape.workspace()];
    let (mut first, mut second) = (vec![0.0; shape.parameters()], vec![0.0; shape.parameters()]);
    match settings.optimizer {
        Optimizer::Sgd { learning_rate, momentum } => {
            let sgd = SgdSettings { learning_rate, momentum, ..SgdSettings::default() };
            let optimizer = Sgd::new(sgd, &mut first)?;
            FineTuner::new(tuning, optimizer, &mut workspace)?.run(head, replay, quantization)
        }
        Optimizer::Adam { learning_rate } => {
            let adam = AdamSettings { learning_rate, ..AdamSettings::default() };
            let optimizer = Adam::new(adam, &mut first, &mut second)?;
            FineTuner::new(tuning, optimizer, &mut workspace)?.run(head, replay, quantization)
        }
    }
}
