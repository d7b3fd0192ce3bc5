//! What training shows while it runs: a bar on a terminal, a line an epoch elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Epoch;

/// The display of a training.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    epochs: usize,
    started: Instant,
}

impl Progress {
    pub(super) fn new(epochs: usize, steps: usize, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new((epochs * steps) as u64);
            let template = "{bar:30.cyan/blue} {percent:>3} %  {msg}  ({elapsed} gone, {eta} left)";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, quiet, epochs, started: Instant::now() }
    }

    /// After each step: epoch counted from 1, mean loss of the epoch so far.
    pub(super) fn step(&self, epoch: usize, loss: f64) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("epoch {epoch}/{}  loss {loss:.4}", self.epochs));
            bar.inc(1);
        }
    }

    pub(super) fn epoch(&self, epoch: &Epoch, best: bool) {
        if self.quiet {
            return;
        }
        let percent = |share: Option<f64>| share.map_or_else(String::new, |share| format!(" ({:.2} %)", 100.0 * share));
        let line = format!(
            "epoch {:>3}/{}  train {:.4}{}  val {:.4}{}{}  {:.1} s",
            epoch.epoch,
            self.epochs,
            epoch.train_loss,
            percent(epoch.train_accuracy),
            epoch.val_loss,
            percent(epoch.val_accuracy),
            if best { "  best" } else { "" },
            self.started.elapsed().as_secs_f64()
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
