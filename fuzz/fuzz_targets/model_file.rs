//! Model files: any bytes, and good models with damage behind a checksum that fits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nervelet_fuzz::{damage, good_models, run, with_checksum};

fuzz_target!(|bytes: &[u8]| {
    run(bytes);
    if let Some(repaired) = with_checksum(bytes) {
        run(&repaired);
    }
    let Some((choice, orders)) = bytes.split_first() else { return };
    let models = good_models();
    let mut damaged = models[usize::from(*choice) % models.len()].to_vec();
    damage(&mut damaged, orders);
    if let Some(repaired) = with_checksum(&damaged) {
        run(&repaired);
    }
});
