//! Reads a firmware's defmt log: compressed frames that only the firmware's own ELF file explains.

use std::fmt;
use std::io::Read;

use anyhow::{Context, Result};
use defmt_decoder::{DecodeError, Table};

/// One line of a firmware's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`; empty for a line without a level.
    pub level: String,
    /// The message.
    pub message: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5} {}", self.level, self.message)
    }
}

/// Decodes the log of the firmware `elf` from `bytes` to its end, and gives each line to `sink`.
pub(crate) fn decode(elf: &[u8], mut bytes: impl Read, mut sink: impl FnMut(LogLine)) -> Result<()> {
    let Some(table) = Table::parse(elf).context("the firmware's log can't be decoded")? else {
        // A firmware without defmt has no log; its pipe is still emptied, so that it never blocks.
        std::io::copy(&mut bytes, &mut std::io::sink()).context("reading the firmware's output")?;
        return Ok(());
    };
    let mut decoder = table.new_stream_decoder();
    let mut chunk = [0; 4096];
    loop {
        let length = bytes.read(&mut chunk).context("reading the firmware's log")?;
        if length == 0 {
            return Ok(());
        }
        decoder.received(&chunk[..length]);
        loop {
            match decoder.decode() {
                Ok(frame) => sink(LogLine {
                    level: frame.level().map(|level| level.as_str().to_uppercase()).unwrap_or_default(),
                    message: frame.display_message().to_string(),
                }),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => {
                    sink(LogLine { level: "WARN".into(), message: "(a damaged line of the log)".into() });
                    if !table.encoding().can_recover() {
                        std::io::copy(&mut bytes, &mut std::io::sink()).context("reading the firmware's output")?;
                        return Ok(());
                    }
                }
            }
        }
    }
}
