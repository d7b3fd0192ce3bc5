//! The head store loses power at every byte of every write and in every block of every erase, in
//! several ways each: what boots is the whole old or the whole new head, and the next commit works.

#[path = "support/flash.rs"]
mod flash;

use flash::{MockError, NorMock, Tear};
use nervelet::learn::Pcg32;
use nervelet::store::{HeadIdentity, HeadStore, StoreError, region_bytes};

/// Classes and features of a head that fits one chunk of the payload, and of one that needs three.
const SMALL: (u32, u32) = (3, 5);
const LARGE: (u32, u32) = (5, 31);

/// The number of a head; its parameters follow from it.
type Number = u64;

fn head(number: Number, (classes, features): (u32, u32)) -> (Vec<f32>, Vec<f32>) {
    let mut random = Pcg32::new(number);
    let mut values = |count| (0..count).map(|_| random.next_u32() as f32 / 1e9 - 2.0).collect();
    (values(classes * features), values(classes))
}

/// What a user sees: the head that loads, and the one on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    confirmed: Option<Number>,
    trial: Option<Number>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Commit(Number),
    Try(Number),
    Confirm,
    Rollback,
}

impl Step {
    /// What is seen after the step.
    fn on(self, seen: Seen) -> Seen {
        match self {
            Self::Commit(number) => Seen { confirmed: Some(number), trial: None },
            Self::Try(number) => Seen { trial: Some(number), ..seen },
            Self::Confirm => Seen { confirmed: seen.trial.or(seen.confirmed), trial: None },
            Self::Rollback => Seen { trial: None, ..seen },
        }
    }

    /// Whether a power cut in the step may leave this.
    fn may_leave(self, before: Seen, left: Seen) -> bool {
        // Storing a head gives the older trial up; the confirmed head never.
        let without_trial = matches!(self, Self::Commit(_) | Self::Try(_)) && left == Seen { trial: None, ..before };
        left == before || left == self.on(before) || without_trial
    }
}

