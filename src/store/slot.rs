//! Reading and writing the record in one slot, in chunks.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{CHUNK, Layout, MARK_BYTES};
use super::record::{CRC, Decoded, HEADER_BYTES, HeadIdentity, Header};

/// A piece of a record. Aligned, as some drivers read and write through DMA.
#[repr(C, align(16))]
pub(super) struct Chunk([u8; CHUNK]);

impl Chunk {
    pub(super) fn new() -> Self {
        Self([0; CHUNK])
    }

    /// The first `length` bytes, with padding to whole units of the flash: at most `CHUNK` bytes.
    fn padded<F: NorFlash>(&mut self, length: usize) -> &mut [u8] {
        let padded = length.checked_next_multiple_of(F::WRITE_SIZE).unwrap_or(CHUNK).min(CHUNK);
        self.0.get_mut(..padded).unwrap_or_default()
    }
}

/// What a slot holds.
#[derive(Debug)]
pub(super) enum Slot<E> {
    /// Erased, as far as the header goes.
    Empty,
    /// No intact record.
    Garbage,
    /// The flash can't read it (some have checksums of their own that a torn write leaves wrong).
    Unreadable(E),
    /// An intact header of another format.
    OtherFormat(u8),
    /// An intact header that belongs to another encoder or shape.
    Foreign(Header),
    /// An intact head that is not confirmed.
    Trial(Header),
    /// An intact head.
    Confirmed(Header),
}

impl<E> Slot<E> {
    /// Looks at the slot that begins at `start`: one pass over its record.
    pub(super) fn inspect<F: NorFlash<Error = E>>(
        flash: &mut F,
        layout: &Layout,
        start: u32,
        identity: HeadIdentity,
    ) -> Self {
        Self::try_inspect(flash, layout, start, identity).unwrap_or_else(Self::Unreadable)
    }

    fn try_inspect<F: NorFlash<Error = E>>(
        flash: &mut F,
        layout: &Layout,
        start: u32,
        identity: HeadIdentity,
    ) -> Result<Self, E> {
        let mut chunk = Chunk::new();
        flash.read(start, chunk.padded::<F>(HEADER_BYTES))?;
        let Some(bytes) = chunk.0.first_chunk::<HEADER_BYTES>() else {
            return Ok(Self::Garbage);
        };
        if is_erased(bytes) {
            return Ok(Self::Empty);
        }
        let header = match Header::decode(bytes) {
            Decoded::Garbage => return Ok(Self::Garbage),
            Decoded::OtherFormat(format) => return Ok(Self::OtherFormat(format)),
            Decoded::Header(header) if header.identity != identity => return Ok(Self::Foreign(header)),
            Decoded::Header(header) => header,
        };
        if read_payload(flash, layout, start, &mut chunk, |_| ())? != header.payload_crc {
            return Ok(Self::Garbage);
        }
        let confirmed = !header.trial
            || layout.marks::<F>(start).any(|at| match read_mark(flash, at, &mut chunk) {
                Ok(mark) => mark == header.mark(),
                Err(_) => false,
            });
        Ok(if confirmed { Self::Confirmed(header) } else { Self::Trial(header) })
    }

    pub(super) fn confirmed(&self) -> Option<&Header> {
        match self {
            Self::Confirmed(header) => Some(header),
            _ => None,
        }
    }

    pub(super) fn trial(&self) -> Option<&Header> {
        match self {
            Self::Trial(header) => Some(header),
            _ => None,
        }
    }

    pub(super) fn foreign(&self) -> Option<&Header> {
        match self {
            Self::Foreign(header) => Some(header),
            _ => None,
        }
    }

    pub(super) fn header(&self) -> Option<&Header> {
        self.confirmed().or(self.trial()).or(self.foreign())
    }

    /// What is kept by not overwriting the slot; the lesser one is overwritten. A trial goes first:
    /// it is superseded whatever is written, and must not come back when its successor is rolled back.
    pub(super) fn value(&self) -> u8 {
        match self {
            Self::Trial(_) => 0,
            Self::Empty | Self::Garbage | Self::Unreadable(_) => 1,
            Self::OtherFormat(_) => 2,
            Self::Foreign(_) => 3,
            Self::Confirmed(_) => 4,
        }
    }
}

/// Hands every parameter's bytes to `visit`, in order, and returns the CRC of all.
pub(super) fn read_payload<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    start: u32,
    chunk: &mut Chunk,
    mut visit: impl FnMut([u8; 4]),
) -> Result<u32, F::Error> {
    let mut digest = CRC.digest();
    for (at, length) in layout.chunks(start) {
        let bytes = chunk.padded::<F>(length);
        flash.read(at, bytes)?;
        let bytes = bytes.get(..length).unwrap_or_default();
        digest.update(bytes);
        for word in bytes.as_chunks().0 {
            visit(*word);
        }
    }
    Ok(digest.finalize())
}

/// Writes the parameters into an erased slot and returns their CRC.
pub(super) fn write_payload<'p, F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    start: u32,
    mut parameters: impl Iterator<Item = &'p f32>,
) -> Result<u32, F::Error> {
    let mut digest = CRC.digest();
    for (at, length) in layout.chunks(start) {
        let mut chunk = Chunk::new();
        let bytes = chunk.padded::<F>(length);
        let words = bytes.get_mut(..length).unwrap_or_default();
        for (word, parameter) in words.as_chunks_mut().0.iter_mut().zip(parameters.by_ref()) {
            *word = parameter.to_le_bytes();
        }
        digest.update(words);
        flash.write(at, bytes)?;
    }
    Ok(digest.finalize())
}

/// Writes the header, which makes the record valid.
pub(super) fn write_header<F: NorFlash>(flash: &mut F, start: u32, header: &Header) -> Result<(), F::Error> {
    let mut chunk = Chunk::new();
    let bytes = chunk.padded::<F>(HEADER_BYTES);
    for (byte, encoded) in bytes.iter_mut().zip(header.encode()) {
        *byte = encoded;
    }
    flash.write(start, bytes)
}

/// Writes the mark of `header` at `at`.
pub(super) fn write_mark<F: NorFlash>(flash: &mut F, at: u32, header: &Header) -> Result<(), F::Error> {
    let mut chunk = Chunk::new();
    let bytes = chunk.padded::<F>(MARK_BYTES);
    for (byte, mark) in bytes.iter_mut().zip(header.mark()) {
        *byte = mark;
    }
    flash.write(at, bytes)
}

/// True when nothing was written at the mark `at`, padding included.
pub(super) fn mark_is_erased<F: NorFlash>(flash: &mut F, at: u32) -> bool {
    let mut chunk = Chunk::new();
    let bytes = chunk.padded::<F>(MARK_BYTES);
    flash.read(at, bytes).is_ok() && is_erased(bytes)
}

fn read_mark<F: NorFlash>(flash: &mut F, at: u32, chunk: &mut Chunk) -> Result<[u8; MARK_BYTES], F::Error> {
    flash.read(at, chunk.padded::<F>(MARK_BYTES))?;
    Ok(chunk.0.first_chunk().copied().unwrap_or_default())
}

fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xff)
}
