#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code, missing_docs)]
//!
//! # The floors
//! Each floor uses only what is below it.
//!
//! | floor | what it holds |
//! |---|---|
//! | [`learn`], [`store`] | heads, optimizers, replay, stopping; what was learned, kept in flash |
//! | [`session`], [`frontend`] | a verified model at work in the caller's arena; raw readings to model input |
//! | [`model`] | the postcard file: schema and verification |
//! | [`ops`] | one module an operator family: parameters, checks, the call to its kernel |
//! | [`kernels`] | pure functions on slices, for each core |
//! | [`fixed`] | fixed-point arithmetic |

mod error;
pub mod fixed;
pub mod frontend;
pub mod kernels;
pub mod learn;
pub mod model;
pub mod ops;
pub mod session;
pub mod store;

pub use error::Error;
pub use model::Model;
pub use session::{Arena, Session};
