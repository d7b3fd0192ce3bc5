//! The `nervelet` command.

mod arrays;
mod bench;
mod bench_compare;
mod execute;
mod export;
mod export_report;
mod finetune;
mod finetune_report;
mod import;
mod inspect;
mod learner;
mod model_file;
mod run;
mod stream;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains neural networks, turns them into models for Cortex-M, and runs, measures and fine-tunes them there.
#[derive(Parser)]
#[command(name = "nervelet", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains a recipe's network; leaves a run folder with checkpoint, metrics, plots and report.html.
    #[command(after_help = "Example: nervelet train recipes/gestures.toml --out runs/gestures")]
    Train(train::Arguments),
    /// Turns a run into a model file: folds, calibrates, quantizes, plans memory; then proves host = device.
    #[command(
        after_help = "Example: nervelet export runs/gestures -o gestures.postcard\n         nervelet export runs/tcn -o stream.postcard --stream"
    )]
    Export(export::Arguments),
    /// Turns a TensorFlow Lite or ONNX model into a model file.
    #[command(after_help = "Example: nervelet import model.onnx -o m.postcard --calibrate samples.npy")]
    Import(import::Arguments),
    /// Runs a model on arrays, on the host or on a board.
    #[command(after_help = "Example: nervelet run m.postcard --input x.npy --output y.npy --on qemu-m4")]
    Run(run::Arguments),
    /// Counts what an inference costs: instructions an operator, memory, code.
    #[command(after_help = "Example: nervelet bench m.postcard --on qemu-m4 --json bench.json")]
    Bench(bench::Arguments),
    /// Shows what is in a model file: operators, shapes, quantization, the memory plan, sizes.
    #[command(after_help = "Example: nervelet inspect m.postcard")]
    Inspect(inspect::Arguments),
    /// Replays what a device does with a new user's samples: fine-tunes the last layer, user by user.
    #[command(after_help = "Example: nervelet finetune m.postcard --run runs/ecg --on qemu-m4")]
    Finetune(finetune::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Train(arguments) => train::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Finetune(arguments) => finetune::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
