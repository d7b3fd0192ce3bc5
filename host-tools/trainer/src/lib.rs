//! Trains full networks from a TOML recipe, on the host, reproducibly from a seed.
//!
//! [`train`] reads a [`recipe`], loads its [`dataset`], works out the [`architecture`], trains it with burn and leaves a
//! [`Run`] behind: a folder with the checkpoint, the figures and a [`report`]. [`Run::graph`] hands the network over to
//! the compiler, which folds, quantizes and writes the model file. Data flows one way:
//!
//! ```text
//! recipe ─┬─> dataset ─┬─> architecture ──> training ──> run ──> report
//!         └────────────┘                                  └────> graph (for the compiler)
//! ```

pub mod architecture;
pub mod checkpoint;
pub mod dataset;
mod graph;
pub mod metrics;
pub mod network;
mod pretrained;
mod random;
pub mod recipe;
pub mod report;
mod run;
mod training;

pub use pretrained::Matches;
pub use run::{Anomalies, Record, RegressionScores, Run, SplitScores, SubjectScores, TrainOptions, train};
pub use training::Epoch;
