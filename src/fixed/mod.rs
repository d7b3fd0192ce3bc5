//! Fixed-point arithmetic: the roundings and functions that quantized operators are made of.
//!
//! The arithmetic is that of TensorFlow Lite's reference kernels and gemmlowp in their double-rounding form, which
//! TensorFlow Lite Micro and CMSIS-NN share: results are the same bits on every machine. `Qa.b` is a fixed-point
//! number with `a` integer bits and `b` fractional bits beside the sign.

mod logarithm;
mod multiplier;
mod nonlinear;
mod reciprocal_root;

pub use logarithm::logarithm;
pub use multiplier::{Multiplier, rounding_shift_right, saturating_doubling_high_multiply};
pub use nonlinear::{exp_of_negative, logistic, logistic_code, reciprocal_of_one_plus, tanh, tanh_code};
pub use reciprocal_root::reciprocal_root;
