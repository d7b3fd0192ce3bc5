//! Wrist gestures, **simulated**: no sensor measured them.
//!
//! An accelerometer (m/s²) and a gyroscope (rad/s) on the forearm, 50 Hz, windows of 80 samples, channels
//! `ax ay az gx gy gz`; x points along the forearm to the hand, z out of the watch's face. A gesture is a course of the
//! forearm's orientation and of its acceleration; the gyroscope reads the orientation's rate, the accelerometer
//! gravity and acceleration in the sensor's frame. People differ in amplitude, tempo, posture, handedness, noise and in
//! how the sensor sits. Those of the test split wear it turned far around the forearm, as nobody in training does:
//! a network loses accuracy on them, and a little learning on the device wins it back.

use std::f32::consts::{PI, TAU};

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::{Dataset, Role, Row, Split};
use crate::random::{Generator, Purpose, stream};
use crate::recipe::GesturesSpec;

/// Samples a second.
pub const SAMPLE_RATE: f32 = 50.0;
/// Samples in a window.
pub const WINDOW: usize = 80;

const CHANNELS: [&str; 6] = ["ax", "ay", "az", "gx", "gy", "gz"];
const GRAVITY: f32 = 9.81;

type Vector = [f32; 3];
type Matrix = [Vector; 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gesture {
    Rest,
    Wave,
    Tap,
    Circle,
    Raise,
    Twist,
    Shake,
    Swipe,
}

const GESTURES: [(Gesture, &str); 8] = [
    (Gesture::Rest, "rest"),
    (Gesture::Wave, "wave"),
    (Gesture::Tap, "tap"),
    (Gesture::Circle, "circle"),
    (Gesture::Raise, "raise"),
    (Gesture::Twist, "twist"),
    (Gesture::Shake, "shake"),
    (Gesture::Swipe, "swipe"),
];

/// A simulated person with their sensor.
#[derive(Clone, Debug)]
struct User {
    amplitude: f32,
    tempo: f32,
    left_handed: bool,
    posture: Vector,
    mounting: Matrix,
    accelerometer_noise: f32,
    gyroscope_noise: f32,
    gyroscope_bias: Vector,
}

/// How one gesture is made once.
struct Repetition {
    gesture: Gesture,
    amplitude: f32,
    tempo: f32,
    /// Seconds before the gesture starts, or where in its cycle the window opens.
    delay: f32,
    lean: Vector,
}

/// Simulates the people and gestures that the recipe asks for; the same specification gives the same values.
pub(super) fn simulate(spec: &GesturesSpec) -> Dataset {
    let mut random = stream(spec.seed, Purpose::Users);
    let mut values = Vec::new();
    let mut rows = Vec::new();
    let splits = [(Split::Train, spec.train_users), (Split::Val, spec.val_users), (Split::Test, spec.test_users)];
    for (split, users) in splits {
        for number in 1..=users {
            let user = User::draw(&mut random, split == Split::Test);
            let subject = format!("{}-{number:02}", format!("{split:?}").to_lowercase());
            for repetition in 0..spec.repetitions {
                for (label, &(gesture, _)) in GESTURES.iter().enumerate() {
                    user.perform(&Repetition::draw(&mut random, gesture), &mut random, &mut values);
                    let role = match split {
                        Split::Test if repetition < spec.adapt_repetitions => Role::Adapt,
                        Split::Test => Role::Eval,
                        _ => Role::Unspecified,
                    };
                    rows.push(Row { split, subject: subject.clone(), label, role });
                }
            }
        }
    }
    Dataset {
        name: "gestures".into(),
        simulated: true,
        origin: "Simulated wrist gestures: accelerometer and gyroscope at 50 Hz. No sensor measured them.".into(),
        shape: [1, WINDOW, CHANNELS.len()],
        channels: CHANNELS.map(String::from).to_vec(),
        classes: GESTURES.map(|(_, name)| name.to_owned()).to_vec(),
        values,
        side: None,
        lengths: None,
        targets: None,
        rows,
    }
}

impl User {
    fn draw(random: &mut Generator, worn_unusually: bool) -> Self {
        let turn = if worn_unusually {
            let side = if random.random_bool(0.5) { 1.0 } else { -1.0 };
            side * random.random_range(0.8..1.2)
        } else {
            0.3 * normal(random)
        };
        Self {
            amplitude: random.random_range(0.7..1.35),
            tempo: random.random_range(0.8..1.25),
            left_handed: random.random_bool(0.3),
            posture: [0.15 * normal(random), 0.15 * normal(random), 0.3 * normal(random)],
            mounting: rotation([turn, 0.08 * normal(random), 0.12 * normal(random)]),
            accelerometer_noise: random.random_range(0.25..0.7),
            gyroscope_noise: random.random_range(0.05..0.2),
            gyroscope_bias: [0.03 * normal(random), 0.03 * normal(random), 0.03 * normal(random)],
        }
    }

    /// Appends a window of readings.
    fn perform(&self, repetition: &Repetition, random: &mut Generator, values: &mut Vec<f32>) {
        let step = 1.0 / SAMPLE_RATE;
        let orientation = |time: f32| {
            let (angles, _) = repetition.course(time * self.tempo, self.amplitude);
            rotation(add(add(angles, self.posture), repetition.lean))
        };
        for sample in 0..WINDOW {
            let time = sample as f32 * step;
            let frame = orientation(time);
            let (_, push) = repetition.course(time * self.tempo, self.amplitude);
            let mut acceleration = add(push, transposed(&frame, [0.0, 0.0, GRAVITY]));
            let mut rate = angular_rate(&orientation(time - step), &frame, &orientation(time + step), step);
            if self.left_handed {
                // A mirror image: a rate is an axial vector and keeps the mirrored axis.
                acceleration[1] = -acceleration[1];
                rate = [-rate[0], rate[1], -rate[2]];
            }
            let acceleration = transposed(&self.mounting, acceleration);
            let rate = add(transposed(&self.mounting, rate), self.gyroscope_bias);
            values.extend(acceleration.map(|value| value + self.accelerometer_noise * normal(random)));
            values.extend(rate.map(|value| value + self.gyroscope_noise * normal(random)));
        }
    }
}

impl Repetition {
    fn draw(random: &mut Generator, gesture: Gesture) -> Self {
        Self {
            gesture,
            amplitude: (1.0 + 0.3 * normal(random)).clamp(0.35, 1.8),
            tempo: (1.0 + 0.1 * normal(random)).clamp(0.75, 1.3),
            delay: random.random_range(0.0..0.7),
            lean: [0.2 * normal(random), 0.2 * normal(random), 0.2 * normal(random)],
        }
    }

    /// Roll, pitch and yaw (rad) and the acceleration in the forearm's frame (m/s²) at a time (s).
    fn course(&self, time: f32, amplitude: f32) -> (Vector, Vector) {
        let size = self.amplitude * amplitude;
        let time = time * self.tempo;
        let wave = |frequency: f32, phase: f32| (TAU * frequency * (time + self.delay) + phase).sin();
        let since = time - self.delay;
        match self.gesture {
            Gesture::Rest => ([0.0; 3], [0.1 * wave(0.4, 0.0), 0.1 * wave(0.3, 1.0), 0.1 * wave(0.5, 2.0)]),
            Gesture::Wave => (
                [0.2 * size * wave(2.0, 0.4), -1.1, 0.45 * size * wave(2.0, 0.0)],
                [0.0, 5.0 * size * wave(2.0, PI), 0.0],
            ),
            Gesture::Tap => {
                let knock: f32 = [0.1, 0.45, 0.8].iter().map(|start| ring(since - start)).sum();
                ([0.0; 3], [0.0, 0.0, 12.0 * size * knock])
            }
            Gesture::Circle => (
                [0.1 * size * wave(1.3, 0.0), 0.15 * size * wave(1.3, PI / 2.0), 0.0],
                [0.0, 4.5 * size * wave(1.3, 0.0), 4.5 * size * wave(1.3, PI / 2.0)],
            ),
            Gesture::Raise => {
                let lift = smooth_step(since / 0.8);
                ([0.0, -1.2 * lift, 0.0], [0.0, 0.0, 5.0 * size * doublet(since / 0.8)])
            }
            Gesture::Twist => ([0.9 * size * wave(1.6, 0.0), 0.0, 0.1 * wave(1.6, 0.0)], [0.0; 3]),
            Gesture::Shake => (
                [0.0, 0.1 * size * wave(4.5, 0.3), 0.0],
                [10.0 * size * wave(4.5, 0.0), 2.0 * size * wave(4.5, 0.8), 0.0],
            ),
            Gesture::Swipe => {
                let turn = smooth_step(since / 0.5);
                ([0.0, 0.0, 1.0 * size * turn], [0.0, 7.0 * size * doublet(since / 0.5), 0.0])
            }
        }
    }
}

/// The decaying ring of a knock at time 0.
fn ring(time: f32) -> f32 {
    if time < 0.0 { 0.0 } else { (-time / 0.05).exp() * (TAU * 11.0 * time).cos() }
}

/// From 0 to 1 with zero slope at both ends.
fn smooth_step(progress: f32) -> f32 {
    let x = progress.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// Speeding up, then braking.
fn doublet(progress: f32) -> f32 {
    if (0.0..=1.0).contains(&progress) { (TAU * progress).sin() } else { 0.0 }
}

fn normal(random: &mut Generator) -> f32 {
    StandardNormal.sample(random)
}

fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// Yaw, then pitch, then roll.
fn rotation([roll, pitch, yaw]: Vector) -> Matrix {
    let ((sr, cr), (sp, cp), (sy, cy)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
    [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
}

/// The transposed matrix times a vector: from the outer frame into the turned one.
fn transposed(matrix: &Matrix, vector: Vector) -> Vector {
    let row = |index: usize| (0..3).map(|outer| matrix[outer][index] * vector[outer]).sum();
    [row(0), row(1), row(2)]
}

/// The rate of turn in the turned frame, from the orientations a step before and after.
fn angular_rate(before: &Matrix, now: &Matrix, after: &Matrix, step: f32) -> Vector {
    let slope = |row: usize, column: usize| (after[row][column] - before[row][column]) / (2.0 * step);
    // The skew-symmetric matrix R^T dR/dt holds the rates.
    let skew = |i: usize, j: usize| -> f32 { (0..3).map(|outer| now[outer][i] * slope(outer, j)).sum() };
    [skew(2, 1), skew(0, 2), skew(1, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> GesturesSpec {
        GesturesSpec { train_users: 2, val_users: 1, test_users: 1, repetitions: 3, adapt_repetitions: 1, seed: 5 }
    }

    #[test]
    fn the_same_specification_gives_the_same_values() {
        assert_eq!(simulate(&small()), simulate(&small()));
        let other = simulate(&GesturesSpec { seed: 6, ..small() });
        assert_ne!(simulate(&small()).values, other.values);
    }

    #[test]
    fn splits_keep_people_apart_and_test_users_have_roles() {
        let dataset = simulate(&small());
        assert_eq!(dataset.rows.len(), 4 * 3 * 8);
        assert_eq!(dataset.subjects(Split::Train), ["train-01", "train-02"]);
        assert_eq!(dataset.subjects(Split::Test), ["test-01"]);
        assert_eq!(dataset.rows_where(|row| row.role == Role::Adapt).len(), 8);
        assert_eq!(dataset.rows_where(|row| row.role == Role::Eval).len(), 16);
        assert!(dataset.simulated);
    }

    #[test]
    fn a_resting_sensor_reads_gravity_and_no_rate() {
        let dataset = simulate(&small());
        for row in dataset.rows_where(|row| row.label == 0) {
            let example = dataset.example(row);
            for sample in example.chunks_exact(6) {
                let acceleration = sample[..3].iter().map(|value| value * value).sum::<f32>().sqrt();
                assert!((acceleration - GRAVITY).abs() < 3.0, "{acceleration}");
                assert!(sample[3..].iter().all(|rate| rate.abs() < 1.0));
            }
        }
    }

    #[test]
    fn a_steady_turn_about_x_reads_as_its_rate() {
        let rate =
            angular_rate(&rotation([-0.01, 0.3, 0.2]), &rotation([0.0, 0.3, 0.2]), &rotation([0.01, 0.3, 0.2]), 0.02);
        assert!((rate[0] - 0.5).abs() < 1e-3 && rate[1].abs() < 1e-3 && rate[2].abs() < 1e-3, "{rate:?}");
    }
}
