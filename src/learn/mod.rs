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
//! | stack during [`FineTuner::run`]: the shuffled order | `2 N`, and a few hundred |
//!
//! All sums are f32, in one fixed order that each function states: the same inputs give the same
//! bits on every core that computes IEEE 754 without contraction. Training uses `libm`'s accurate
//! `exp` and `ln`; only [`DenseHead::predict`]'s probability uses a faster approximation.

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
