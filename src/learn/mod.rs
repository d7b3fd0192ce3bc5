//! Learning on the device: the last layer is trained from the user's own samples.
//!
//! A frozen encoder gives int8 features; a [`DenseHead`] on top of them is fine-tuned:
//! samples go into a [`ReplayBuffer`], and a [`FineTuner`] runs an [`Optimizer`] over it.
//!
//! Every buffer is the caller's, nothing is allocated. With `P = classes * (features + 1)`
//! parameters ([`HeadShape::parameters`]) the RAM needed is, in bytes:
//!
//! | what | bytes |
//! |---|---|
//! | the head ([`DenseHead`]) | `4 P` |
//! | optimizer state: [`Sgd`] without momentum / with / [`Adam`] | `0` / `4 P` / `8 P` |
//! | [`FineTuner`] workspace: gradient, backup, one sample | `4 (2 P + classes + features)` |
//! | [`ReplayBuffer<F, N, C>`](ReplayBuffer) | `N (F + 2) + 8 C`, and less than 64 |
//! | stack during [`FineTuner::run`]: the shuffled order | `2 N`, and less than 1 KiB |
//!
//! All sums are f32, in one fixed order that each function states: the same inputs give the same
//! bits on every core that computes IEEE 754 without contraction. Training uses `libm`'s accurate
//! `exp` and `ln`; only [`DenseHead::predict`]'s probability uses a faster approximation.
//!
//! ```
//! use nervelet::learn::*;
//!
//! const SHAPE: HeadShape = HeadShape { classes: 2, features: 3 };
//! let (mut weights, mut bias) = ([0.0; SHAPE.weights()], [0.0; SHAPE.classes]);
//! let mut head = DenseHead::new(SHAPE.features, &mut weights, &mut bias)?;
//!
//! // Int8 features of the user's samples, as the encoder gave them, with their labels.
//! let mut replay = ReplayBuffer::<3, 100>::new(SHAPE.features, SHAPE.classes, 1)?;
//! for (features, label) in [([90, -100, 3], 0), ([-80, 110, 9], 1), ([70, -90, -4], 0), ([-95, 85, 0], 1)] {
//!     replay.push(&features, label)?;
//! }
//!
//! let mut velocity = [0.0; SHAPE.parameters()];
//! let mut workspace = [0.0; SHAPE.workspace()];
//! let sgd = Sgd::new(SgdSettings::default(), &mut velocity)?;
//! let mut tuner = FineTuner::new(FineTuneSettings::default(), sgd, &mut workspace)?;
//! let report = tuner.run(&mut head, &replay, Quantization { scale: 0.02, zero_point: 0 })?;
//!
//! assert!(report.last_loss < report.first_loss);
//! assert_eq!(head.predict(&[1.5, -1.7, 0.1])?.class, 0);
//! # Ok::<(), LearnError>(())
//! ```

mod adam;
mod error;
mod fine_tune;
mod gradient;
mod head;
mod loss;
mod optimizer;
mod random;
mod replay;
mod sgd;

pub use adam::{Adam, AdamSettings};
pub use error::{LearnError, Part};
pub use fine_tune::{FineTuneSettings, FineTuner, Progress, Report, StopReason};
pub use gradient::Gradient;
pub use head::{DenseHead, HeadShape, Prediction};
pub use loss::{Loss, Target};
pub use optimizer::Optimizer;
pub use random::Pcg32;
pub use replay::{Admission, Quantization, ReplayBuffer, Sample};
pub use sgd::{Sgd, SgdSettings};
