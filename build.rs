//! Chooses the kernels by target and processor: `cfg(target_feature = "dsp")` is never set on stable Rust.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    for core in ["armv7em", "armv8m", "armv7m", "armv6m", "mve", "any_core"] {
        println!("cargo:rustc-check-cfg=cfg(nervelet_{core})");
    }
    let target = std::env::var("TARGET").unwrap_or_default();
    // An Armv8-M core may lack the DSP extension: the flags have to name one that has it.
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let m33 =
        target.starts_with("thumbv8m.main") && flags.contains("target-cpu=cortex-m33") && !flags.contains("nodsp");
    // So may it lack the vector instructions.
    let mve = target.starts_with("thumbv8m.main")
        && ["cortex-m55", "cortex-m85"].iter().any(|core| flags.contains(&format!("target-cpu={core}")))
        && !flags.contains("nomve");
    // Link-time optimisation assembles for the bare target, which knows nothing of the processor.
    let (core, assembler) = match &target[..] {
        name if name.starts_with("thumbv7em") => ("armv7em", ".arch armv7e-m"),
        _ if m33 => ("armv7em", ".cpu cortex-m33"),
        _ if mve => ("mve", ".cpu cortex-m55"),
        name if name.starts_with("thumbv7m") => ("armv7m", ".arch armv7-m"),
        name if name.starts_with("thumbv6m") => ("armv6m", ".arch armv6-m"),
        _ => ("any_core", ""),
    };
    println!("cargo:rustc-cfg=nervelet_{core}");
    println!("cargo:rustc-env=NERVELET_ASSEMBLER={assembler}");
    if m33 {
        println!("cargo:rustc-cfg=nervelet_armv8m");
    }
}
