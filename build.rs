//! Chooses the kernels by target and processor: `cfg(target_feature = "dsp")` is never set on stable Rust.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo:rustc-check-cfg=cfg(nervelet_armv7em)");
    println!("cargo:rustc-check-cfg=cfg(nervelet_armv8m)");
    let target = std::env::var("TARGET").unwrap_or_default();
    // An Armv8-M core may lack the DSP extension: the flags have to name one that has it.
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let m33 =
        target.starts_with("thumbv8m.main") && flags.contains("target-cpu=cortex-m33") && !flags.contains("nodsp");
    if target.starts_with("thumbv7em") || m33 {
        println!("cargo:rustc-cfg=nervelet_armv7em");
        // Link-time optimisation assembles for the bare target, which knows nothing of the processor.
        println!("cargo:rustc-env=NERVELET_ASSEMBLER={}", if m33 { ".cpu cortex-m33" } else { ".arch armv7e-m" });
    }
    if m33 {
        println!("cargo:rustc-cfg=nervelet_armv8m");
    }
}
