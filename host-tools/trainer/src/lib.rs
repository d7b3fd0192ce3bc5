//! Trains full networks from a TOML recipe, on the host, reproducibly from a seed.

pub mod architecture;
pub mod checkpoint;
pub mod dataset;
mod graph;
pub mod metrics;
pub mod network;
mod random;
pub mod recipe;
pub mod report;
mod run;
mod training;

pub use run::{Anomalies, Record, Run, SplitScores, SubjectScores, TrainOptions, train};
pub use training::Epoch;
