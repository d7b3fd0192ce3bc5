//! A board learns its user's samples exactly as the host would, and a power cut leaves the old or the new head.

use std::path::Path;

use nervelet::learn::{
    Adam, AdamSettings, DenseHead, FineTuneSettings, FineTuner, HeadShape, Quantization, ReplayBuffer,
};
use nervelet::{Model, Session};
use nervelet_compiler::AlignedBytes;
use nervelet_qemu::{Board, FineTuned, Learning, Optimizer, Outcome, Samples, Settings};

use crate::support::{CLASSES, FEATURES, board, model, samples, set};

const SETTINGS: Settings = Settings {
    max_epochs: 40,
    patience: 5,
    batch: 8,
    optimizer: Optimizer::Adam { learning_rate: 0.02 },
    anchor: 0.001,
    seed: 3,
};

/// A board with its flash, and what it is given.
struct Device {
    board: Board,
    model: AlignedBytes,
    adapt: Samples,
    eval: Samples,
    folder: tempfile::TempDir,
}

impl Device {
    fn new() -> Option<Self> {
        let board = board("qemu-m4")?;
        let model = model().unwrap().bytes;
        let adapt = samples(&model, 21, 40).unwrap();
        let eval = samples(&model, 22, 40).unwrap();
        Some(Self { board, model, adapt, eval, folder: tempfile::tempdir().unwrap() })
    }

    fn boot(&self, flash: &Path, adapt: &Samples, cut_after: Option<u32>) -> FineTuned {
        self.board.finetune(&self.model, adapt, &self.eval, SETTINGS, flash, cut_after).unwrap()
    }

    /// A boot that is not cut short and learns nothing: what is in flash.
    fn look(&self, flash: &Path) -> Learning {
        done(self.boot(flash, &Samples::default(), None))
    }
}

fn done(result: FineTuned) -> Learning {
    match result.outcome {
        Outcome::Done(learning) => *learning,
        Outcome::PowerCut => panic!("the power failed: {:?}", result.log),
    }
}

#[test]
fn learns_as_the_host_does_and_remembers() {
    let Some(device) = Device::new() else { return };
    let flash = device.folder.path().join("flash.bin");
    let first = done(device.boot(&flash, &device.adapt, None));
    let learned = first.report.learned.expect("there was something to learn");
    assert_eq!(first.report.head_at_boot, None);
    assert!(learned.last_loss < learned.first_loss / 2.0, "{learned:?}");
    assert!(first.report.correct_after >= first.report.correct_before + 8, "{:?}", first.report);
    assert_eq!(first.head, host_head(&device), "the host learns the same head, bit for bit");
    let correct =
        |predictions: &[u8]| predictions.iter().zip(&device.eval.labels).filter(|(p, l)| p == l).count() as u32;
    assert_eq!(correct(&first.predictions_before), first.report.correct_before);
    assert_eq!(correct(&first.predictions_after), first.report.correct_after);

    let second = device.look(&flash);
    assert_eq!(second.report.head_at_boot, Some(learned.generation));
    assert_eq!(second.report.learned, None);
    assert_eq!(second.report.flash_steps, 0, "looking writes nothing");
    assert_eq!(second.head, first.head);
    assert_eq!(second.predictions_before, first.predictions_after);
}

#[test]
fn a_power_cut_leaves_the_old_or_the_new_head() {
    let Some(device) = Device::new() else { return };
    let flash = device.folder.path().join("flash.bin");
    let old = done(device.boot(&flash, &device.adapt, None));
    let image = std::fs::read(&flash).unwrap();

    // The next lesson, whole, to know how many flash steps it takes and what it leaves.
    let lesson = samples(&device.model, 23, 24).unwrap();
    let new = done(device.boot(&flash, &lesson, None));
    assert_ne!(new.head, old.head);
    let steps = new.report.flash_steps;
    assert!(steps > 4 * (CLASSES * (FEATURES + 1)) as u32, "{steps} steps");

    let (mut olds, mut news) = (0, 0);
    let spread = (0..8).map(|i| 1 + i * (steps - 1) / 7);
    for cut in spread.chain([2, steps - 2, steps - 1, steps + 1]) {
        std::fs::write(&flash, &image).unwrap();
        let cut_short = device.boot(&flash, &lesson, Some(cut));
        assert_eq!(matches!(cut_short.outcome, Outcome::PowerCut), cut <= steps, "cut in step {cut} of {steps}");
        let after = device.look(&flash);
        if after.head == old.head {
            assert_eq!(after.report.head_at_boot, old.report.learned.map(|learned| learned.generation));
            olds += 1;
        } else {
            assert_eq!(after.head, new.head, "cut in step {cut} of {steps}");
            news += 1;
        }
        // Whatever the cut left in flash, the next lesson can be learned and kept.
        let again = done(device.boot(&flash, &lesson, None));
        assert_eq!(device.look(&flash).head, again.head);
    }
    assert!(olds > 0 && news > 0, "{olds} old, {news} new");
}

/// The head that the host's own learner makes of the samples.
fn host_head(device: &Device) -> Vec<f32> {
    let model = Model::from_bytes(&device.model).unwrap();
    let mut arena = AlignedBytes::zeroed(model.arena_bytes());
    let mut session = Session::new(&model, &mut arena).unwrap();
    let own = model.head().unwrap();
    let quantization = Quantization { scale: own.features.scale, zero_point: own.features.zero_point };
    let shape = HeadShape { classes: CLASSES, features: FEATURES };
    let mut replay = ReplayBuffer::<FEATURES, 256, 64>::new(FEATURES, CLASSES, SETTINGS.seed).unwrap();
    for (inputs, label) in device.adapt.inputs.iter().zip(&device.adapt.labels) {
        set(&mut session, &inputs[0]).unwrap();
        replay.push(session.features().unwrap(), usize::from(*label)).unwrap();
    }

    let (mut weights, mut bias) = (own.weights.to_vec(), own.bias.to_vec());
    let mut head = DenseHead::new(FEATURES, &mut weights, &mut bias).unwrap();
    let (mut mean, mut variance) = (vec![0.0; shape.parameters()], vec![0.0; shape.parameters()]);
    let mut workspace = vec![0.0; shape.workspace()];
    let Optimizer::Adam { learning_rate } = SETTINGS.optimizer else { panic!("the test uses Adam") };
    let settings = AdamSettings { learning_rate, ..AdamSettings::default() };
    let adam = Adam::new(settings, &mut mean, &mut variance).unwrap();
    let tuning = FineTuneSettings {
        batch: SETTINGS.batch as usize,
        max_epochs: SETTINGS.max_epochs,
        patience: SETTINGS.patience,
        anchor: SETTINGS.anchor,
        seed: SETTINGS.seed,
        ..FineTuneSettings::default()
    };
    FineTuner::new(tuning, adam, &mut workspace).unwrap().run(&mut head, &replay, quantization).unwrap();
    head.parameters().copied().collect()
}
