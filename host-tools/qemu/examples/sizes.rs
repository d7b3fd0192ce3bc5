//! What a firmware links of the library, largest first: `sizes FIRMWARE.elf`.

use std::path::Path;

use anyhow::{Context, Result};
use nervelet_qemu::Image;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: sizes FIRMWARE.elf")?;
    let image = Image::read(Path::new(&path))?;
    for (name, bytes) in image.library_functions()? {
        println!("{bytes:7} {name}");
    }
    println!("{:7} in total, {} in the whole firmware", image.library_text_bytes()?, image.text_bytes());
    Ok(())
}
