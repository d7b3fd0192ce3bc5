//! A NOR flash in memory that keeps the rules and loses power where it is told to.
//!
//! Rules: reads, writes and erases are aligned and within bounds; a word is written once between
//! erases. Breaking one is an error.
//!
//! Power: every byte of a write and every block of an erase is a point at which the power can go.
//! What that leaves is undefined in real flash, so the mock offers several ways, see [`Tear`].

#![allow(dead_code, reason = "each test uses its part")]

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use nervelet::learn::Pcg32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MockError {
    /// The power is gone, until [`NorMock::power_on`].
    PowerLost,
    /// A torn word whose own checksum is wrong.
    Unreadable,
    /// A word was written that isn't erased.
    WrittenTwice,
    Rule(NorFlashErrorKind),
}

impl NorFlashError for MockError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Rule(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// What a power cut leaves of the word being written, or of the block being erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tear {
    /// Nothing was done yet.
    Before,
    /// Word: some of the bits. Block: each byte is old, erased or random.
    Partly,
    /// Word: anything. Block: old up to some byte, erased from there.
    Garbage,
    /// Word: reading it fails. Block: the same, for every word.
    Unreadable,
    /// Word: complete. Block: erased up to some byte, old from there.
    After,
    /// Word: as `Before`. Block: zero up to some byte (flash may be programmed before it is erased).
    Zeros,
    /// Word: as `After`. Block: old up to some byte, random from there.
    Tail,
}

impl Tear {
    pub(crate) const ALL: [Self; 7] =
        [Self::Before, Self::Partly, Self::Garbage, Self::Unreadable, Self::After, Self::Zeros, Self::Tail];
}

#[derive(Debug, Clone)]
pub(crate) struct NorMock<const READ: usize, const WRITE: usize, const ERASE: usize> {
    pub(crate) bytes: Vec<u8>,
    /// By word: written since its last erase.
    written: Vec<bool>,
    /// By word: reading fails.
    unreadable: Vec<bool>,
    /// Points left until the power goes, and how.
    cut: Option<(u64, Tear)>,
    powered: bool,
    /// Points passed so far.
    pub(crate) points: u64,
    /// Which of them were erases.
    pub(crate) erases: Vec<u64>,
    random: Pcg32,
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorMock<READ, WRITE, ERASE> {
    pub(crate) fn new(blocks: usize) -> Self {
        Self::with_content(vec![0xff; blocks * ERASE])
    }

    /// A flash with this content, of which every word that isn't all ones counts as written.
    pub(crate) fn with_content(bytes: Vec<u8>) -> Self {
        assert!(bytes.len().is_multiple_of(ERASE));
        let written: Vec<bool> = bytes.chunks(WRITE).map(|word| word.iter().any(|byte| *byte != 0xff)).collect();
        let unreadable = vec![false; written.len()];
        Self {
            bytes,
            written,
            unreadable,
            cut: None,
            powered: true,
            points: 0,
            erases: Vec::new(),
            random: Pcg32::new(0),
        }
    }

    /// The power goes at the `point`-th point from now.
    pub(crate) fn cut_power_at(&mut self, point: u64, tear: Tear, seed: u64) {
        self.cut = Some((point, tear));
        self.random = Pcg32::new(seed);
    }

    /// Power is back. Returns whether it had gone.
    pub(crate) fn power_on(&mut self) -> bool {
        self.cut = None;
        !std::mem::replace(&mut self.powered, true)
    }

    /// Passes a point; the way to tear if the power goes here.
    fn point(&mut self) -> Option<Tear> {
        self.points += 1;
        match &mut self.cut {
            Some((0, tear)) => {
                self.powered = false;
                Some(*tear)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn random_byte(&mut self) -> u8 {
        self.random.below(256) as u8
    }

    /// Leaves the word around `at` as the power went while its byte `at` was written to `value`.
    fn tear_word(&mut self, at: usize, value: u8, tear: Tear) {
        let word = at / WRITE * WRITE..(at / WRITE + 1) * WRITE;
        match tear {
            Tear::Before | Tear::Zeros => {}
            Tear::After | Tear::Tail => self.bytes[at] = value,
            Tear::Partly => {
                let done = self.random_byte();
                self.bytes[at] &= value | done;
            }
            Tear::Garbage => {
                for at in word.clone() {
                    self.bytes[at] = self.random_byte();
                }
            }
            Tear::Unreadable => self.unreadable[at / WRITE] = true,
        }
        self.written[at / WRITE] = self.unreadable[at / WRITE] || self.bytes[word].iter().any(|byte| *byte != 0xff);
    }

    /// Leaves the block at `start` as the power went while it was erased.
    fn tear_block(&mut self, start: usize, tear: Tear) {
        let end = start + ERASE;
        // Somewhere in what the block holds: tearing only its erased rest would be no test.
        let held = self.bytes[start..end].iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
        let boundary = start + self.random.below(held as u32 + 1) as usize;
        match tear {
            Tear::Before => {}
            Tear::Partly => {
                for at in start..end {
                    match self.random.below(3) {
                        0 => {}
                        1 => self.bytes[at] = 0xff,
                        _ => self.bytes[at] = self.random_byte(),
                    }
                }
            }
            Tear::Garbage => self.bytes[boundary..end].fill(0xff),
            Tear::Unreadable => self.unreadable[start / WRITE..end / WRITE].fill(true),
            Tear::After => self.bytes[start..boundary].fill(0xff),
            Tear::Zeros => self.bytes[start..boundary].fill(0),
            Tear::Tail => {
                for at in boundary..end {
                    self.bytes[at] = self.random_byte();
                }
            }
        }
    }

    fn powered(&self) -> Result<(), MockError> {
        if self.powered { Ok(()) } else { Err(MockError::PowerLost) }
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ErrorType for NorMock<READ, WRITE, ERASE> {
    type Error = MockError;
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> ReadNorFlash for NorMock<READ, WRITE, ERASE> {
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        self.powered()?;
        check_read(self, offset, bytes.len()).map_err(MockError::Rule)?;
        let range = offset as usize..offset as usize + bytes.len();
        if self.unreadable[range.start / WRITE..range.end.div_ceil(WRITE)].contains(&true) {
            return Err(MockError::Unreadable);
        }
        bytes.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WRITE: usize, const ERASE: usize> NorFlash for NorMock<READ, WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        self.powered()?;
        check_erase(self, from, to).map_err(MockError::Rule)?;
        for start in (from as usize..to as usize).step_by(ERASE) {
            self.erases.push(self.points);
            if let Some(tear) = self.point() {
                self.tear_block(start, tear);
                return Err(MockError::PowerLost);
            }
            self.bytes[start..start + ERASE].fill(0xff);
            self.written[start / WRITE..(start + ERASE) / WRITE].fill(false);
            self.unreadable[start / WRITE..(start + ERASE) / WRITE].fill(false);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        self.powered()?;
        check_write(self, offset, bytes.len()).map_err(MockError::Rule)?;
        let begin = offset as usize;
        if self.written[begin / WRITE..(begin + bytes.len()) / WRITE].contains(&true) {
            return Err(MockError::WrittenTwice);
        }
        for (at, value) in (begin..).zip(bytes) {
            if let Some(tear) = self.point() {
                self.tear_word(at, *value, tear);
                return Err(MockError::PowerLost);
            }
            self.bytes[at] &= value;
        }
        self.written[begin / WRITE..(begin + bytes.len()) / WRITE].fill(true);
        Ok(())
    }
}
