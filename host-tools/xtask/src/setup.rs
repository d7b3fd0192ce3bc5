//! Installs what is missing, and says what it does.

use anyhow::{Context, Result, bail};

use crate::process::{self, command, output_of, root};

/// Rust targets through rustup, QEMU through apt.
pub(crate) fn run() -> Result<()> {
    targets()?;
    qemu()
}

/// The targets and components that `rust-toolchain.toml` lists.
fn targets() -> Result<()> {
    let Some(installed) = output_of("rustup", &["target", "list", "--installed"]) else {
        bail!("rustup is missing: install it from rustup.rs, then run this again");
    };
    let wanted = list("targets")?;
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|target| !installed.lines().any(|line| line == *target)).collect();
    if !missing.is_empty() {
        install(&[&["target", "add"], &missing[..]].concat())?;
    }
    let installed = output_of("rustup", &["component", "list", "--installed"]).unwrap_or_default();
    let wanted = list("components")?;
    let missing: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|component| !installed.lines().any(|line| line.starts_with(component)))
        .collect();
    if !missing.is_empty() {
        install(&[&["component", "add"], &missing[..]].concat())?;
    }
    Ok(())
}

/// Downloads fail now and then: one more try.
fn install(arguments: &[&str]) -> Result<()> {
    run_rustup(arguments).or_else(|_| run_rustup(arguments))
}

fn run_rustup(arguments: &[&str]) -> Result<()> {
    process::run(&mut command("rustup", arguments))
}

/// The strings of a list in `rust-toolchain.toml`.
fn list(key: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("rust-toolchain.toml")).context("can't read rust-toolchain.toml")?;
    let (_, behind) =
        text.split_once(&format!("{key} = [")).with_context(|| format!("rust-toolchain.toml has no {key}"))?;
    let (inside, _) = behind.split_once(']').with_context(|| format!("{key} in rust-toolchain.toml has no end"))?;
    Ok(inside.split('"').skip(1).step_by(2).map(str::to_string).collect())
}

fn qemu() -> Result<()> {
    if output_of("qemu-system-arm", &["--version"]).is_some() {
        return Ok(());
    }
    const BY_HAND: &str = "sudo apt-get update && sudo apt-get install -y qemu-system-arm";
    if output_of("apt-get", &["--version"]).is_none() {
        bail!("qemu-system-arm is missing: install QEMU 7.2 or later with its Arm system emulator");
    }
    let root_user = output_of("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    let sudo = !root_user && output_of("sudo", &["-n", "true"]).is_some();
    if !root_user && !sudo {
        bail!("qemu-system-arm is missing; this installs it:\n  {BY_HAND}");
    }
    let apt = |arguments: &[&str]| {
        let mut command = if sudo {
            command("sudo", &[&["-n", "apt-get"], arguments].concat())
        } else {
            command("apt-get", arguments)
        };
        process::run(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update"])
        .and_then(|()| apt(&["install", "-y", "--no-install-recommends", "qemu-system-arm"]))
        .with_context(|| format!("could not install qemu-system-arm; by hand:\n  {BY_HAND}"))
}
