//! The header of a record: who the head belongs to, and the checksums.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};

use super::layout::MARK_BYTES;

/// Bit by bit: a table would be faster and cost 1 KiB of flash.
pub(super) const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Size of the encoded header with its CRC; part of the format.
pub(super) const HEADER_BYTES: usize = 64;
const CRC_BYTES: usize = 4;
/// Newest format this code reads, and the one it writes.
pub(super) const FORMAT: u8 = 1;
const MAGIC: [u8; 4] = *b"nvlh";

/// What a head belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeadIdentity {
    /// Id of the encoder whose features it was trained on: `Model::id`.
    pub encoder: [u8; 16],
    /// Number of outputs.
    #[serde(with = "postcard::fixint::le")]
    pub classes: u32,
    /// Number of inputs.
    #[serde(with = "postcard::fixint::le")]
    pub features: u32,
}

/// The header of format 1. In every format the first five bytes are magic and format, and the last
/// four of the 64 the CRC of the rest. All fields have a fixed size: postcard's variable-length
/// integers would bring a bounds check that can panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Header {
    magic: [u8; 4],
    format: u8,
    pub(super) identity: HeadIdentity,
    /// Counts the commits; compared as serial numbers, so it may wrap.
    #[serde(with = "postcard::fixint::le")]
    pub(super) sequence: u32,
    /// Not valid for `load_into` until its mark is written.
    pub(super) trial: bool,
    /// CRC of the payload without its padding.
    #[serde(with = "postcard::fixint::le")]
    pub(super) payload_crc: u32,
}

/// What 64 bytes turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoded {
    Header(Header),
    /// Intact, of a format this code doesn't know.
    OtherFormat(u8),
    /// No header.
    Garbage,
}

impl Header {
    pub(super) fn new(identity: HeadIdentity, sequence: u32, trial: bool, payload_crc: u32) -> Self {
        Self { magic: MAGIC, format: FORMAT, identity, sequence, trial, payload_crc }
    }

    /// The bytes of the header. The encoding has 38 bytes, so it always fits; were it not so, the
    /// bytes would not decode and the commit would fail.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        if let Some((fields, checksum)) = bytes.split_last_chunk_mut::<CRC_BYTES>()
            && postcard::to_slice(self, fields).is_ok()
        {
            *checksum = CRC.checksum(fields).to_le_bytes();
        }
        bytes
    }

    /// The confirmation of this record: the header's CRC, plain and inverted. Undefined flash content
    /// is no mark, nor is that of another record.
    pub(super) fn mark(&self) -> [u8; MARK_BYTES] {
        let bytes = self.encode();
        let checksum = bytes.last_chunk::<CRC_BYTES>().copied().unwrap_or_default();
        let mut mark = [0; MARK_BYTES];
        for (byte, value) in mark.iter_mut().zip(checksum.into_iter().chain(checksum.map(|byte| !byte))) {
            *byte = value;
        }
        mark
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Decoded {
        let Some((fields, checksum)) = bytes.split_last_chunk::<CRC_BYTES>() else {
            return Decoded::Garbage;
        };
        let intact = CRC.checksum(fields) == u32::from_le_bytes(*checksum);
        match fields.strip_prefix(&MAGIC) {
            Some([FORMAT, ..]) if intact => postcard::from_bytes(fields).map_or(Decoded::Garbage, Decoded::Header),
            Some([format, ..]) if intact => Decoded::OtherFormat(*format),
            _ => Decoded::Garbage,
        }
    }
}

/// True when commit `a` was made after commit `b`, also across the wrap.
pub(super) fn is_newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: HeadIdentity = HeadIdentity { encoder: [0xff; 16], classes: u32::MAX, features: u32::MAX };

    #[test]
    fn a_header_fits_and_comes_back() {
        for (identity, trial) in [(LARGEST, false), (HeadIdentity { encoder: [1; 16], classes: 2, features: 3 }, true)]
        {
            let header = Header::new(identity, u32::MAX, trial, 0x0102_0304);
            let bytes = header.encode();
            assert_eq!(Header::decode(&bytes), Decoded::Header(header));
            assert_eq!(postcard::to_slice(&header, &mut [0; 64]).unwrap().len(), 38);
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = Header::new(LARGEST, 7, false, 0x1234_5678).encode();
        for bit in (0..8 * HEADER_BYTES).step_by(if cfg!(miri) { 31 } else { 1 }) {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), Decoded::Garbage);
        }
        assert_eq!(Header::decode(&[0; 64]), Decoded::Garbage);
        assert_eq!(Header::decode(&[0xff; 64]), Decoded::Garbage);
    }

    #[test]
    fn each_record_has_a_mark_of_its_own() {
        let mark = |sequence| Header::new(LARGEST, sequence, true, 0).mark();
        assert_ne!(mark(1), mark(2));
        let bytes = mark(1);
        assert!((0..4).all(|byte| bytes[byte] == !bytes[byte + 4]));
    }

    #[test]
    fn a_newer_format_is_told_from_garbage() {
        let mut bytes = Header::new(LARGEST, 7, false, 0).encode();
        bytes[4] = 2;
        let checksum = CRC.checksum(&bytes[..60]).to_le_bytes();
        bytes[60..].copy_from_slice(&checksum);
        assert_eq!(Header::decode(&bytes), Decoded::OtherFormat(2));
        bytes[0] ^= 1;
        let checksum = CRC.checksum(&bytes[..60]).to_le_bytes();
        bytes[60..].copy_from_slice(&checksum);
        assert_eq!(Header::decode(&bytes), Decoded::Garbage);
    }

    #[test]
    fn serial_numbers_wrap() {
        assert!(is_newer(1, 0) && !is_newer(0, 1) && !is_newer(5, 5));
        assert!(is_newer(0, u32::MAX) && !is_newer(u32::MAX, 0));
    }
}