/// A device: a flash, and the shape of its head.
#[derive(Clone)]
struct Device<const READ: usize, const WRITE: usize, const ERASE: usize> {
    flash: NorMock<READ, WRITE, ERASE>,
    shape: (u32, u32),
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> Device<READ, WRITE, ERASE> {
    /// A new flash: one block of something else before the region and one behind.
    fn new(shape: (u32, u32)) -> Self {
        let region = region_bytes::<NorMock<READ, WRITE, ERASE>>(shape.0, shape.1) as usize;
        let mut bytes = vec![0xff; region + 2 * ERASE];
        bytes[..ERASE].fill(0x5a);
        bytes[region + ERASE..].fill(0xa5);
        Self { flash: NorMock::with_content(bytes), shape }
    }

    fn store(&mut self) -> HeadStore<&mut NorMock<READ, WRITE, ERASE>> {
        let region = ERASE as u32..(self.flash.bytes.len() - ERASE) as u32;
        let identity = HeadIdentity { encoder: *b"an encoder's id.", classes: self.shape.0, features: self.shape.1 };
        HeadStore::new(&mut self.flash, region, identity).unwrap()
    }

    fn run(&mut self, step: Step) -> Result<(), StoreError<MockError>> {
        let shape = self.shape;
        let mut store = self.store();
        match step {
            Step::Commit(number) => store.commit(&head(number, shape).0, &head(number, shape).1).map(|_| ()),
            Step::Try(number) => store.commit_trial(&head(number, shape).0, &head(number, shape).1).map(|_| ()),
            Step::Confirm => store.confirm().map(|_| ()),
            Step::Rollback => store.rollback(),
        }
    }

    /// Boots: the power comes back, and everything is loaded. Heads other than the known ones
    /// are a failure, and so is anything that changed outside of the region.
    fn boot(&mut self, known: &[Number]) -> Seen {
        self.flash.power_on();
        let end = self.flash.bytes.len() - ERASE;
        assert!(self.flash.bytes[..ERASE].iter().all(|byte| *byte == 0x5a), "written before the region");
        assert!(self.flash.bytes[end..].iter().all(|byte| *byte == 0xa5), "written behind the region");
        let shape = self.shape;
        let (mut weights, mut bias) = (vec![0.0; (shape.0 * shape.1) as usize], vec![0.0; shape.0 as usize]);
        let name = |weights: &Vec<f32>, bias: &Vec<f32>| {
            let loaded = (weights.clone(), bias.clone());
            *known.iter().find(|number| head(**number, shape) == loaded).expect("a head that nobody stored")
        };
        let mut store = self.store();
        let confirmed = match store.load_into(&mut weights, &mut bias) {
            Ok(_) => Some(name(&weights, &bias)),
            Err(StoreError::NoHead | StoreError::Corrupt | StoreError::Flash(MockError::Unreadable)) => None,
            Err(other) => panic!("{other}"),
        };
        let trial = match store.load_trial_into(&mut weights, &mut bias) {
            Ok(_) => Some(name(&weights, &bias)),
            Err(StoreError::NoTrial) => None,
            Err(other) => panic!("{other}"),
        };
        Seen { confirmed, trial }
    }
}

/// Prepares a device with `before`, then cuts the power at every point of `step`, in every way.
/// Returns the number of cuts.
fn cut_everywhere<const READ: usize, const WRITE: usize, const ERASE: usize>(
    shape: (u32, u32),
    before: &[Step],
    step: Step,
) -> u64 {
    let known = [1, 2, 3, 4, 90];
    let mut prepared = Device::<READ, WRITE, ERASE>::new(shape);
    let mut seen = Seen::default();
    for step in before {
        prepared.run(*step).unwrap();
        seen = step.on(seen);
        assert_eq!(prepared.boot(&known), seen);
    }
    let mut whole = prepared.clone();
    whole.run(step).unwrap();
    assert_eq!(whole.boot(&known), step.on(seen));
    let points = whole.flash.points - prepared.flash.points;

    let mut cuts = 0;
    // Miri is slow: it checks a sample of the points.
    let stride = if cfg!(miri) { 97 } else { 1 };
    for point in (0..points).step_by(stride) {
        // A torn block has many shapes, and there are few erases: each way of tearing is tried often.
        let is_erase = whole.flash.erases.contains(&(prepared.flash.points + point));
        let seeds = if is_erase && !cfg!(miri) { 50 } else { 1 };
        for (tear, seed) in Tear::ALL.into_iter().flat_map(|tear| (0..seeds).map(move |seed| (tear, seed))) {
            let context =
                || format!("write {WRITE}, erase {ERASE}: {step:?} after {before:?}, {tear:?} {seed} at {point}");
            let mut device = prepared.clone();
            device.flash.cut_power_at(point, tear, 1000 * point + seed);
            // The error is the driver's own; only a cut after the last byte may pass as success.
            let result = device.run(step);
            assert!(matches!(result, Err(StoreError::Flash(_) | StoreError::NotKept)), "{result:?} {}", context());
            let left = device.boot(&known);
            assert!(step.may_leave(seen, left), "{left:?} {}", context());

            // What was interrupted can be done again.
            if step.on(left) != left {
                let mut again = device.clone();
                again.run(step).unwrap_or_else(|error| panic!("{error} {}", context()));
                assert_eq!(again.boot(&known), step.on(left), "{}", context());
            }
            // The next commit works, and so does a trial that is confirmed.
            for next in [&[Step::Commit(90)][..], &[Step::Try(90), Step::Confirm], &[Step::Try(90), Step::Rollback]] {
                let (mut device, mut seen) = (device.clone(), left);
                for step in next {
                    device.run(*step).unwrap_or_else(|error| panic!("{error} {}", context()));
                    seen = step.on(seen);
                }
                assert_eq!(device.boot(&known), seen, "{}", context());
            }
            cuts += 1;
        }
    }
    cuts
}

/// Every kind of step, from every state that matters to it.
fn all_steps<const READ: usize, const WRITE: usize, const ERASE: usize>(shape: (u32, u32)) {
    use Step::{Commit, Confirm, Rollback, Try};
    let mut cuts = 0;
    for (before, step) in [
        (&[][..], Commit(1)),
        (&[Commit(1)], Commit(2)),
        (&[Commit(1), Commit(2)], Commit(3)),
        (&[Commit(1), Commit(2), Commit(3)], Commit(4)),
        (&[Commit(1), Try(2)], Commit(3)),
        (&[Try(1)], Commit(2)),
        (&[Try(1), Confirm, Try(2), Confirm], Commit(3)),
        (&[], Try(1)),
        (&[Commit(1)], Try(2)),
        (&[Commit(1), Commit(2)], Try(3)),
        (&[Commit(1), Try(2)], Try(3)),
        (&[Try(1)], Try(2)),
        (&[Try(1)], Confirm),
        (&[Commit(1), Try(2)], Confirm),
        (&[Try(1)], Rollback),
        (&[Commit(1), Try(2)], Rollback),
    ] {
        cuts += cut_everywhere::<READ, WRITE, ERASE>(shape, before, step);
    }
    println!("write {WRITE}, erase {ERASE}, {shape:?}: {cuts} power cuts");
}

#[test]
fn write_1() {
    all_steps::<1, 1, 64>(SMALL);
    all_steps::<1, 1, 4096>(SMALL);
}

#[test]
fn write_2() {
    all_steps::<1, 2, 128>(SMALL);
}

#[test]
fn write_4() {
    all_steps::<4, 4, 256>(SMALL);
    all_steps::<1, 4, 512>(LARGE);
}

#[test]
fn write_8() {
    all_steps::<1, 8, 32>(SMALL);
}

#[test]
fn write_16() {
    all_steps::<1, 16, 128>(SMALL);
}

#[test]
fn write_32() {
    all_steps::<4, 32, 1024>(SMALL);
}

#[test]
fn write_64() {
    all_steps::<64, 64, 64>(SMALL);
}

#[test]
fn write_128() {
    all_steps::<1, 128, 256>(SMALL);
}

#[test]
fn write_256() {
    all_steps::<256, 256, 4096>(SMALL);
}

/// Long random lives: any step, the power going at any point of about half of them, again and
/// again, also while an earlier cut is being mended.
fn random_lives<const READ: usize, const WRITE: usize, const ERASE: usize>(shape: (u32, u32)) {
    let (lives, steps) = if cfg!(miri) { (1, 10) } else { (100, 100) };
    let mut cuts = 0;
    for life in 0..lives {
        let mut random = Pcg32::new(life);
        let mut device = Device::<READ, WRITE, ERASE>::new(shape);
        let mut seen = Seen::default();
        for number in 1..=steps {
            let step = match random.below(6) {
                0..2 => Step::Commit(number),
                2..4 => Step::Try(number),
                4 => Step::Confirm,
                _ => Step::Rollback,
            };
            if random.below(2) == 0 {
                let tear = Tear::ALL[random.below(7) as usize];
                device.flash.cut_power_at(u64::from(random.below(250)), tear, random.next_u32().into());
            }
            let known: Vec<Number> = [Some(number), seen.confirmed, seen.trial].into_iter().flatten().collect();
            let result = device.run(step);
            let lost_power = device.flash.power_on();
            let left = device.boot(&known);
            match result {
                Ok(()) => assert_eq!(left, step.on(seen), "life {life}: {step:?} of {seen:?}"),
                Err(StoreError::NoTrial) => assert!(seen.trial.is_none() && left == seen),
                Err(StoreError::NoMarkLeft) => assert!(seen.trial.is_some() && left == seen),
                Err(error) => {
                    assert!(lost_power, "life {life}: {step:?}: {error}");
                    assert!(step.may_leave(seen, left), "life {life}: {step:?} of {seen:?} left {left:?}");
                    cuts += 1;
                }
            }
            seen = left;
        }
    }
    println!("write {WRITE}, erase {ERASE}: {cuts} power cuts in {lives} lives");
}

#[test]
fn lives_with_many_cuts() {
    random_lives::<1, 1, 64>(SMALL);
    random_lives::<1, 4, 256>(LARGE);
    random_lives::<8, 8, 512>(SMALL);
    random_lives::<1, 32, 128>(SMALL);
}

#[test]
fn a_confirmation_survives_as_many_cuts_as_there_are_marks() {
    let mut device = Device::<1, 8, 256>::new(SMALL);
    device.run(Step::Commit(1)).unwrap();
    device.run(Step::Try(2)).unwrap();
    let mut spent = device.clone();
    for cut in 0..4 {
        let mut can_confirm = spent.clone();
        can_confirm.run(Step::Confirm).unwrap();
        assert_eq!(can_confirm.boot(&[1, 2]), Seen { confirmed: Some(2), trial: None });
        spent.flash.cut_power_at(3, Tear::Garbage, cut);
        assert_eq!(spent.run(Step::Confirm), Err(StoreError::Flash(MockError::PowerLost)));
        assert_eq!(spent.boot(&[1, 2]), Seen { confirmed: Some(1), trial: Some(2) });
    }
    assert_eq!(spent.run(Step::Confirm), Err(StoreError::NoMarkLeft));
    spent.run(Step::Commit(2)).unwrap();
    assert_eq!(spent.boot(&[1, 2]), Seen { confirmed: Some(2), trial: None });
}
