//! A table: a row is an example, or a sample of a recording that is cut into windows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rand::seq::SliceRandom;

use super::{Dataset, Role, Row, Split, Targets, column, parse_split};
use crate::random::{Purpose, stream};
use crate::recipe::{CsvSpec, Fractions, SplitBy, WindowSpec};

/// A line of the table.
struct Line {
    values: Vec<f32>,
    /// NaN where it was not measured.
    targets: Vec<f32>,
    label: usize,
    subject: String,
    split: Option<Split>,
}

pub(super) fn load(spec: &CsvSpec, folder: &Path, seed: u64) -> Result<Dataset> {
    let path = folder.join(&spec.file);
    let (lines, classes) = read(spec, &path)?;
    ensure!(!lines.is_empty(), "{} has no rows", path.display());
    let width = spec.features.len();
    let window = spec.window.unwrap_or(WindowSpec { length: 1, stride: 1 });
    // Where the split follows the order of the file it is decided line by line, so that no window spans two splits.
    let by_time = spec.fractions.filter(|fractions| fractions.by == SplitBy::Time);
    let splits: Vec<Option<Split>> = match by_time {
        Some(fractions) => (0..lines.len()).map(|line| Some(share(line, lines.len(), fractions))).collect(),
        None => lines.iter().map(|line| line.split).collect(),
    };
    let mut values = Vec::new();
    let mut targets = Vec::new();
    let mut rows = Vec::new();
    let mut undecided = Vec::new();
    let mut start = 0;
    while start < lines.len() {
        let belongs = |line: usize| lines[line].subject == lines[start].subject && splits[line] == splits[start];
        let end = (start..lines.len()).find(|&line| !belongs(line)).unwrap_or(lines.len());
        let mut first = start;
        while first + window.length <= end {
            let samples = &lines[first..first + window.length];
            let target = samples.last().map_or(&[][..], |line| &line.targets);
            if target.iter().any(|value| value.is_nan()) {
                first += window.stride;
                continue;
            }
            targets.extend_from_slice(target);
            values.extend(samples.iter().flat_map(|line| &line.values));
            undecided.push(splits[first].is_none());
            rows.push(Row {
                split: splits[first].unwrap_or(Split::Train),
                subject: lines[first].subject.clone(),
                label: majority(samples),
                role: Role::Unspecified,
            });
            first += window.stride;
        }
        start = end;
    }
    ensure!(
        !rows.is_empty(),
        "{}: no run of {} rows in one split and subject, which dataset.window asks for",
        path.display(),
        window.length
    );
    if let Some(fractions) = spec.fractions.filter(|fractions| fractions.by != SplitBy::Time) {
        assign(&mut rows, fractions, seed);
    } else if undecided.contains(&true) {
        bail!("{}: some rows have no split", path.display());
    }
    Ok(Dataset {
        name: spec.name.clone(),
        simulated: false,
        origin: format!("{}: {}", spec.file, spec.features.join(", ")),
        shape: [1, window.length, width],
        channels: spec.features.clone(),
        classes,
        values,
        side: None,
        lengths: None,
        targets: (!spec.targets.is_empty()).then(|| Targets { names: spec.targets.clone(), values: targets }),
        rows,
    })
}

fn read(spec: &CsvSpec, path: &Path) -> Result<(Vec<Line>, Vec<String>)> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("can't read {}", path.display()))?;
    let header = reader.headers().with_context(|| format!("can't read {}", path.display()))?.clone();
    let find = |name: &String| column(&header, name, path);
    let features: Vec<usize> = spec.features.iter().map(find).collect::<Result<_>>()?;
    let targets: Vec<usize> = spec.targets.iter().map(find).collect::<Result<_>>()?;
    let label = if targets.is_empty() { Some(find(&spec.label)?) } else { None };
    let subject = spec.subject.as_ref().map(find).transpose()?;
    let split = spec.split.as_ref().map(find).transpose()?;
    let mut names = Vec::new();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("can't read {}", path.display()))?;
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let place = || format!("{} line {}", path.display(), record.position().map_or(0, csv::Position::line));
        let number = |(&column, name): (&usize, &String)| match cell(column).parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => bail!("{}: {name} is {:?}, not a finite number", place(), cell(column)),
        };
        if let Some(label) = label.map(cell) {
            ensure!(!label.is_empty(), "{}: {} is empty", place(), spec.label);
            names.push(label.to_owned());
        }
        let measured = |value: f32| if spec.missing == Some(value) { f32::NAN } else { value };
        let read = |columns: &[usize], names: &[String]| -> Result<Vec<f32>> {
            columns.iter().zip(names).map(|pair| number(pair).map(measured)).collect()
        };
        lines.push(Line {
            values: read(&features, &spec.features)?,
            targets: read(&targets, &spec.targets)?,
            label: 0,
            subject: subject.map(cell).unwrap_or_default().to_owned(),
            split: split.map(|column| parse_split(cell(column)).with_context(place)).transpose()?,
        });
    }
    carry_forward(spec, &mut lines).with_context(|| format!("in {}", path.display()))?;
    let classes = class_names(&names);
    for (line, name) in lines.iter_mut().zip(&names) {
        line.label = classes.iter().position(|class| class == name).context("a label has no class")?;
    }
    Ok((lines, classes))
}

