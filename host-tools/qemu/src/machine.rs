//! One run of a QEMU machine, from power on to power off.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nervelet_board_protocol::{Job, exit, file};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use wait_timeout::ChildExt as _;

use crate::board::Board;
use crate::image::Image;
use crate::log::{self, LogLine};

const QEMU: &str = "qemu-system-arm";
const FIRMWARE: &str = "firmware.elf";
const MODEL: &str = "model.bin";
const PROFILE: &str = "profile.txt";
/// How often to look whether a firmware makes progress.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How a run ended, when it ended by itself and not in an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// The firmware did its job.
    Done,
    /// The emulated flash lost its power where it was told to.
    PowerCut,
}

/// A run that ended by itself.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// What the firmware logged.
    pub log: Vec<LogLine>,
}

/// What QEMU says its version is, such as `QEMU emulator version 7.2.22`.
///
/// # Errors
/// When it is not installed; the error has the line that installs it.
pub fn qemu_version() -> Result<String> {
    let output = Command::new(QEMU).arg("--version").stdin(Stdio::null()).output().map_err(not_started)?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

impl Board {
    /// Boots a firmware that needs neither model nor job, such as `hello`.
    ///
    /// # Errors
    /// When QEMU is missing, or the firmware does not end well.
    pub fn boot(&self, image: &Image) -> Result<Finished> {
        Rig::new(self, image)?.boot()
    }
}

/// A machine with its working directory, before power on.
pub(crate) struct Rig<'b> {
    board: &'b Board,
    image: &'b Image,
    directory: TempDir,
    extra: Vec<String>,
}

