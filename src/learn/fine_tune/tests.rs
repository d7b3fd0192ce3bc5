use super::*;
use crate::learn::{Adam, AdamSettings, HeadShape, Sgd, SgdSettings};

const SHAPE: HeadShape = HeadShape { classes: 3, features: 4 };
const PARAMETERS: usize = SHAPE.parameters();
const WORKSPACE: usize = SHAPE.workspace();
const QUANTIZATION: Quantization = Quantization { scale: 1.0 / 64.0, zero_point: -10 };

type Buffer = ReplayBuffer<6, 30, 3>;

/// Three clusters, one a class, each along a feature of its own.
fn clusters() -> Buffer {
    let mut random = Pcg32::new(11);
    let mut buffer = Buffer::new(SHAPE.features, SHAPE.classes, 1).unwrap();
    for index in 0..30 {
        let label = index % 3;
        let mut features = [0; 4].map(|_: i8| random.below(40) as i8 - 30);
        features[label] += 70;
        buffer.push(&features, label).unwrap();
    }
    buffer
}

fn accuracy(head: &DenseHead<'_>, samples: &Buffer) -> f32 {
    let right = samples.iter().filter(|sample| {
        let mut features = [0.0; SHAPE.features];
        for (feature, code) in features.iter_mut().zip(sample.features) {
            *feature = QUANTIZATION.dequantize(*code);
        }
        head.predict(&features).unwrap().class == sample.label
    });
    right.count() as f32 / samples.len() as f32
}

/// What a run left: its result, and the parameters before and after.
struct Outcome {
    result: Result<Report, LearnError>,
    before: [f32; PARAMETERS],
    after: [f32; PARAMETERS],
    accuracy: f32,
}

fn tune(settings: FineTuneSettings, sgd: SgdSettings, samples: &Buffer) -> Outcome {
    let (mut weights, mut bias) = ([0.1, -0.2, 0.3, 0.0, 0.5, 0.2, -0.1, 0.0, 0.0, 0.2, 0.1, 0.3], [0.0; 3]);
    let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias).unwrap();
    let parameters = |head: &DenseHead<'_>| {
        let mut all = [0.0; PARAMETERS];
        all.iter_mut().zip(head.parameters()).for_each(|(copy, parameter)| *copy = *parameter);
        all
    };
    let before = parameters(&head);
    let (mut velocity, mut workspace) = ([0.0; PARAMETERS], [f32::NAN; WORKSPACE]);
    let sgd = Sgd::new(sgd, &mut velocity).unwrap();
    let mut tuner = FineTuner::new(settings, sgd, &mut workspace).unwrap();
    let result = tuner.run(&mut head, samples, QUANTIZATION);
    Outcome { result, before, after: parameters(&head), accuracy: accuracy(&head, samples) }
}

#[test]
fn learns_separable_classes_with_every_loss() {
    for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
        let settings = FineTuneSettings { loss, ..Default::default() };
        let outcome = tune(settings, SgdSettings { learning_rate: 0.05, ..Default::default() }, &clusters());
        let report = outcome.result.unwrap();
        assert!(report.last_loss < report.first_loss * 0.5, "{report:?}");
        assert_eq!(report.steps, report.epochs * 4); // 30 samples in batches of 8
        assert_eq!(outcome.accuracy, 1.0);
    }
}

#[test]
fn equal_seeds_give_equal_bits() {
    let run = |seed| {
        tune(FineTuneSettings { seed, max_epochs: 3, ..Default::default() }, SgdSettings::default(), &clusters()).after
    };
    assert_eq!(run(5).map(f32::to_bits), run(5).map(f32::to_bits));
    assert_ne!(run(5), run(6));
}

