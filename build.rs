//! Chooses the kernels by target: `cfg(target_feature = "dsp")` is never set on stable Rust, the target's name is.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(nervelet_armv7em)");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em") {
        println!("cargo:rustc-cfg=nervelet_armv7em");
    }
}
