//! A NOR flash chip that remembers between boots and can lose its power anywhere.
//!
//! The content lies in a file of the host. Time is counted in steps: one for each byte programmed and one for each of the
//! [`ERASE_STEPS`] slices of a page erased. At a chosen step the power fails: the byte of that step is left half programmed (or the
//! page half erased), the rest of the operation does not happen, and the run ends with [`exit::POWER_CUT`].

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use nervelet_board_protocol::{exit, file};

use crate::host::{HostError, HostFile};

/// Size of the chip.
pub const CAPACITY: usize = 256 * 1024;
/// Steps that erasing one page takes.
pub const ERASE_STEPS: u32 = 8;

const PAGE: usize = 4096;
const WORD: usize = 4;
const SLICE: usize = PAGE / ERASE_STEPS as usize;
const ERASED: u8 = 0xFF;

/// Why the flash refused.
#[derive(Clone, Copy, Debug, defmt::Format, PartialEq)]
pub enum FlashError {
    /// Address or length is no multiple of the word or page.
    NotAligned,
    /// The range leaves the chip.
    OutOfBounds,
    /// A word that is not erased can't be written: real chips with error correction refuse it too.
    NotErased {
        /// Address of the word.
        address: u32,
    },
    /// The host's file failed.
    Host(HostError),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotErased { .. } | Self::Host(_) => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for FlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::NotAligned,
            _ => Self::OutOfBounds,
        }
    }
}

impl From<HostError> for FlashError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// The emulated chip.
pub struct EmulatedFlash {
    file: HostFile,
    steps: u32,
    cut_after: Option<u32>,
}

impl EmulatedFlash {
    /// Opens the chip, fresh from the factory (all erased) when the host has no file of it.
    ///
    /// With `cut_after` the power fails in the middle of that step, counted from 1.
    pub fn open(cut_after: Option<u32>) -> Result<Self, HostError> {
        let whole = HostFile::update(file::FLASH).and_then(|file| Ok((file.len()? == CAPACITY).then_some(file)));
        let file = match whole {
            Ok(Some(file)) => file,
            Ok(None) | Err(_) => Self::blank()?,
        };
        Ok(Self { file, steps: 0, cut_after })
    }

    fn blank() -> Result<HostFile, HostError> {
        let mut file = HostFile::create(file::FLASH)?;
        for _ in 0..CAPACITY / PAGE {
            file.write_all(&[ERASED; PAGE])?;
        }
        drop(file);
        HostFile::update(file::FLASH)
    }

    /// Steps taken since the chip was opened.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// How many of the next `steps` steps there is power for: all, or those before the one that fails.
    fn powered(&mut self, steps: u32) -> Option<u32> {
        let before = self.steps;
        self.steps = self.steps.saturating_add(steps);
        let last = self.cut_after?.checked_sub(1)?;
        (before..self.steps).contains(&last).then(|| last - before)
    }

    fn program_word(&mut self, address: u32, word: &[u8; WORD]) -> Result<(), FlashError> {
        self.file.seek(address)?;
        let mut old = [0; WORD];
        self.file.read_exact(&mut old)?;
        if old != [ERASED; WORD] {
            return Err(FlashError::NotErased { address });
        }
        let cut = self.powered(WORD as u32);
        let mut new = *word;
        if let Some(done) = cut {
            for (i, byte) in new.iter_mut().enumerate() {
                match i.cmp(&(done as usize)) {
                    core::cmp::Ordering::Less => {}
                    core::cmp::Ordering::Equal => *byte |= 0x0F,
                    core::cmp::Ordering::Greater => *byte = ERASED,
                }
            }
        }
        self.file.seek(address)?;
        self.file.write_all(&new)?;
        if cut.is_some() { power_fails() } else { Ok(()) }
    }

    fn erase_page(&mut self, address: u32) -> Result<(), FlashError> {
        let cut = self.powered(ERASE_STEPS);
        self.file.seek(address)?;
        for _ in 0..cut.unwrap_or(ERASE_STEPS) {
            self.file.write_all(&[ERASED; SLICE])?;
        }
        if cut.is_some() {
            let half_erased = [0xA5; SLICE];
            self.file.write_all(&half_erased)?;
            power_fails();
        }
        Ok(())
    }
}

fn power_fails() -> ! {
    defmt::warn!("the power fails in the middle of a flash write");
    semihosting::process::exit(exit::POWER_CUT)
}

impl ErrorType for EmulatedFlash {
    type Error = FlashError;
}

impl ReadNorFlash for EmulatedFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len())?;
        self.file.seek(offset)?;
        Ok(self.file.read_exact(bytes)?)
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for EmulatedFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to)?;
        (from..to).step_by(PAGE).try_for_each(|address| self.erase_page(address))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len())?;
        let (words, _) = bytes.as_chunks::<WORD>();
        (offset..).step_by(WORD).zip(words).try_for_each(|(address, word)| self.program_word(address, word))
    }
}
