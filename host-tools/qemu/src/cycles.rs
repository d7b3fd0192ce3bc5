//! A cycle model of the Cortex-M4 from the public instruction timings in its Technical Reference Manual (r0p1, "Processor instructions",
//! "Load/store timings", "FPU instruction set"), with memory that never waits.
//!
//! | instructions | cycles |
//! |---|---|
//! | data processing and all multiplies | 1 |
//! | `SDIV`, `UDIV` | 7, between the manual's 2 and 12 |
//! | single load, and `VLDR` | 2, or 1 right after another single load whose result it does not need for its address |
//! | single store | 1; with a register offset 2, or 1 right after a single load |
//! | `LDRD`, `STRD` | 3 |
//! | `LDM`, `STM`, `PUSH`, `POP` of N registers | 1 + N, 2 more when the program counter is loaded |
//! | branch | 1, 2 more when taken; `BL`, `BX`, `BLX` 3; `TBB`, `TBH` 4; load to the program counter 4 |
//! | `VSTR` | 2; `VLDM`, `VSTM`, `VPUSH`, `VPOP` of N words 1 + N |
//! | `VMLA`, `VFMA` and their kin 3; `VDIV`, `VSQRT` 14; other floating point | 1 |
//! | an address made by the data-processing instruction just before | 1 more |
//! | an operand made by the floating-point instruction just before | 1 more |

/// An instruction as far as the model cares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Instruction {
    class: Class,
    cycles: u64,
    /// Register written: of a load, or of data processing.
    result: Option<Register>,
    /// Registers that make the address of a load or store.
    address: Vec<Register>,
    /// Registers read by floating point.
    operands: Vec<Register>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Class {
    Data,
    SingleLoad,
    /// A store whose address has a register offset.
    StoreByRegister,
    Store,
    /// A branch that costs more when taken.
    Branch,
    FloatArithmetic,
    #[default]
    Other,
}

/// The name of a register, `sp` and its like by number.
type Register = String;

/// Cycles of a block that runs from its first to its last instruction, not counting a jump at its end.
pub(crate) fn straight(block: &[&Instruction]) -> u64 {
    let mut before = None;
    let mut sum = 0;
    for instruction in block {
        sum += instruction.after(before);
        before = Some(*instruction);
    }
    sum
}

/// Cycles more when the block's last instruction jumps.
pub(crate) fn jump(block: &[&Instruction]) -> u64 {
    match block.last() {
        Some(last) if last.class == Class::Branch => 2,
        _ => 0,
    }
}

impl Instruction {
    /// Reads a disassembled instruction, such as `ldr.w r0, [r1, r2, lsl #2]`.
    pub(crate) fn parse(text: &str) -> Self {
        let (mnemonic, operands) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let name = mnemonic.split('.').next().unwrap_or_default();
        let operands = operands.trim();
        let parts: Vec<&str> = operands.split(',').map(str::trim).collect();
        let first = parts.first().copied().unwrap_or_default();
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let loads_pc = first == "pc" || operands.contains('{') && operands.contains("pc");
        let plain = |cycles| Self { cycles, ..Self::default() };

        if is(&["push", "stm"]) {
            plain(1 + words(operands))
        } else if is(&["pop", "ldm"]) {
            plain(1 + words(operands) + if loads_pc { 2 } else { 0 })
        } else if is(&["vpush", "vpop", "vldm", "vstm"]) {
            plain(1 + words(operands))
        } else if is(&["ldrd", "strd"]) {
            plain(3)
        } else if is(&["ldr", "vldr"]) && loads_pc {
            Self { address: address(operands), ..plain(4) }
        } else if is(&["ldr", "vldr"]) {
            let result = Some(register(first));
            Self { class: Class::SingleLoad, result, address: address(operands), ..plain(2) }
        } else if is(&["str"]) {
            let address = address(operands);
            match address.len() {
                0 | 1 => Self { class: Class::Store, address, ..plain(1) },
                _ => Self { class: Class::StoreByRegister, address, ..plain(2) },
            }
        } else if is(&["vstr"]) {
            plain(2)
        } else if is(&["sdiv", "udiv"]) {
            plain(7)
        } else if is(&["tbb", "tbh"]) {
            plain(4)
        } else if is(&["bx"]) || is(&["bl"]) && !matches!(name, "blo" | "bls" | "blt" | "ble") {
            plain(3)
        } else if is(&["v"]) {
            let cycles = match () {
                () if is(&["vdiv", "vsqrt"]) => 14,
                () if is(&["vfma", "vfms", "vfnma", "vfnms", "vmla", "vmls", "vnmla", "vnmls"]) => 3,
                () => 1,
            };
            let class = if is(&["vmov", "vmrs", "vmsr"]) { Class::Other } else { Class::FloatArithmetic };
            let operands = parts.iter().skip(1).map(|part| register(part)).collect();
            Self { class, result: Some(register(first)), operands, ..plain(cycles) }
        } else if is(&["cb"]) || is(&["b"]) && !is(&["bic", "bfi", "bfc", "bkpt"]) {
            Self { class: Class::Branch, ..plain(1) }
        } else if is(&["cmp", "cmn", "tst", "teq", "it", "nop", "bkpt"]) {
            plain(1)
        } else {
            Self { class: Class::Data, result: Some(register(first)), ..plain(1) }
        }
    }

