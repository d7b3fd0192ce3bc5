//! Files of the host, reached by semihosting: the board's only link to the world.

use core::ffi::CStr;

use semihosting::fs::{File, OpenOptions};
use semihosting::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// Longest file name, with its terminating zero.
const NAME_BYTES: usize = 32;

/// A call to the host that did not work.
#[derive(Clone, Copy, Debug, defmt::Format, PartialEq)]
pub struct HostError {
    /// What was tried.
    pub action: Action,
    /// The file it was tried on.
    pub file: &'static str,
    /// The host's `errno`; `None` when the file ended too early.
    pub errno: Option<i32>,
}

/// What was tried on a file.
#[derive(Clone, Copy, Debug, defmt::Format, PartialEq)]
pub enum Action {
    /// Opening it.
    Open,
    /// Reading from it.
    Read,
    /// Writing to it.
    Write,
    /// Moving to another position in it.
    Seek,
}

/// An open file of the host. It closes when dropped.
pub struct HostFile {
    file: File,
    name: &'static str,
}

impl HostFile {
    /// Opens a file to read.
    pub fn open(name: &'static str) -> Result<Self, HostError> {
        Self::with(name, OpenOptions::new().read(true))
    }

    /// Creates a file to write, empty.
    pub fn create(name: &'static str) -> Result<Self, HostError> {
        Self::with(name, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Opens an existing file to read and write.
    pub fn update(name: &'static str) -> Result<Self, HostError> {
        Self::with(name, OpenOptions::new().read(true).write(true))
    }

    fn with(name: &'static str, options: &OpenOptions) -> Result<Self, HostError> {
        let mut terminated = [0; NAME_BYTES];
        let error = HostError { action: Action::Open, file: name, errno: None };
        terminated.get_mut(..name.len()).ok_or(error)?.copy_from_slice(name.as_bytes());
        let path = CStr::from_bytes_until_nul(&terminated).map_err(|_| error)?;
        let file = options.open(path).map_err(|e| HostError { errno: e.raw_os_error(), ..error })?;
        Ok(Self { file, name })
    }

    /// Length in bytes.
    pub fn len(&self) -> Result<usize, HostError> {
        let metadata = self.file.metadata().map_err(|e| self.error(Action::Open, &e))?;
        Ok(metadata.len() as usize)
    }

    /// Moves to `position`, counted in bytes from the start.
    pub fn seek(&mut self, position: u32) -> Result<(), HostError> {
        let moved = self.file.seek(SeekFrom::Start(u64::from(position)));
        moved.map(|_| ()).map_err(|e| self.error(Action::Seek, &e))
    }

    /// Fills `buffer`, or fails when the file ends before.
    pub fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), HostError> {
        let mut rest = buffer;
        while !rest.is_empty() {
            match self.file.read(rest) {
                Ok(0) => return Err(HostError { action: Action::Read, file: self.name, errno: None }),
                Ok(n) => rest = rest.get_mut(n..).unwrap_or_default(),
                Err(e) => return Err(self.error(Action::Read, &e)),
            }
        }
        Ok(())
    }

    /// Reads as much of the file as `buffer` takes and returns that part of it.
    pub fn read_into<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b mut [u8], HostError> {
        let length = self.len()?.min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        self.read_exact(part)?;
        Ok(part)
    }

    /// Writes all of `bytes`.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        self.file.write_all(bytes).map_err(|e| self.error(Action::Write, &e))
    }

    fn error(&self, action: Action, error: &io::Error) -> HostError {
        HostError { action, file: self.name, errno: error.raw_os_error() }
    }
}
