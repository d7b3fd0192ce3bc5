//! Flash content that nobody wrote, or that nobody finished writing, and a store at work on it.

#![no_main]

use crc::{CRC_32_ISO_HDLC, Crc};
use libfuzzer_sys::fuzz_target;
use nervelet::store::{HeadIdentity, HeadStore, region_bytes};
use nervelet_fuzz::Flash;

const CLASSES: usize = 2;
const FEATURES: usize = 3;
const IDENTITY: HeadIdentity =
    HeadIdentity { encoder: *b"any sixteen byte", classes: CLASSES as u32, features: FEATURES as u32 };
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

// Where the parts of a slot lie; documented in `nervelet::store`.
const SLOT: usize = 128;
const HEADER: usize = 64;
const TRIAL: usize = 33;
const PAYLOAD: usize = 4 * CLASSES * (FEATURES + 1);

/// A head, as its bits: NaN has to equal itself.
type Head = ([u32; CLASSES * FEATURES], [u32; CLASSES]);

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(region_bytes::<Flash>(CLASSES as u32, FEATURES as u32) as usize, 2 * SLOT);
    let Some((repairs, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let mut flash = Flash { bytes: [0xFF; 2 * SLOT], patience: None };
    let (content, orders) = bytes.split_at(bytes.len().min(flash.bytes.len()));
    flash.bytes[..content.len()].copy_from_slice(content);
    for (slot, repair) in flash.bytes.chunks_exact_mut(SLOT).zip(repairs) {
        make_record(slot, *repair);
    }
    if [TRIAL, SLOT + TRIAL].iter().all(|at| flash.bytes[*at] == 1) {
        // A store overwrites one trial with the next: it never leaves two.
        return;
    }
    for order in orders.as_chunks::<2>().0 {
        flash = obey(flash, *order);
    }
    load(&flash);
});

/// Makes what a slot holds look like a record, as far as the bits of `repair` say.
fn make_record(slot: &mut [u8], repair: u8) {
    let (header, behind) = slot.split_at_mut(HEADER);
    if repair & 1 != 0 {
        header[..5].copy_from_slice(b"nvlh\x01");
    }
    if repair & 2 != 0 {
        header[5..21].copy_from_slice(&IDENTITY.encoder);
        header[21..25].copy_from_slice(&IDENTITY.classes.to_le_bytes());
        header[25..29].copy_from_slice(&IDENTITY.features.to_le_bytes());
        // Sequence numbers of one flash are close to each other; around zero they wrap.
        header[32] = if header[32] & 1 == 0 { 0 } else { 0xFF };
        header[TRIAL] &= 1;
    }
    if repair & 4 != 0 {
        header[34..38].copy_from_slice(&CRC.checksum(&behind[..PAYLOAD]).to_le_bytes());
    }
    if repair & 8 != 0 {
        let checksum = CRC.checksum(&header[..60]).to_le_bytes();
        header[60..].copy_from_slice(&checksum);
    }
    if repair & 16 != 0 {
        let checksum: [u8; 4] = [header[60], header[61], header[62], header[63]];
        behind[PAYLOAD..PAYLOAD + 4].copy_from_slice(&checksum);
        behind[PAYLOAD + 4..PAYLOAD + 8].copy_from_slice(&checksum.map(|byte| !byte));
    }
    if repair & 32 != 0 {
        behind[PAYLOAD..].fill(0xFF);
    }
}

/// One operation of a store, perhaps with a failing flash; what was there before or what is new is there afterwards.
fn obey(mut flash: Flash, [operation, patience]: [u8; 2]) -> Flash {
    let (before, trial_before) = (load(&flash), load_trial(&flash));
    flash.patience = Some(patience).filter(|patience| *patience < 64);
    let value = f32::from(patience);
    let (weights, bias) = ([value; CLASSES * FEATURES], [-value; CLASSES]);
    let new = Some((weights.map(f32::to_bits), bias.map(f32::to_bits)));
    let mut store = store(flash);
    let (done, after_success, trial_after_success) = match operation % 4 {
        0 => (store.commit(&weights, &bias).is_ok(), new, None),
        1 => (store.commit_trial(&weights, &bias).is_ok(), before, new),
        2 => (store.confirm().is_ok(), trial_before, None),
        _ => (store.rollback().is_ok(), before, None),
    };
    let mut flash = store.release();
    flash.patience = None;
    let (after, trial) = (load(&flash), load_trial(&flash));
    if done {
        assert_eq!((after, trial), (after_success, trial_after_success), "operation {operation} succeeded");
    } else {
        assert!(after == before || after == after_success, "operation {operation} failed and left {after:?}");
    }
    flash
}

fn store(flash: Flash) -> HeadStore<Flash> {
    HeadStore::new(flash, 0..2 * SLOT as u32, IDENTITY).expect("the region has the size it needs")
}

fn load(flash: &Flash) -> Option<Head> {
    look(flash, |store, weights, bias| store.load_into(weights, bias).is_ok())
}

fn load_trial(flash: &Flash) -> Option<Head> {
    look(flash, |store, weights, bias| store.load_trial_into(weights, bias).is_ok())
}

fn look(flash: &Flash, load: impl Fn(&mut HeadStore<Flash>, &mut [f32], &mut [f32]) -> bool) -> Option<Head> {
    let (mut weights, mut bias) = ([0.5; CLASSES * FEATURES], [0.5; CLASSES]);
    let found = load(&mut store(flash.clone()), &mut weights, &mut bias);
    let head = (weights.map(f32::to_bits), bias.map(f32::to_bits));
    let untouched = ([0.5_f32.to_bits(); CLASSES * FEATURES], [0.5_f32.to_bits(); CLASSES]);
    assert!(found || head == untouched, "nothing was found, yet the head was written");
    found.then_some(head)
}
