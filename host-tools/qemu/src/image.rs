//! What a firmware's ELF file says about it.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use gimli::{EndianSlice, LittleEndian};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

/// A firmware, as linked.
#[derive(Clone, Debug)]
pub struct Image {
    bytes: Vec<u8>,
    symbols: Vec<Symbol>,
    text_bytes: u64,
}

/// A name in the firmware.
#[derive(Clone, Debug)]
struct Symbol {
    name: String,
    address: u64,
    size: u64,
    is_code: bool,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// When the file can't be read or is no ELF.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        let file = object::File::parse(&*bytes).with_context(|| format!("{} is no ELF file", path.display()))?;
        let symbols = file.symbols().filter_map(|symbol| {
            let name = rustc_demangle::demangle(symbol.name().ok()?);
            Some(Symbol {
                name: format!("{name:#}"),
                address: symbol.address(),
                size: symbol.size(),
                is_code: symbol.kind() == SymbolKind::Text,
            })
        });
        let symbols = symbols.collect();
        let text_bytes = file.sections().filter(|s| s.kind() == SectionKind::Text).map(|s| s.size()).sum();
        Ok(Self { symbols, text_bytes, bytes })
    }

    /// The file itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Code of the whole firmware: its executable sections.
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Code of the library alone: its functions, by symbol (paths that begin with `nervelet::`, and its assembly routines, named
    /// `nervelet_*`), and what the compiler inlined of them into other functions, by debug information. The standard library's own
    /// functions that it calls (memory copies, software floating point) are not in it.
    ///
    /// # Errors
    /// When the debug information can't be read.
    pub fn library_text_bytes(&self) -> Result<u64> {
        Ok(self.library_functions()?.iter().map(|(_, bytes)| bytes).sum())
    }

    /// The functions that [`Image::library_text_bytes`] adds up, largest first, each with its bytes of the library's code.
    ///
    /// # Errors
    /// When the debug information can't be read.
    pub fn library_functions(&self) -> Result<Vec<(&str, u64)>> {
        let mut functions: Vec<_> = self.symbols.iter().filter(|symbol| symbol.is_code && symbol.size > 0).collect();
        // The linker folds equal functions: their names share one address and count once, for the library if it is one of them.
        functions.sort_by_key(|symbol| (symbol.start(), !is_library(&symbol.name)));
        functions.dedup_by_key(|symbol| symbol.start());
        let inlined = InlinedCode::read(&self.bytes)?;
        let bytes = functions.iter().map(|symbol| {
            let bytes = match is_library(&symbol.name) {
                true => symbol.size,
                false => inlined.library_bytes(symbol.start()..symbol.start() + symbol.size)?,
            };
            Ok((&*symbol.name, bytes))
        });
        let mut bytes = bytes.collect::<Result<Vec<_>>>()?;
        bytes.retain(|(_, bytes)| *bytes > 0);
        bytes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        Ok(bytes)
    }

    /// The routines for floating point that are linked: those that a core without such instructions calls for them, and the
    /// mathematical functions.
    pub fn float_routines(&self) -> Vec<&str> {
        let names = self.symbols.iter().filter(|symbol| symbol.is_code).map(|symbol| &*symbol.name);
        names.filter(|name| is_float_routine(name)).collect()
    }

    /// Address and size of a symbol, without the Thumb bit.
    pub(crate) fn symbol(&self, name: &str) -> Result<(u64, u64)> {
        let found = self.symbols.iter().find(|s| s.name == name);
        let symbol = found.with_context(|| format!("the firmware has no symbol `{name}`"))?;
        Ok((symbol.start(), symbol.size))
    }
}

impl Symbol {
    /// The address without the Thumb bit.
    fn start(&self) -> u64 {
        self.address & !u64::from(self.is_code)
    }
}

/// Whether a name is the library's: `nervelet::f`, `<nervelet::T as U>::f`, `<T as nervelet::U>::f` or `nervelet_f`.
fn is_library(name: &str) -> bool {
    let path = name.trim_start_matches(['<', '&', '[', '*']);
    path.starts_with("nervelet::")
        || path.split_once(" as ").is_some_and(|(_, rest)| rest.starts_with("nervelet::"))
        || name.starts_with("nervelet_") && !name.contains("::")
}

