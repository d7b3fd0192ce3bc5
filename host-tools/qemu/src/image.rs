//! What a firmware's ELF file says about it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
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

    /// Code of the library alone: all functions whose path begins with `nervelet::`, and its assembly routines, which are named
    /// `nervelet_*`. What the compiler inlined into the firmware's own functions is not in it, nor are the compiler's helpers.
    pub fn library_text_bytes(&self) -> u64 {
        let mut functions: Vec<_> =
            self.symbols.iter().filter(|s| s.is_code && s.is_library()).map(|s| (s.address & !1, s.size)).collect();
        // The linker folds equal functions: their names share one address and count once.
        functions.sort_unstable();
        functions.dedup_by_key(|(address, _)| *address);
        functions.iter().map(|(_, size)| size).sum()
    }

    /// Address and size of a symbol, without the Thumb bit.
    pub(crate) fn symbol(&self, name: &str) -> Result<(u64, u64)> {
        let found = self.symbols.iter().find(|s| s.name == name);
        let symbol = found.with_context(|| format!("the firmware has no symbol `{name}`"))?;
        let thumb = u64::from(symbol.is_code);
        Ok((symbol.address & !thumb, symbol.size))
    }
}

impl Symbol {
    /// Whether the name is the library's: `nervelet::f`, `<nervelet::T as U>::f`, `<T as nervelet::U>::f` or `nervelet_f`.
    fn is_library(&self) -> bool {
        let path = self.name.trim_start_matches(['<', '&', '[', '*']);
        path.starts_with("nervelet::")
            || path.split_once(" as ").is_some_and(|(_, rest)| rest.starts_with("nervelet::"))
            || self.name.starts_with("nervelet_") && !self.name.contains("::")
    }
}
