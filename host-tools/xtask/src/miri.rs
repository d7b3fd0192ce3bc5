//! The library's tests under Miri, which finds undefined behaviour.

use anyhow::{Result, bail};

use crate::process::{command, output_of, run as execute};

pub(crate) fn run() -> Result<()> {
    if output_of("rustup", &["run", "nightly", "cargo", "miri", "--version"]).is_none() {
        bail!("Miri is missing; this installs it:\n  rustup toolchain install nightly --component miri,rust-src");
    }
    let test = ["run", "nightly", "cargo", "miri", "test", "--package", "nervelet"];
    let suites: [&[&str]; 2] = [&["--lib"], &["--test", "malformed_models"]];
    for suite in suites {
        let mut miri = command("rustup", &[&test[..], suite].concat());
        // The toolchain of this process is not the one to run; and the small crate should not wait for the others' lock.
        miri.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
        execute(miri.env("CARGO_TARGET_DIR", "target/miri").env("MIRIFLAGS", "-Zmiri-disable-isolation"))?;
    }
    Ok(())
}
