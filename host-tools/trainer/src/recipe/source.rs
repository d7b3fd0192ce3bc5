//! A recipe's text, kept so that errors can say where in the file something stands.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::LayerSpec;

/// A TOML file: its path and its text.
#[derive(Clone, Debug, Default)]
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Keeps `text` as the content of `path`.
    pub fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_path_buf(), text: text.to_owned() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it can't be read as UTF-8 text.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("can't read the recipe {}", path.display()))?;
        Ok(Self::new(path, &text))
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file's name without folders and ending.
    pub fn stem(&self) -> String {
        self.path.file_stem().map_or_else(|| "recipe".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    /// The folder that relative paths in the recipe start from.
    pub fn folder(&self) -> PathBuf {
        self.path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
    }

    /// Parses the text into `T`.
    pub(super) fn deserialize<T: DeserializeOwned>(&self) -> Result<T> {
        toml::from_str(&self.text).map_err(|error| {
            let (error, span) = self.inside_an_array(&error).unwrap_or_else(|| (error.clone(), error.span()));
            let at = span.map_or_else(|| self.path.display().to_string(), |span| self.at(&span));
            anyhow!("{at}: {}", error.message())
        })
    }

    /// An error inside `[[layers]]` carries the place of the whole array: looks for the layer it is about.
    fn inside_an_array(&self, error: &toml::de::Error) -> Option<(toml::de::Error, Option<Range<usize>>)> {
        let document = DeTable::parse(&self.text).ok()?;
        let (key, value) = document.get_ref().get_key_value("layers")?;
        if error.span()? != key.span() && error.span()? != value.span() {
            return None;
        }
        let DeValue::Array(layers) = value.get_ref() else { return None };
        layers.iter().find_map(|layer| {
            let error = LayerSpec::deserialize(ValueDeserializer::from(layer.clone())).err()?;
            let span = error.span().or_else(|| Some(layer.span()));
            Some((error, span))
        })
    }

    /// An error about the value at `keys`, such as `["training", "epochs"]`.
    pub fn error(&self, keys: &[&str], message: String) -> Error {
        let at = self.span(keys).map_or_else(|| self.path.display().to_string(), |span| self.at(&span));
        anyhow!("{at}: {}: {message}", keys.join("."))
    }

    /// An error about layer `index` (counted from 0) of `[[layers]]`.
    pub fn layer_error(&self, index: usize, kind: &str, message: &str) -> Error {
        let at = self.layer_span(index).map_or_else(|| self.path.display().to_string(), |span| self.at(&span));
        anyhow!("{at}: layer {index} ({kind}): {message}")
    }

    fn at(&self, span: &Range<usize>) -> String {
        let line = self.text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    /// Where the deepest key of the path that the file has stands.
    fn span(&self, keys: &[&str]) -> Option<Range<usize>> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut table = document.get_ref();
        let mut found = None;
        for &key in keys {
            let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref().as_ref() == key) else { break };
            found = Some(name.span());
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        found
    }

    fn layer_span(&self, index: usize) -> Option<Range<usize>> {
        let document = DeTable::parse(&self.text).ok()?;
        match document.get_ref().get("layers")?.get_ref() {
            DeValue::Array(layers) => Some(layers.get(index)?.span()),
            _ => None,
        }
    }
}
