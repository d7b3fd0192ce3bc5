//! `nervelet run`: arrays through a model.

use std::path::PathBuf;

use anyhow::Result;

use crate::execute::{self, Place};
use crate::{arrays, model_file};

#[derive(clap::Args)]
pub struct Arguments {
    /// The model file.
    model: PathBuf,
    /// One .npy for each input: axis 0 the case, the rest the tensor's shape; int8 or int16 codes, or float32.
    #[arg(long, required = true)]
    input: Vec<PathBuf>,
    /// Where the first output goes; further ones go to NAME_1.npy, NAME_2.npy.
    #[arg(long)]
    output: PathBuf,
    /// host, qemu-m4 or another board.
    #[arg(long, default_value = "host", value_name = "BOARD")]
    on: Place,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let bytes = model_file::read(&arguments.model)?;
    let model = model_file::open(&bytes, &arguments.model)?;
    let ports: Vec<_> = model.named_inputs().collect();
    anyhow::ensure!(
        ports.len() == arguments.input.len(),
        "the model has {} inputs ({}), {} arrays are given",
        ports.len(),
        ports.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        arguments.input.len()
    );
    let mut cases = Vec::new();
    for ((name, port), path) in ports.iter().zip(&arguments.input) {
        let tensor = model.tensor(port.tensor).ok_or_else(|| anyhow::anyhow!("input {name} has no tensor"))?;
        cases.push(arrays::read(path, name, &tensor)?);
    }
    let inputs = execute::encode(&model, &cases)?;
    let outputs = execute::run(&arguments.on, &bytes, &inputs)?;
    for (index, (name, port)) in model.named_outputs().enumerate() {
        let tensor = model.tensor(port.tensor).ok_or_else(|| anyhow::anyhow!("output {name} has no tensor"))?;
        let cases: Vec<&[u8]> = outputs.iter().filter_map(|case| case.get(index)).map(Vec::as_slice).collect();
        let path = arrays::output_path(&arguments.output, index);
        arrays::write(&path, &tensor, &cases)?;
        println!("{}: {} cases of {name} {:?} on {}", path.display(), cases.len(), tensor.shape(), arguments.on);
    }
    Ok(())
}
