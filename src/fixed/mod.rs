//! Fixed-point arithmetic: the roundings and functions that quantized operators are made of.
//!
//! The arithmetic is that of TensorFlow Lite's reference kernels and gemmlowp in their double-rounding form, which
//! TensorFlow Lite Micro and CMSIS-NN share; layers of sequence models interpolate in tables and round once.
//! Results are the same bits on every machine. `Qa.b` is a fixed-point number with `a` integer bits and `b` fractional bits
//! beside the sign.

mod logarithm;
mod multiplier;
mod nonlinear;
mod reciprocal_root;
mod smooth;
mod tables;

pub use logarithm::logarithm;
pub use multiplier::{Multiplier, WideFactor, rounding_shift_right, saturating_doubling_high_multiply};
pub use nonlinear::{exp_of_negative, logistic, logistic_code, reciprocal_of_one_plus, tanh, tanh_code};
pub use reciprocal_root::reciprocal_root;
pub use smooth::{power_of_half, round_shift, round_shift_wide, smooth_logistic, smooth_tanh};
#[cfg(any(nervelet_armv7em, nervelet_mve))]
pub(crate) use tables::POWERS_OF_HALF;