#[test]
fn an_optimizer_can_be_lent_and_used_again() {
    let (mut weights, mut bias) = ([0.0; 12], [0.0; 3]);
    let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias).unwrap();
    let (mut mean, mut variance, mut workspace) = ([0.0; PARAMETERS], [0.0; PARAMETERS], [0.0; WORKSPACE + 5]);
    let settings = AdamSettings { learning_rate: 0.05, ..AdamSettings::adamw() };
    let mut adam = Adam::new(settings, &mut mean, &mut variance).unwrap();
    for _ in 0..2 {
        let mut tuner = FineTuner::new(FineTuneSettings::default(), &mut adam, &mut workspace).unwrap();
        tuner.run(&mut head, &clusters(), QUANTIZATION).unwrap();
    }
    assert_eq!(accuracy(&head, &clusters()), 1.0);
}

#[test]
fn stops_on_a_plateau_at_the_limit_and_on_request() {
    let plateau = FineTuneSettings { min_improvement: 1e9, patience: 2, ..Default::default() };
    let report = tune(plateau, SgdSettings::default(), &clusters()).result.unwrap();
    // The first epoch always improves on nothing; two more without improvement end the run.
    assert_eq!((report.stopped_by, report.epochs), (StopReason::Plateau, 3));

    let limit = FineTuneSettings { max_epochs: 4, ..Default::default() };
    let report = tune(limit, SgdSettings::default(), &clusters()).result.unwrap();
    assert_eq!((report.stopped_by, report.epochs, report.steps), (StopReason::MaxEpochs, 4, 16));

    let (mut weights, mut bias, mut workspace) = ([0.0; 12], [0.0; 3], [0.0; WORKSPACE]);
    let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias).unwrap();
    let sgd = Sgd::new(SgdSettings { momentum: 0.0, ..Default::default() }, &mut []).unwrap();
    let mut tuner = FineTuner::new(FineTuneSettings::default(), sgd, &mut workspace).unwrap();
    let mut epochs = 0;
    let report = tuner.run_with(&mut head, &clusters(), QUANTIZATION, |progress| {
        epochs += 1;
        assert_eq!((progress.epochs, progress.steps), (epochs, 4 * epochs));
        if epochs == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let report = report.unwrap();
    assert_eq!((report.stopped_by, report.epochs), (StopReason::Requested, 2));
}

#[test]
fn divergence_leaves_the_head_as_it_was() {
    let settings = FineTuneSettings { loss: Loss::MeanSquaredError, ..Default::default() };
    let outcome = tune(settings, SgdSettings { learning_rate: 1e20, ..Default::default() }, &clusters());
    assert!(matches!(outcome.result, Err(LearnError::Diverged { epoch: 0, step: 1.. })), "{:?}", outcome.result);
    assert_eq!(outcome.before.map(f32::to_bits), outcome.after.map(f32::to_bits));
}

/// An optimizer whose last step goes wrong.
struct Breaks {
    with: f32,
    after_steps: u32,
}

impl Optimizer for Breaks {
    fn reset(&mut self) {}

    fn step(&mut self, head: &mut DenseHead<'_>, _: &[f32]) -> Result<(), LearnError> {
        self.after_steps -= 1;
        let value = if self.after_steps == 0 { self.with } else { 0.25 };
        head.parameters_mut().for_each(|parameter| *parameter = value);
        Ok(())
    }
}

#[test]
fn a_last_step_that_breaks_the_head_is_seen() {
    for with in [f32::NAN, f32::INFINITY, f32::MAX] {
        let (mut weights, mut bias, mut workspace) = ([0.5; 12], [0.75; 3], [0.0; WORKSPACE]);
        let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias).unwrap();
        let settings = FineTuneSettings { max_epochs: 2, ..Default::default() };
        let mut tuner = FineTuner::new(settings, Breaks { with, after_steps: 8 }, &mut workspace).unwrap();
        let result = tuner.run(&mut head, &clusters(), QUANTIZATION);
        assert_eq!(result, Err(LearnError::Diverged { epoch: 2, step: 8 }), "{with}");
        assert_eq!((weights, bias), ([0.5; 12], [0.75; 3]));
    }
}

