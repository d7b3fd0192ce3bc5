//! Compiles firmware and the profiler plugin with cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::board::sources;

/// Variables of the calling cargo or shell that would change how a firmware is compiled.
const FOREIGN: [&str; 5] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WORKSPACE_WRAPPER"];

/// Compiles the firmware `bin` of the board in `directory` and returns the path of its ELF file. With `operators`, it links only these.
pub(crate) fn firmware(
    directory: &Path,
    board: &str,
    target: &str,
    bin: &str,
    operators: Option<&str>,
) -> Result<PathBuf> {
    let mut cargo = cargo(directory);
    cargo.args(["build", "--release", "--bin", bin]);
    if let Some(operators) = operators {
        // The feature gives this firmware a build of its own: the others, which link everything, stay up to date.
        cargo.args(["--features", "named-operators"]).env("NERVELET_OPERATORS", operators);
    }
    let output = match shared_target() {
        Some(shared) => {
            // One folder for intermediate files, so that boards share what they compile alike; one each for the finished firmware.
            cargo.env("CARGO_BUILD_BUILD_DIR", shared.join("boards").join("build"));
            shared.join("boards").join(board)
        }
        None => directory.join("target"),
    };
    cargo.env("CARGO_TARGET_DIR", &output);
    run(cargo).with_context(|| format!("firmware `{bin}` of {board} does not compile"))?;
    Ok(output.join(target).join("release").join(bin))
}

/// Compiles the profiler plugin and returns its path.
pub(crate) fn plugin() -> Result<PathBuf> {
    let root = sources();
    let mut cargo = cargo(&root);
    cargo.args(["build", "--release", "--package", "nervelet-qemu-plugin"]);
    run(cargo).context("the profiler plugin does not compile")?;
    let target = shared_target().unwrap_or_else(|| root.join("target"));
    Ok(target.join("release").join("libnervelet_qemu_plugin.so"))
}

/// `CARGO_TARGET_DIR`, absolute: the cargos started here run in other folders than ours.
fn shared_target() -> Option<PathBuf> {
    let directory = env::var_os("CARGO_TARGET_DIR")?;
    std::path::absolute(directory).ok()
}

fn cargo(directory: &Path) -> Command {
    // Cargo tells the programs it starts where it is; without it, the one in PATH.
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The board's .cargo/config.toml counts only from inside its folder.
    cargo.current_dir(directory).stdin(Stdio::null());
    for variable in FOREIGN {
        cargo.env_remove(variable);
    }
    if let Some(target) = shared_target() {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    cargo
}

fn run(mut cargo: Command) -> Result<()> {
    let output = cargo.output().context("cargo does not start; is it in PATH?")?;
    if !output.status.success() {
        bail!("cargo failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}
