//! `nervelet train`: a recipe becomes a run.

use std::path::PathBuf;

use anyhow::Result;
use nervelet_trainer::dataset::Split;
use nervelet_trainer::{Matches, TrainOptions};

#[derive(clap::Args)]
pub struct Arguments {
    /// The recipe, a TOML file.
    recipe: PathBuf,
    /// The folder with the dataset, or with a folder of its name [default: $NERVELET_DATA, else ../shared/data].
    #[arg(long)]
    data: Option<PathBuf>,
    /// The run folder [default: runs/RECIPE].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Epochs instead of the recipe's.
    #[arg(long)]
    epochs: Option<usize>,
    /// Starts from trained weights: a run's checkpoint.safetensors, another safetensors file, or a .pth of torch.save.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Trains only the last dense layer; the layers before it stay as the weights have them.
    #[arg(long, requires = "weights")]
    freeze: bool,
    /// Shows no progress.
    #[arg(long)]
    quiet: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let options = TrainOptions {
        data: arguments.data.clone(),
        out: arguments.out.clone(),
        epochs: arguments.epochs,
        weights: arguments.weights.clone(),
        freeze: arguments.freeze,
        quiet: arguments.quiet,
    };
    let run = nervelet_trainer::train(&arguments.recipe, &options)?;
    let record = run.record();
    if let Some(matches) = &record.pretrained {
        print_matches(matches);
    }
    println!(
        "{} parameters, best epoch {} of {}, {:.0} s",
        record.parameters,
        record.best_epoch,
        record.history.len(),
        record.seconds
    );
    for split in [Split::Train, Split::Val, Split::Test] {
        if let Some(scores) = run.float_scores(split) {
            println!("{split:?}: accuracy {:.4}, macro F1 {:.4}", scores.accuracy, scores.macro_f1);
        }
    }
    for scores in &record.regression {
        println!(
            "{:?}: {} off by {:.4} (root mean square), {:.4} (mean), R² {:.4}",
            scores.split, scores.target, scores.root_mean_squared_error, scores.mean_absolute_error, scores.r_squared
        );
    }
    if let Some(anomalies) = &record.anomalies {
        match anomalies.area_under_curve {
            Some(area) => println!("anomalies: area under the curve {area:.4}"),
            None => println!("validation error {:.5}", anomalies.val_error),
        }
    }
    println!("report: {}", run.folder().join("report.html").display());
    Ok(())
}

fn print_matches(matches: &Matches) {
    println!("{:<32} started from", "layer");
    for (layer, from) in &matches.layers {
        println!("{layer:<32} {}", from.as_deref().unwrap_or("random: nothing in the file fits"));
    }
    if !matches.unused.is_empty() {
        println!("not used: {}", matches.unused.join(", "));
    }
}
