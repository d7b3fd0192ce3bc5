//! What was learned, kept in flash, power-safe.
//!
//! A [`HeadStore`] owns a region of a NOR flash and keeps a head in it in two slots. A commit
//! writes the slot that holds less: what was there before stays whole in the other one until the
//! new record is complete, so a power cut at any byte leaves the whole old or the whole new head.
//!
//! A record belongs to one encoder, by its 16-byte id, and to one shape, classes by features:
//! a head of another model is never loaded.
//!
//! # A slot
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 64, rounded up to `WRITE_SIZE` | header: postcard, then the CRC-32 of it |
//! | after it | `4 * classes * (features + 1)`, rounded up likewise | weights row by row, then bias, f32 little-endian |
//! | after it | 4 times 8, each rounded up likewise | marks: one holds the confirmation of a trial |
//!
//! The payload is written first, the header last. The header has a CRC of itself and one of the
//! payload; both are CRC-32/ISO-HDLC. The slots are the halves of the
//! region, in whole erase blocks; [`region_bytes`] says how large it has to be.
//!
//! # Trials
//! [`HeadStore::commit_trial`] stores a head that is on probation: [`HeadStore::load_into`] goes on
//! giving the last confirmed one until [`HeadStore::confirm`]; [`HeadStore::rollback`] removes it.
//! Flash can't be rewritten without an erase, so confirming is one more write, of a mark that only
//! this record can have. A mark that a power cut spoiled counts for nothing, and the next one is used.
//!
//! # RAM
//! The store holds its flash driver and less than 64 bytes; every operation needs less than 2 KiB of stack,
//! the driver apart, whatever the size of the head.

mod error;
mod head_store;
mod layout;
mod record;
mod slot;

pub use error::StoreError;
pub use head_store::HeadStore;
pub use layout::region_bytes;
pub use record::HeadIdentity;
