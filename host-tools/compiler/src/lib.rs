//! Turns a network graph into a nervelet model file.
//!
//! The pipeline, each stage a module: [`graph`] (what trainers and importers hand over, made with [`builder`]).

pub mod builder;
pub mod graph;

pub use builder::{BatchNormStatistics, GraphBuilder};
pub use graph::Graph;
