//! Build script that the boards share.

use std::path::PathBuf;
use std::{env, fs};

/// Tells the linker where memory is, and writes the list of operators that the `bench` firmware links.
///
/// `memory.x` lies in the board's folder. The operators come from the environment variable `NERVELET_OPERATORS`, names such as
/// `conv_2d::INT8 softmax::INT8`; without it they are all that the library has.
pub fn run() {
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-search={}", variable("CARGO_MANIFEST_DIR"));
    // `--nmagic`: sections are placed as memory.x says, not on page boundaries.
    for argument in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }

    println!("cargo:rerun-if-env-changed=NERVELET_OPERATORS");
    let operators = match env::var("NERVELET_OPERATORS") {
        Ok(names) => format!("&[{}]", names.split_whitespace().map(|name| format!("&nervelet::ops::{name}, ")).collect::<String>()),
        Err(_) => "nervelet::ops::ALL".to_owned(),
    };
    let path = PathBuf::from(variable("OUT_DIR")).join("operators.rs");
    fs::write(&path, operators).unwrap_or_else(|error| panic!("can't write {}: {error}", path.display()));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this function is for build scripts"))
}