#[test]
fn regression_leaves_the_head_as_it_was() {
    // The same features under every label can't be told apart: long steps only make it worse.
    let mut contradictions = Buffer::new(SHAPE.features, SHAPE.classes, 1).unwrap();
    for index in 0..30 {
        contradictions.push(&[40, -20, 0, 5], index % 3).unwrap();
    }
    let settings = FineTuneSettings { max_epochs: 1, batch: 1, ..Default::default() };
    let outcome = tune(settings, SgdSettings { learning_rate: 100.0, ..Default::default() }, &contradictions);
    match outcome.result {
        Err(LearnError::Regressed { first_loss, last_loss }) => assert!(last_loss > first_loss),
        other => panic!("{other:?}"),
    }
    assert_eq!(outcome.before.map(f32::to_bits), outcome.after.map(f32::to_bits));
}

#[test]
fn an_anchor_keeps_the_head_near() {
    let distance = |anchor| {
        let settings = FineTuneSettings { anchor, ..Default::default() };
        let outcome = tune(settings, SgdSettings { learning_rate: 0.05, ..Default::default() }, &clusters());
        outcome.result.unwrap();
        outcome.before.iter().zip(outcome.after).map(|(before, after)| (before - after).powi(2)).sum::<f32>()
    };
    let (free, near, nearest) = (distance(0.0), distance(0.1), distance(1.0));
    assert!(nearest < 0.2 * near && near < 0.5 * free && nearest > 0.0, "{free} {near} {nearest}");
}

#[test]
fn what_does_not_fit_is_named_before_anything_changes() {
    let (mut weights, mut bias, mut workspace) = ([0.0; 12], [0.0; 3], [0.0; WORKSPACE]);
    let plain = SgdSettings { momentum: 0.0, ..Default::default() };
    let settings = FineTuneSettings::default();
    let sgd = || Sgd::new(plain, &mut []).unwrap();
    for (settings, name) in [
        (FineTuneSettings { batch: 0, ..settings }, "batch"),
        (FineTuneSettings { batch: 65_536, ..settings }, "batch"),
        (FineTuneSettings { max_epochs: 0, ..settings }, "max_epochs"),
        (FineTuneSettings { patience: 0, ..settings }, "patience"),
        (FineTuneSettings { min_improvement: f32::NAN, ..settings }, "min_improvement"),
        (FineTuneSettings { anchor: -1.0, ..settings }, "anchor"),
    ] {
        match FineTuner::new(settings, sgd(), &mut workspace) {
            Err(LearnError::InvalidSetting { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{other:?}"),
        }
    }

    let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias).unwrap();
    let mut run = |workspace: &mut [f32], samples: &Buffer, quantization| {
        FineTuner::new(settings, sgd(), workspace).unwrap().run(&mut head, samples, quantization)
    };
    assert_eq!(
        run(&mut [0.0; WORKSPACE - 1], &clusters(), QUANTIZATION),
        Err(LearnError::WrongLength { part: Part::Workspace, need: WORKSPACE, have: WORKSPACE - 1 })
    );
    assert_eq!(run(&mut workspace, &Buffer::new(4, 3, 0).unwrap(), QUANTIZATION), Err(LearnError::NoSamples));
    assert_eq!(
        run(&mut workspace, &Buffer::new(5, 3, 0).unwrap(), QUANTIZATION),
        Err(LearnError::ShapeMismatch { dimension: "features", head: 4, given: 5 })
    );
    assert_eq!(
        run(&mut workspace, &Buffer::new(4, 2, 0).unwrap(), QUANTIZATION),
        Err(LearnError::ShapeMismatch { dimension: "classes", head: 3, given: 2 })
    );
    let bad = Quantization { scale: f32::INFINITY, zero_point: 0 };
    assert!(matches!(run(&mut workspace, &clusters(), bad), Err(LearnError::InvalidSetting { name: "scale", .. })));
    weights[7] = f32::NAN;
    let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias).unwrap();
    let mut tuner = FineTuner::new(settings, sgd(), &mut workspace).unwrap();
    assert_eq!(
        tuner.run(&mut head, &clusters(), QUANTIZATION),
        Err(LearnError::NotFinite { part: Part::Weights, index: 7 })
    );
}
