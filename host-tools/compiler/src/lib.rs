//! Turns a network graph into a nervelet model file.
//!
//! The pipeline, each stage a module: a [`graph`] comes from a trainer or an importer, made with [`builder`];
//! [`fold`](mod@fold) moves batch norm, activations and offsets into layers; [`calibrate`](mod@calibrate) runs samples and
//! [`quantize`](mod@quantize) turns reals into codes; [`stream`](mod@stream) makes a model of a stream of one of a window; [`lower`](mod@lower) makes steps and [`pack`](mod@pack) lays out their weights for a core, [`plan`](mod@plan) lays out
//! the arena, [`write`](mod@write) encodes the file. [`compile()`] and [`compile_quantized`] run all of it.

pub mod aligned;
mod biases;
pub mod builder;
pub mod calibrate;
pub mod compile;
pub mod fold;
pub mod graph;
pub mod in_place;
pub mod index_map;
pub mod lower;
pub mod macs;
pub mod pack;
pub mod plan;
pub mod program;
pub mod quantize;
pub mod stream;
mod tables;
pub mod write;

pub use aligned::AlignedBytes;
pub use builder::{BatchNormStatistics, GraphBuilder};
pub use compile::{CompileOptions, Compiled, compile, compile_quantized, compile_quantized_with};
pub use graph::Graph;
pub use pack::Target;
pub use quantize::Precision;
pub use stream::{StreamOptions, Streaming, stream};