impl<'b> Rig<'b> {
    /// Puts a firmware on the machine.
    pub(crate) fn new(board: &'b Board, image: &'b Image) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("nervelet-").tempdir().context("no temporary folder")?;
        let rig = Self { board, image, directory, extra: Vec::new() };
        rig.write(FIRMWARE, image.bytes())?;
        Ok(rig)
    }

    /// Puts a model into the machine's model partition and leaves it a job.
    pub(crate) fn load(&mut self, model: &[u8], job: &Job) -> Result<()> {
        let (start, _) = self.image.symbol("_model_start")?;
        let (end, _) = self.image.symbol("_model_end")?;
        let capacity = end.saturating_sub(start);
        if model.len() as u64 > capacity {
            bail!("the model has {} bytes, the model partition of {} only {capacity}", model.len(), self.board.name());
        }
        self.write(MODEL, model)?;
        self.write(file::JOB, &postcard::to_stdvec(job).context("the job can't be encoded")?)?;
        self.extra.extend(["-device".into(), format!("loader,file={MODEL},addr={start:#x},force-raw=on")]);
        Ok(())
    }

    /// Counts instructions; the profile is in the file [`Rig::profile`] reads.
    pub(crate) fn attach_profiler(&mut self, plugin: &Path) -> Result<()> {
        let (markers, size) = self.image.symbol("board_markers")?;
        // A comma in an option's value is written twice.
        let plugin = plugin.to_str().context("the plugin's path is no UTF-8")?.replace(',', ",,");
        self.extra.extend(["-plugin".into(), format!("{plugin},out={PROFILE},markers={markers},count={}", size / 4)]);
        Ok(())
    }

    /// Writes a file for the firmware.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.directory.path().join(name);
        fs::write(&path, content).with_context(|| format!("can't write {}", path.display()))
    }

    /// Reads a file of the firmware.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.directory.path().join(name);
        fs::read(&path).with_context(|| format!("the firmware left no {name}"))
    }

    /// Reads the firmware's report.
    pub(crate) fn report<T: DeserializeOwned>(&self) -> Result<T> {
        postcard::from_bytes(&self.read(file::REPORT)?).context("the firmware's report can't be decoded")
    }

    /// Reads the profile.
    pub(crate) fn profile(&self) -> Result<String> {
        let profile = self.read(PROFILE).context("the profiler wrote nothing")?;
        String::from_utf8(profile).context("the profile is no UTF-8")
    }

    /// Switches the power on and waits until the firmware ends the run.
    ///
    /// # Errors
    /// When QEMU is missing or refuses, and when the firmware fails, panics, faults or runs out of time; with the end of its log.
    pub(crate) fn boot(&self) -> Result<Finished> {
        let stderr = tempfile::tempfile().context("no temporary file")?;
        let mut qemu = self.start(stderr.try_clone().context("no temporary file")?)?;
        let stdout = qemu.stdout.take().context("QEMU has no output")?;
        let (log, status) = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut lines = Vec::new();
                let decoded = log::decode(self.image.bytes(), stdout, |line| {
                    self.board.heard(&line);
                    lines.push(line);
                });
                decoded.map(|()| lines)
            });
            let status = self.watch(&mut qemu);
            if !matches!(status, Ok(Some(_))) {
                // It may have ended meanwhile; either way it is gone after this, and its pipe closed.
                let _ = qemu.kill();
                let _ = qemu.wait();
            }
            (reader.join(), status)
        });
        let log = log.map_err(|_| anyhow!("the log's reader panicked"))??;
        let what = match status.context("can't wait for QEMU")? {
            None => format!("made no progress for {:?} and was stopped", self.board.timeout()),
            Some(status) => match status.code() {
                Some(exit::SUCCESS) => return Ok(Finished { ended: Ended::Done, log }),
                Some(exit::POWER_CUT) => return Ok(Finished { ended: Ended::PowerCut, log }),
                Some(exit::FAILURE) => "could not do its job".into(),
                Some(exit::PANIC) => "panicked".into(),
                Some(exit::HARD_FAULT) => "took a HardFault".into(),
                Some(exit::UNEXPECTED_EXCEPTION) => "got an interrupt it has no handler for".into(),
                _ => format!("ended with {status}"),
            },
        };
        let said = last_words(&log, stderr);
        bail!("the firmware on {} {what}{said}", self.board.name())
    }

    /// Waits until QEMU ends; `None` when it makes no progress for too long.
    fn watch(&self, qemu: &mut Child) -> io::Result<Option<ExitStatus>> {
        let (mut written, mut since) = (self.written(), Instant::now());
        loop {
            let patience = self.board.timeout().saturating_sub(since.elapsed());
            if let Some(status) = qemu.wait_timeout(patience.min(LOOK_EVERY))? {
                return Ok(Some(status));
            }
            let now = self.written();
            if now != written {
                (written, since) = (now, Instant::now());
            } else if since.elapsed() >= self.board.timeout() {
                return Ok(None);
            }
        }
    }

    /// Bytes of output that the firmware has written so far.
    fn written(&self) -> u64 {
        let length = |name| fs::metadata(self.directory.path().join(name)).map_or(0, |metadata| metadata.len());
        [file::OUTPUTS, file::PREDICTIONS].into_iter().map(length).sum()
    }

    fn start(&self, stderr: File) -> Result<Child> {
        let mut qemu = Command::new(QEMU);
        qemu.current_dir(self.directory.path())
            .args(["-machine", self.board.machine(), "-nographic", "-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", "enable=on,target=native", "-kernel", FIRMWARE])
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        qemu.spawn().map_err(not_started)
    }
}

fn not_started(error: io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound => anyhow!("{QEMU} is not installed; install it with: sudo apt-get install {QEMU}"),
        _ => anyhow!(error).context(format!("{QEMU} does not start")),
    }
}

/// The end of the log, and QEMU's own complaints if it had any.
fn last_words(log: &[LogLine], mut stderr: File) -> String {
    let mut said = String::new();
    for line in log.iter().skip(log.len().saturating_sub(10)) {
        said.push_str(&format!("\n  {line}"));
    }
    let mut complaints = String::new();
    let read = stderr.rewind().and_then(|()| stderr.read_to_string(&mut complaints));
    if read.is_ok() {
        for line in complaints.lines().take(20) {
            said.push_str(&format!("\n  qemu: {line}"));
        }
    }
    if said.is_empty() { said } else { format!("; its last words:{said}") }
}
