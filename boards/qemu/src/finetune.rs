//! The product: a device that learns its user's own samples.
//!
//! At boot it takes the head it learned last time from flash, or else the one the model came with. It judges it on samples that it
//! never learns from, collects labelled samples (the user labels each with a button), trains the head on them, commits it to flash
//! and judges again. The encoder stays as it is.
//!
//! On a real board the flash driver, the button and the delay come from the board's HAL, and samples from a sensor; this program would
//! stay the same.

use core::ops::ControlFlow;

use nervelet::frontend::read_label;
use nervelet::learn::{
    Adam, AdamSettings, DenseHead, FineTuneSettings, FineTuner, HeadShape, LearnError, Optimizer, Quantization,
    ReplayBuffer, Report, Sgd, SgdSettings,
};
use nervelet::store::{HeadIdentity, HeadStore, StoreError, region_bytes};
use nervelet::{Model, Session};
use nervelet_board_protocol as protocol;
use nervelet_board_protocol::limits::{CLASSES, FEATURES, PARAMETERS, SAMPLES};
use nervelet_board_protocol::{FineTuneReport, Job, Learned, Task, file};
use static_cell::{ConstStaticCell, StaticCell};

use crate::flash::{EmulatedFlash, FlashError};
use crate::host::HostFile;
use crate::job;
use crate::stack;
use crate::tensors::read_inputs;
use crate::user::{Clock, Delay, ScriptedUser};

type Replay = ReplayBuffer<FEATURES, SAMPLES, CLASSES>;

/// Memory of the learner: the head, two values a parameter for the optimizer, and the fine-tuner's workspace.
struct Memory {
    head: [f32; PARAMETERS],
    moments: [[f32; PARAMETERS]; 2],
    workspace: [f32; 2 * PARAMETERS + CLASSES + FEATURES],
    features: [f32; FEATURES],
}

static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory {
    head: [0.0; PARAMETERS],
    moments: [[0.0; PARAMETERS]; 2],
    workspace: [0.0; 2 * PARAMETERS + CLASSES + FEATURES],
    features: [0.0; FEATURES],
});

static REPLAY: StaticCell<Replay> = StaticCell::new();

/// Why the product could not do its job.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub enum Failure {
    /// What can fail in every firmware.
    Job(job::Failure),
    /// The model has no layer that can be trained.
    NoHead,
    /// The model's head is larger than the firmware's memory for it.
    HeadTooLarge {
        /// Parameters of the head.
        need: usize,
        /// Parameters there is memory for.
        have: usize,
    },
    /// Nobody pressed the button to label a sample.
    NoLabel,
    /// Learning failed; the head is as it was before.
    Learn(LearnError),
    /// The store refused; what it held is still there.
    Store(StoreError<FlashError>),
}

impl<E: Into<job::Failure>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Job(error.into())
    }
}

impl From<LearnError> for Failure {
    fn from(error: LearnError) -> Self {
        Self::Learn(error)
    }
}

impl From<StoreError<FlashError>> for Failure {
    fn from(error: StoreError<FlashError>) -> Self {
        Self::Store(error)
    }
}

/// The firmware: does its job in `arena` and ends the run.
pub fn main(arena: &mut [u8]) -> ! {
    job::serve(|job| {
        let (report, stack_bytes) = stack::measure(|| run(&job, arena));
        report.map(|report| FineTuneReport { stack_bytes: stack_bytes as u32, ..report })
    })
}

