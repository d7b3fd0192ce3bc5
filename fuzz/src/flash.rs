//! A small NOR flash that keeps the rules, and fails where it is told to.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// 256 bytes in two blocks. Breaking a rule panics: the store has to keep them whatever it finds.
#[derive(Debug, Clone)]
pub struct Flash {
    /// What it holds.
    pub bytes: [u8; 256],
    /// Accesses left until every one fails.
    pub patience: Option<u8>,
}

impl Flash {
    fn access(&mut self) -> Result<(), NorFlashErrorKind> {
        match &mut self.patience {
            None => Ok(()),
            Some(0) => Err(NorFlashErrorKind::Other),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len()).expect("a read is within the flash");
        self.access()?;
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 128;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to).expect("an erase is of whole blocks");
        self.access()?;
        self.bytes[from as usize..to as usize].fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len()).expect("a write is of whole words");
        let target = offset as usize..offset as usize + bytes.len();
        assert!(self.bytes[target.clone()].iter().all(|byte| *byte == 0xFF), "{target:?} was not erased");
        if self.access().is_err() {
            // The power went in the middle of it.
            let half = bytes.len() / 2;
            self.bytes[target.start..target.start + half].copy_from_slice(&bytes[..half]);
            return Err(NorFlashErrorKind::Other);
        }
        self.bytes[target].copy_from_slice(bytes);
        Ok(())
    }
}
