//! Dot products for row-major weights, two multiply-accumulates an instruction.

use core::arch::asm;

use super::super::reference;

/// Sign-extends bytes 0 and 2 to a pair of halfwords.
#[inline(always)]
fn sxtb16(word: u32) -> u32 {
    let pair: u32;
    // SAFETY: a register-to-register instruction of every Armv7E-M core; touches neither memory nor flags.
    unsafe {
        asm!("sxtb16 {pair}, {word}", pair = lateout(reg) pair, word = in(reg) word, options(pure, nomem, nostack, preserves_flags));
    };
    pair
}

/// Sign-extends bytes 1 and 3 to a pair of halfwords.
#[inline(always)]
fn sxtb16_odd(word: u32) -> u32 {
    let pair: u32;
    // SAFETY: as `sxtb16`.
    unsafe {
        asm!("sxtb16 {pair}, {word}, ror #8", pair = lateout(reg) pair, word = in(reg) word, options(pure, nomem, nostack, preserves_flags));
    };
    pair
}

/// As `sxtb16`, adding `offsets` to the halfwords.
#[inline(always)]
fn sxtab16(offsets: u32, word: u32) -> u32 {
    let pair: u32;
    // SAFETY: as `sxtb16`.
    unsafe {
        asm!("sxtab16 {pair}, {offsets}, {word}", pair = lateout(reg) pair, offsets = in(reg) offsets, word = in(reg) word, options(pure, nomem, nostack, preserves_flags));
    };
    pair
}

/// As `sxtb16_odd`, adding `offsets` to the halfwords.
#[inline(always)]
fn sxtab16_odd(offsets: u32, word: u32) -> u32 {
    let pair: u32;
    // SAFETY: as `sxtb16`.
    unsafe {
        asm!("sxtab16 {pair}, {offsets}, {word}, ror #8", pair = lateout(reg) pair, offsets = in(reg) offsets, word = in(reg) word, options(pure, nomem, nostack, preserves_flags));
    };
    pair
}

/// `sum + a.low * b.low + a.high * b.high`, wrapping.
#[inline(always)]
fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let result: i32;
    // SAFETY: register-to-register; may set the Q flag, so flags are not claimed to be preserved.
    unsafe {
        asm!("smlad {result}, {a}, {b}, {sum}", result = lateout(reg) result, a = in(reg) a, b = in(reg) b, sum = in(reg) sum, options(pure, nomem, nostack));
    };
    result
}

/// [`Core::dot`](super::Core::dot) four elements at a time.
#[inline(always)]
pub fn dot(input: &[i8], weights: &[i8], input_offset: i32) -> i32 {
    // `input + input_offset` fits a halfword for every int8 code and int8 zero point.
    let half = u32::from(input_offset as u16);
    let offsets = half << 16 | half;
    let length = input.len().min(weights.len());
    let (input, _) = input.split_at(length);
    let (weights, _) = weights.split_at(length);
    let (input_words, input_rest) = input.as_chunks::<4>();
    let (weight_words, weight_rest) = weights.as_chunks::<4>();
    let mut sum = 0;
    for (x, w) in input_words.iter().zip(weight_words) {
        let x = u32::from_le_bytes(x.map(|code| code as u8));
        let w = u32::from_le_bytes(w.map(|code| code as u8));
        sum = smlad(sxtab16(offsets, x), sxtb16(w), sum);
        sum = smlad(sxtab16_odd(offsets, x), sxtb16_odd(w), sum);
    }
    sum.wrapping_add(reference::dot(input_rest, weight_rest, input_offset))
}