fn run(job: &Job, arena: &mut [u8]) -> Result<FineTuneReport, Failure> {
    let Task::FineTune(task) = job.task else { return Err(job::Failure::WrongFirmware.into()) };
    let model = Model::from_bytes(job::model_bytes(job)?)?;
    job::describe(&model);
    let trained = model.head().ok_or(Failure::NoHead)?;
    let shape = HeadShape { classes: trained.bias.len(), features: trained.features.elements() };
    let quantization = Quantization { scale: trained.features.scale, zero_point: trained.features.zero_point };

    let Memory { head, moments, workspace, features } = MEMORY.take();
    let too_large = Failure::HeadTooLarge { need: shape.parameters(), have: PARAMETERS };
    let parameters = head.get_mut(..shape.parameters()).ok_or(too_large)?;
    let (weights, bias) = parameters.split_at_mut_checked(shape.weights()).ok_or(too_large)?;
    let features = features.get_mut(..shape.features).ok_or(too_large)?;
    weights.copy_from_slice(trained.weights);
    bias.copy_from_slice(trained.bias);

    let flash = EmulatedFlash::open(task.cut_after)?;
    let identity = HeadIdentity { encoder: model.id(), classes: shape.classes as u32, features: shape.features as u32 };
    let region = 0..region_bytes::<EmulatedFlash>(identity.classes, identity.features);
    let mut store = HeadStore::new(flash, region, identity)?;
    let head_at_boot = match store.load_into(weights, bias) {
        Ok(generation) => Some(generation),
        Err(StoreError::NoHead | StoreError::Corrupt) => None,
        Err(error) => return Err(error.into()),
    };
    match head_at_boot {
        Some(generation) => defmt::info!("boot: found learned head {=u32} in flash", generation),
        None => defmt::info!("boot: no learned head in flash, using the model's own"),
    }
    let mut head = DenseHead::new(shape.features, weights, bias)?;

    let mut device = Device {
        session: Session::new(&model, arena)?,
        samples: HostFile::open(file::INPUTS)?,
        labels: HostFile::open(file::LABELS)?,
        quantization,
        features,
    };
    let mut predictions = HostFile::create(file::PREDICTIONS)?;
    let correct_before = device.judge(&head, task.eval_samples, &mut predictions)?;
    defmt::info!("accuracy at boot: {=u32} of {=u32}", correct_before, task.eval_samples);

    let mut learned = None;
    if task.adapt_samples > 0 {
        let replay = REPLAY.init(Replay::new(shape.features, shape.classes, task.settings.seed)?);
        device.collect(task.adapt_samples, replay)?;
        let report = match train(&mut head, replay, quantization, &task.settings, moments, workspace) {
            Err(LearnError::Regressed { first_loss, last_loss }) => {
                defmt::warn!(
                    "nothing better was learned (loss {=f32}, then {=f32}): the head stays",
                    first_loss,
                    last_loss
                );
                Report::unchanged(first_loss)
            }
            report => report?,
        };
        let generation = store.commit(head.weights(), head.bias())?;
        defmt::info!("head {=u32} is safe in flash", generation);
        learned = Some(Learned {
            samples: replay.len() as u32,
            epochs: report.epochs,
            steps: report.steps,
            first_loss: report.first_loss,
            last_loss: report.last_loss,
            generation,
        });
    }

    device.samples.seek(0)?;
    device.labels.seek(0)?;
    let correct_after = device.judge(&head, task.eval_samples, &mut predictions)?;
    defmt::info!("accuracy now: {=u32} of {=u32}", correct_after, task.eval_samples);
    let mut file = HostFile::create(file::HEAD)?;
    file.write_all(bytemuck::cast_slice(head.weights()))?;
    file.write_all(bytemuck::cast_slice(head.bias()))?;

    Ok(FineTuneReport {
        head_at_boot,
        eval_samples: task.eval_samples,
        correct_before,
        correct_after,
        learned,
        flash_steps: store.release().steps(),
        arena_bytes: model.arena_bytes() as u32,
        learner_bytes: (size_of::<Memory>() + size_of::<Replay>()) as u32,
        stack_bytes: 0,
    })
}

/// The frozen encoder at work, and where samples and labels come from.
struct Device<'m, 'a> {
    session: Session<'m, 'a>,
    samples: HostFile,
    labels: HostFile,
    quantization: Quantization,
    /// The features of one sample as real numbers.
    features: &'a mut [f32],
}