/// Fills in features that were not measured: with the last value before, at the start with the first one after.
fn carry_forward(spec: &CsvSpec, lines: &mut [Line]) -> Result<()> {
    for (column, name) in spec.features.iter().enumerate() {
        let known = lines.iter().map(|line| line.values[column]).find(|value| !value.is_nan());
        ensure!(known.is_some() || lines.is_empty(), "{name} was never measured");
        let mut last = known.unwrap_or_default();
        for line in &mut *lines {
            let value = &mut line.values[column];
            if value.is_nan() {
                *value = last;
            }
            last = *value;
        }
    }
    Ok(())
}

/// The different labels, in the order of their numbers, else of the alphabet.
fn class_names(labels: &[String]) -> Vec<String> {
    let mut names: Vec<String> = labels.to_vec();
    names.sort();
    names.dedup();
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        names.sort_by(|a, b| a.parse::<f64>().unwrap_or(0.0).total_cmp(&b.parse::<f64>().unwrap_or(0.0)));
    }
    names
}

/// The class most samples have; the lower number of two equally frequent ones.
fn majority(samples: &[Line]) -> usize {
    let mut counts = BTreeMap::new();
    for line in samples {
        *counts.entry(line.label).or_insert(0usize) += 1;
    }
    counts.iter().max_by_key(|&(&label, &count)| (count, std::cmp::Reverse(label))).map_or(0, |(&label, _)| label)
}

/// The split of place `index` of `total`.
fn share(index: usize, total: usize, fractions: Fractions) -> Split {
    let place = (index as f64 + 0.5) / total as f64;
    if place < fractions.train {
        Split::Train
    } else if place < fractions.train + fractions.val {
        Split::Val
    } else {
        Split::Test
    }
}

/// Shuffles rows or subjects and gives each its split.
fn assign(rows: &mut [Row], fractions: Fractions, seed: u64) {
    let mut random = stream(seed, Purpose::Splits);
    if fractions.by == SplitBy::Subject {
        let mut subjects: Vec<String> = rows.iter().map(|row| row.subject.clone()).collect();
        subjects.sort();
        subjects.dedup();
        subjects.shuffle(&mut random);
        let total = subjects.len();
        let splits: BTreeMap<String, Split> = subjects
            .into_iter()
            .enumerate()
            .map(|(index, subject)| (subject, share(index, total, fractions)))
            .collect();
        for row in rows {
            row.split = splits.get(&row.subject).copied().unwrap_or(Split::Train);
        }
    } else {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(&mut random);
        let total = order.len();
        for (place, row) in order.into_iter().enumerate() {
            rows[row].split = share(place, total, fractions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(name: &str, text: &str, spec: &str) -> Result<Dataset> {
        let folder = std::env::temp_dir().join(format!("nervelet-csv-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("table.csv"), text).unwrap();
        let spec = format!("name = \"tiny\"\nfile = \"table.csv\"\nfeatures = [\"a\", \"b\"]\n{spec}");
        let dataset = load(&toml::from_str(&spec).unwrap(), &folder, 1);
        std::fs::remove_dir_all(folder).unwrap();
        dataset
    }

    const TABLE: &str = "a,b,label,part\n1,2,no,train\n3,4,yes,train\n5,6,yes,val\n7,8,no,test\n";

    #[test]
    fn a_row_is_an_example() {
        let dataset = load_text("rows", TABLE, "split = \"part\"").unwrap();
        assert_eq!(dataset.shape, [1, 1, 2]);
        assert_eq!(dataset.classes, ["no", "yes"]);
        assert_eq!(dataset.example(2), [5.0, 6.0]);
        assert_eq!(dataset.rows[2].label, 1);
        assert_eq!(dataset.split(Split::Test), [3]);
    }

    #[test]
    fn windows_do_not_cross_splits() {
        let dataset = load_text("windows", TABLE, "split = \"part\"\nwindow = { length = 2, stride = 1 }").unwrap();
        assert_eq!(dataset.rows.len(), 1);
        assert_eq!(dataset.example(0), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn fractions_split_by_time_in_order_and_by_row_deterministically() {
        let spec = "fractions = { train = 0.5, val = 0.25, by = \"time\" }";
        let dataset = load_text("time", TABLE, spec).unwrap();
        let splits: Vec<_> = dataset.rows.iter().map(|row| row.split).collect();
        assert_eq!(splits, [Split::Train, Split::Train, Split::Val, Split::Test]);
        let spec = "fractions = { train = 0.5, val = 0.25 }";
        assert_eq!(load_text("row", TABLE, spec).unwrap(), load_text("row", TABLE, spec).unwrap());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, table, wanted) in [
            ("nan", TABLE.replace("5,6", "5,NaN"), "line 4: b is \"NaN\""),
            ("column", TABLE.replace("a,b", "a,c"), "no column \"b\""),
            ("empty", "a,b,label,part\n".into(), "has no rows"),
        ] {
            let error = format!("{:#}", load_text(name, &table, "split = \"part\"").unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