    /// Cycles when it runs right after `before`; `None` at the start of a block.
    fn after(&self, before: Option<&Self>) -> u64 {
        let Some(before) = before else { return self.cycles };
        let after_load = before.class == Class::SingleLoad;
        let makes = |registers: &[Register]| before.result.as_ref().is_some_and(|result| registers.contains(result));
        let cycles = match self.class {
            Class::SingleLoad if after_load && !makes(&self.address) => 1,
            Class::StoreByRegister if after_load => 1,
            _ => self.cycles,
        };
        let waits = match before.class {
            Class::Data => makes(&self.address),
            Class::FloatArithmetic => makes(&self.operands),
            _ => false,
        };
        cycles + u64::from(waits)
    }
}

/// Registers between brackets: base and offset.
fn address(operands: &str) -> Vec<Register> {
    let inside = operands.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let parts = inside.map(|(inside, _)| inside.split(',')).into_iter().flatten().map(str::trim);
    // Neither an immediate offset nor the shift of a register offset is a register.
    parts
        .filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && !part.contains('#'))
        .map(register)
        .collect()
}

fn register(name: &str) -> Register {
    match name.trim().trim_matches(['!', '[', ']']) {
        "sb" => "r9",
        "sl" => "r10",
        "fp" => "r11",
        "ip" => "r12",
        "sp" => "r13",
        "lr" => "r14",
        "pc" => "r15",
        name => name,
    }
    .to_owned()
}

/// Words that a register list such as `{r4-r7, lr}` or `{d8, d9}` names.
fn words(operands: &str) -> u64 {
    let list = operands.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let Some((list, _)) = list else { return 1 };
    let number = |name: &str| register(name).trim_start_matches(['r', 's', 'd']).parse::<u64>().unwrap_or(0);
    list.split(',')
        .map(str::trim)
        .map(|part| {
            let words = if part.starts_with('d') { 2 } else { 1 };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            words * (number(last).saturating_sub(number(first)) + 1)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(block: &[&str]) -> u64 {
        let block: Vec<_> = block.iter().map(|text| Instruction::parse(text)).collect();
        straight(&block.iter().collect::<Vec<_>>())
    }

    #[test]
    fn single_instructions() {
        for (text, expected) in [
            ("adds r0, r1, #1", 1),
            ("smlad r0, r1, r2, r0", 1),
            ("udiv r0, r1, r2", 7),
            ("ldr.w r0, [r1, r2, lsl #2]", 2),
            ("str r0, [r1, #4]", 1),
            ("str.w r0, [r1, r2]", 2),
            ("ldrd r0, r1, [r2]", 3),
            ("push.w {r4-r7, lr}", 6),
            ("pop {r4, r5, pc}", 6),
            ("pop {r4, r5}", 3),
            ("ldm.w r0!, {r1, r2, r3}", 4),
            ("vpush {d8, d9}", 5),
            ("vpush {d8-d9}", 5),
            ("bl #0x100", 3),
            ("bls #0x100", 1),
            ("bx lr", 3),
            ("bic r0, r0, #1", 1),
            ("cbz r0, #0x20", 1),
            ("ldr pc, [r0]", 4),
            ("vfma.f32 s0, s1, s2", 3),
            ("vsqrt.f32 s0, s1", 14),
            ("tbb [pc, r0]", 4),
        ] {
            assert_eq!(cycles(&[text]), expected, "{text}");
        }
    }

    #[test]
    fn neighbours() {
        // A second load is pipelined unless it needs the first one's result.
        assert_eq!(cycles(&["ldr r0, [r1]", "ldr r2, [r3]"]), 3);
        assert_eq!(cycles(&["ldr r0, [r1]", "ldr r2, [r0]"]), 4);
        // An address that was computed just before.
        assert_eq!(cycles(&["add r1, r2", "ldr r0, [r1]"]), 4);
        assert_eq!(cycles(&["add r1, r2", "ldr r0, [r3]"]), 3);
        // A floating-point result that is needed at once.
        assert_eq!(cycles(&["vmul.f32 s0, s1, s2", "vadd.f32 s3, s0, s4"]), 3);
        assert_eq!(cycles(&["vmul.f32 s0, s1, s2", "vadd.f32 s3, s5, s4"]), 2);
    }

    #[test]
    fn only_conditional_branches_cost_more_when_taken() {
        for (text, expected) in
            [("bne #0x10", 2), ("b.w #0x10", 2), ("blo #0x10", 2), ("cbnz r0, #8", 2), ("bl #0x10", 0), ("bx lr", 0)]
        {
            assert_eq!(jump(&[&Instruction::parse(text)]), expected, "{text}");
        }
    }
}