impl Device<'_, '_> {
    /// Takes a sample and encodes it.
    fn sense(&mut self) -> Result<&[i8], Failure> {
        self.session.reset();
        read_inputs(&mut self.session, &mut self.samples)?;
        Ok(self.session.features()?)
    }

    /// What the user knows about the sample just taken.
    fn truth(&mut self) -> Result<u8, Failure> {
        let mut label = [0];
        self.labels.read_exact(&mut label)?;
        let [label] = label;
        Ok(label)
    }

    /// Counts how many of the next `count` samples `head` gets right, and writes its predictions down.
    fn judge(&mut self, head: &DenseHead<'_>, count: u32, predictions: &mut HostFile) -> Result<u32, Failure> {
        let mut correct = 0;
        for _ in 0..count {
            let quantization = self.quantization;
            let features = core::mem::take(&mut self.features);
            let codes = self.sense()?;
            for (real, code) in features.iter_mut().zip(codes) {
                *real = quantization.dequantize(*code);
            }
            self.features = features;
            let class = head.predict(self.features)?.class as u8;
            predictions.write_all(&[class])?;
            correct += u32::from(class == self.truth()?);
        }
        Ok(correct)
    }

    /// Takes `count` samples, asks the user for the label of each and keeps their features in `replay`.
    fn collect(&mut self, count: u32, replay: &mut Replay) -> Result<(), Failure> {
        let clock = Clock::default();
        let mut delay = Delay(&clock);
        let mut user = ScriptedUser::new(&clock);
        for _ in 0..count {
            user.tell(self.truth()?);
            let Ok(label) = read_label(&mut user, &mut delay);
            let label = label.ok_or(Failure::NoLabel)?;
            replay.push(self.sense()?, usize::from(label))?;
        }
        defmt::info!("{=u32} samples labelled with the button, {=usize} kept", count, replay.len());
        Ok(())
    }
}

/// Trains `head` on what was collected.
fn train(
    head: &mut DenseHead<'_>,
    replay: &Replay,
    quantization: Quantization,
    settings: &protocol::Settings,
    moments: &mut [[f32; PARAMETERS]; 2],
    workspace: &mut [f32],
) -> Result<Report, LearnError> {
    let tuning = FineTuneSettings {
        batch: settings.batch as usize,
        max_epochs: settings.max_epochs,
        patience: settings.patience,
        anchor: settings.anchor,
        seed: settings.seed,
        ..FineTuneSettings::default()
    };
    let parameters = head.shape().parameters();
    let [first, second] = moments.each_mut().map(|moment| moment.get_mut(..parameters).unwrap_or_default());
    match settings.optimizer {
        protocol::Optimizer::Sgd { learning_rate, momentum } => {
            let sgd = SgdSettings { learning_rate, momentum, ..SgdSettings::default() };
            run_epochs(FineTuner::new(tuning, Sgd::new(sgd, first)?, workspace)?, head, replay, quantization)
        }
        protocol::Optimizer::Adam { learning_rate } => {
            let adam = AdamSettings { learning_rate, ..AdamSettings::default() };
            run_epochs(FineTuner::new(tuning, Adam::new(adam, first, second)?, workspace)?, head, replay, quantization)
        }
    }
}

fn run_epochs<O: Optimizer>(
    mut tuner: FineTuner<'_, O>,
    head: &mut DenseHead<'_>,
    replay: &Replay,
    quantization: Quantization,
) -> Result<Report, LearnError> {
    let report = tuner.run_with(head, replay, quantization, |progress| {
        defmt::debug!("epoch {=u32}: loss {=f32}", progress.epochs, progress.loss);
        ControlFlow::Continue(())
    })?;
    defmt::info!(
        "learned in {=u32} epochs, {=u32} steps: loss {=f32} -> {=f32}",
        report.epochs,
        report.steps,
        report.first_loss,
        report.last_loss
    );
    Ok(report)
}
