//! The table that says what each example of a folder is: `manifest.csv`.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Role, Row, column, parse_split};

/// Names of its columns.
pub(super) struct Columns<'a> {
    /// The class number.
    pub(super) label: &'a str,
    /// train, val or test.
    pub(super) split: &'a str,
    /// Whom or what an example is from; may be missing.
    pub(super) subject: &'a str,
    /// adapt or eval; may be missing.
    pub(super) role: &'a str,
    /// The file that holds the example, where each has its own.
    pub(super) file: Option<&'a str>,
}

/// The rows, and the file of each where there is such a column.
pub(super) fn read(columns: &Columns<'_>, path: &Path) -> Result<(Vec<Row>, Vec<String>)> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("can't read {}", path.display()))?;
    let header = reader.headers().with_context(|| format!("can't read {}", path.display()))?.clone();
    let label = column(&header, columns.label, path)?;
    let split = column(&header, columns.split, path)?;
    let file = columns.file.map(|name| column(&header, name, path)).transpose()?;
    let optional = |name: &str| header.iter().position(|column| column == name);
    let (subject, role) = (optional(columns.subject), optional(columns.role));
    let (mut rows, mut files) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.with_context(|| format!("can't read {}", path.display()))?;
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let place = || format!("{} line {}", path.display(), record.position().map_or(0, csv::Position::line));
        rows.push(Row {
            split: parse_split(cell(split)).with_context(place)?,
            subject: subject.map(cell).unwrap_or_default().to_owned(),
            label: cell(label)
                .parse()
                .ok()
                .with_context(|| format!("{}: label {:?} is no class number", place(), cell(label)))?,
            role: match role.map(cell) {
                Some("adapt") => Role::Adapt,
                Some("eval") => Role::Eval,
                None | Some("") => Role::Unspecified,
                Some(other) => bail!("{}: role {other:?} is neither adapt nor eval", place()),
            },
        });
        files.extend(file.map(|file| cell(file).to_owned()));
    }
    Ok((rows, files))
}

/// The names of classes, and numbers for those that have none.
pub(super) fn classes(mut names: Vec<String>, rows: &[Row]) -> Vec<String> {
    let labels = rows.iter().map(|row| row.label + 1).max().unwrap_or(0);
    names.extend((names.len()..labels).map(|label| label.to_string()));
    names
}
