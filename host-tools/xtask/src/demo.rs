//! The whole story, end to end, on the embedded default.

use std::time::Instant;

use anyhow::Result;

use crate::process::{cargo, command, root, run as execute};
use crate::setup;

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    chapter("Building the tools (the first time compiles the trainer's libraries: some minutes)");
    execute(&mut cargo(&["build", "--release", "--bin", "nervelet"]))?;

    let started = Instant::now();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let tool = target.join("release/nervelet");
    let nervelet = |arguments: &[&str]| execute(&mut command(&tool, arguments));
    chapter("Training a gesture classifier on eight simulated people");
    nervelet(&["train", "recipes/gestures.toml", "--out", "runs/demo"])?;
    chapter("Quantizing, exporting, and comparing host and Cortex-M4F bit for bit");
    nervelet(&["export", "runs/demo", "-o", "runs/demo/gestures.postcard", "--target", "m4", "--verify", "qemu-m4"])?;
    chapter("What is in the model file");
    nervelet(&["inspect", "runs/demo/gestures.postcard"])?;
    chapter("What an inference costs on the Cortex-M4F");
    nervelet(&["bench", "runs/demo/gestures.postcard", "--on", "qemu-m4"])?;
    let finetune = ["finetune", "runs/demo/gestures.postcard", "--run", "runs/demo", "--on", "qemu-m4"];
    chapter("A new user labels samples with a button; the device learns them, reboots, loses power: its own log");
    nervelet(&[&finetune[..], &["--subject", "test-01", "--power-cut", "--log"]].concat())?;
    chapter("All new users, one device each");
    nervelet(&[&finetune[..], &["--power-cut"]].concat())?;

    let report = root().join("runs/demo/report.html");
    chapter(&format!(
        "Done in {:.0} s after compilation. The report: {}",
        started.elapsed().as_secs_f64(),
        report.display()
    ));
    Ok(())
}

fn chapter(title: &str) {
    println!("\n=== {title}");
}