/// Whether a name is that of a routine for floating point: of the ABI (`__aeabi_fadd`, `__aeabi_d2iz`, `__aeabi_ui2f`), of the
/// compiler's library (`__addsf3`, `__fixunsdfsi`, `compiler_builtins::float::..`), or of a mathematical function (`libm::..`, `expf`).
fn is_float_routine(name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    if let Some(routine) = last.strip_prefix("__aeabi_") {
        let converts = ["i2f", "i2d", "l2f", "l2d"].iter().any(|end| routine.trim_start_matches('u').starts_with(end));
        let division = routine.starts_with("drsub") || !routine.starts_with("div");
        return converts
            || routine.starts_with('f')
            || routine.starts_with("cf")
            || routine.starts_with("cd")
            || routine.starts_with('d') && division;
    }
    let of_compiler = last.starts_with("__")
        && ["sf", "df"].iter().any(|kind| {
            let mut rest = last.match_indices(kind).map(|(at, _)| &last[at + 2..]);
            rest.any(|rest| matches!(rest, "" | "2" | "3" | "si" | "di" | "ti" | "df2" | "sf2" | "2vfp" | "3vfp"))
        });
    let path = name.trim_start_matches('<');
    of_compiler
        || path.starts_with("libm::")
        || path.contains("compiler_builtins::float")
        || path.contains("compiler_builtins::math")
}

type Bytes<'e> = EndianSlice<'e, LittleEndian>;

/// Tells which functions an instruction was inlined from.
struct InlinedCode<'e>(addr2line::Context<Bytes<'e>>);

impl<'e> InlinedCode<'e> {
    fn read(elf: &'e [u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("no ELF file")?;
        let section = |id: gimli::SectionId| {
            let section = file.section_by_name(id.name());
            let data = section.map(|section| section.data()).transpose().context(id.name())?.unwrap_or_default();
            Ok::<_, anyhow::Error>(EndianSlice::new(data, LittleEndian))
        };
        let dwarf = gimli::Dwarf::load(section).context("no debug information")?;
        Ok(Self(addr2line::Context::from_dwarf(dwarf).context("the debug information can't be read")?))
    }

    /// Bytes of the instructions in `code` that come from the library.
    fn library_bytes(&self, code: Range<u64>) -> Result<u64> {
        /// Every Thumb instruction is one or two of these.
        const HALFWORD: u64 = 2;
        let mut bytes = 0;
        for address in code.step_by(HALFWORD as usize) {
            let mut frames = self.0.find_frames(address).skip_all_loads()?;
            while let Some(frame) = frames.next()? {
                let name = frame.function.as_ref().map(addr2line::FunctionName::raw_name).transpose()?;
                if name.is_some_and(|name| is_library(&format!("{:#}", rustc_demangle::demangle(&name)))) {
                    bytes += HALFWORD;
                    break;
                }
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{is_float_routine, is_library};

    #[test]
    fn names_of_routines_for_floating_point() {
        for name in [
            "__aeabi_fadd",
            "__aeabi_frsub",
            "__aeabi_fcmplt",
            "__aeabi_cfcmple",
            "__aeabi_dmul",
            "__aeabi_d2iz",
            "__aeabi_i2f",
            "__aeabi_ul2d",
            "__addsf3",
            "__fixunsdfsi",
            "__floatsisf",
            "__extendsfdf2",
            "__ltsf2",
            "compiler_builtins::arm::__aeabi_fdiv",
            "compiler_builtins::float::add::__addsf3",
            "libm::math::expf",
            "libm::math::generic::sqrt::sqrt_round",
        ] {
            assert!(is_float_routine(name), "{name}");
        }
        for name in [
            "__aeabi_idiv",
            "__aeabi_uidivmod",
            "__aeabi_ldivmod",
            "__aeabi_uldivmod",
            "__aeabi_lmul",
            "__aeabi_memcpy4",
            "__aeabi_memclr",
            "__udivsi3",
            "__divdi3",
            "__muldi3",
            "nervelet::kernels::reference::float::softmax_f32",
        ] {
            assert!(!is_float_routine(name), "{name}");
        }
    }

    #[test]
    fn names_of_the_library() {
        for name in [
            "nervelet::kernels::softmax",
            "<nervelet::Session>::invoke",
            "<nervelet::Model as core::fmt::Debug>::fmt",
            "<u8 as nervelet::session::Element>::f",
            "nervelet_conv_2d_rows",
        ] {
            assert!(is_library(name), "{name}");
        }
        for name in ["nervelet_board_qemu::runner::main", "core::fmt::write", "board_markers", "memcpy"] {
            assert!(!is_library(name), "{name}");
        }
    }
}
