//! Reads models that other tools made into the compiler's [`Graph`].
//!
//! The bytes may come from anywhere: every index, shape, buffer, scale and enumeration is checked, and what can't be
//! taken is an error that names the operator, its place and what to do. Nothing panics, loops without end or takes
//! memory that the file did not bring.
//!
//! [`Graph`]: nervelet_compiler::Graph

mod flatbuffer;
pub mod onnx;
pub mod tflite;

pub use onnx::import_onnx;
pub use tflite::import_tflite;
