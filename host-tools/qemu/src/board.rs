//! The boards there are, and where their firmware is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::image::Image;
use crate::log::LogLine;
use crate::operators;

/// Names that [`Board::from_name`] knows.
pub const NAMES: [&str; 6] = ["qemu-m0", "qemu-m3", "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55"];

/// How QEMU calls a board's machine, and what the board's firmware is compiled for.
struct Machine {
    name: &'static str,
    machine: &'static str,
    target: &'static str,
}

const MACHINES: [Machine; NAMES.len()] = [
    // QEMU has no large Cortex-M0+ machine: the code is compiled for ARMv6-M and runs on a Cortex-M3, which executes all of it.
    Machine { name: NAMES[0], machine: "mps2-an385", target: "thumbv6m-none-eabi" },
    Machine { name: NAMES[1], machine: "mps2-an385", target: "thumbv7m-none-eabi" },
    Machine { name: NAMES[2], machine: "mps2-an386", target: "thumbv7em-none-eabihf" },
    Machine { name: NAMES[3], machine: "mps2-an500", target: "thumbv7em-none-eabihf" },
    Machine { name: NAMES[4], machine: "mps2-an505", target: "thumbv8m.main-none-eabihf" },
    Machine { name: NAMES[5], machine: "mps3-an547", target: "thumbv8m.main-none-eabihf" },
];

/// Longest time without progress unless [`Board::with_timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(120);

type Listener = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// A QEMU board.
#[derive(Clone)]
pub struct Board {
    machine: &'static Machine,
    directory: PathBuf,
    timeout: Duration,
    listener: Option<Listener>,
}

impl Board {
    /// The board of that name; see [`NAMES`].
    ///
    /// Its folder is looked for in `NERVELET_BOARDS`, or else in `boards/` of the source tree this package was compiled from.
    ///
    /// # Errors
    /// When there is no such board, or its folder is not found.
    pub fn from_name(name: &str) -> Result<Self> {
        let Some(machine) = MACHINES.iter().find(|m| m.name == name) else {
            bail!("there is no board `{name}`; QEMU boards are {}", NAMES.join(", "));
        };
        let directory = boards_directory().join(name);
        if !directory.join("Cargo.toml").is_file() {
            bail!(
                "no firmware at {}; set NERVELET_BOARDS to the `boards` folder of nervelet's sources",
                directory.display()
            );
        }
        Ok(Self { machine, directory, timeout: TIMEOUT, listener: None })
    }

    /// Gives up a run that makes no progress for this long: no output is written, the firmware does not end. The default is two minutes.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Calls `listener` with each line of the firmware's log as it arrives.
    #[must_use]
    pub fn with_log(mut self, listener: impl Fn(&LogLine) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The board's name.
    pub fn name(&self) -> &'static str {
        self.machine.name
    }

    /// What its firmware is compiled for, as rustc calls it.
    pub fn target(&self) -> &'static str {
        self.machine.target
    }

    /// The board's folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Compiles a firmware of the board's folder (nothing to do when it is up to date) and reads it.
    ///
    /// # Errors
    /// When it does not compile; the compiler's words are in the error.
    pub fn firmware(&self, name: &str) -> Result<Image> {
        self.firmware_with(name, None)
    }

    /// Compiles a firmware that runs some models and links only their operators, as a product names them, and reads it.
    ///
    /// # Errors
    /// When a model is not valid, and as [`Board::firmware`].
    pub fn product(&self, models: &[&[u8]]) -> Result<Image> {
        let operators = models.iter().map(|model| operators::of(model)).collect::<Result<Vec<_>>>()?;
        self.firmware_with("bench", Some(&operators::union(&operators)))
    }

    /// As [`Board::firmware`], with only the operators named, if any are.
    pub(crate) fn firmware_with(&self, name: &str, operators: Option<&str>) -> Result<Image> {
        let path = build::firmware(&self.directory, self.machine.name, self.machine.target, name, operators)?;
        Image::read(&path).with_context(|| format!("firmware `{name}` of {}", self.name()))
    }

    pub(crate) fn machine(&self) -> &'static str {
        self.machine.machine
    }

    /// Whether [`crate::Cost::model_cycles`] is known: the model is that of a Cortex-M4.
    pub(crate) fn has_cycle_model(&self) -> bool {
        self.machine.name == "qemu-m4"
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn heard(&self, line: &LogLine) {
        if let Some(listener) = &self.listener {
            listener(line);
        }
    }
}

fn boards_directory() -> PathBuf {
    match std::env::var_os("NERVELET_BOARDS") {
        Some(directory) => directory.into(),
        // host-tools/qemu -> the root of the sources.
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards"),
    }
}

/// Root of the source tree that the boards belong to.
pub(crate) fn sources() -> PathBuf {
    boards_directory().join("..")
}
