//! A folder of `.npy` arrays: row i of each array and of `manifest.csv` is example i.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ndarray::ArrayD;
use ndarray_npy::{ReadNpyError, read_npy};

use super::description::{origin, read_meta};
use super::manifest::{self, Columns};
use super::{Dataset, Side};
use crate::recipe::ArrayFolderSpec;

pub(super) fn load(spec: &ArrayFolderSpec, folder: &Path, side: Option<&str>) -> Result<Dataset> {
    let meta = read_meta(&folder.join("meta.json"))?;
    let (shape, values) = read_array(&folder.join(&spec.file))?;
    let (examples, inner) = shape.split_first().context("an array of examples needs at least one axis")?;
    let shape = match *inner {
        [] => [1, 1, 1],
        [time] => [1, time, 1],
        [time, channels] => [1, time, channels],
        [height, width, channels] => [height, width, channels],
        _ => bail!("{} has shape {shape:?}: at most 4 axes can be taken", folder.join(&spec.file).display()),
    };
    let manifest_file = folder.join("manifest.csv");
    let columns =
        Columns { label: &spec.label, split: &spec.split, subject: &spec.subject, role: &spec.role, file: None };
    let (rows, _) = manifest::read(&columns, &manifest_file)?;
    ensure!(
        rows.len() == *examples,
        "{} describes {} rows, {} holds {examples}",
        manifest_file.display(),
        rows.len(),
        folder.join(&spec.file).display()
    );
    let side = side.map(|file| read_side(&folder.join(file), rows.len())).transpose()?;
    let lengths = spec.lengths.as_ref().map(|file| read_lengths(&folder.join(file), rows.len())).transpose()?;
    let channels = if meta.channels.len() == shape[2] { meta.channels } else { Vec::new() };
    Ok(Dataset {
        name: spec.name.clone(),
        simulated: meta.simulated,
        origin: origin(&folder.join("DATASHEET.md")),
        shape,
        channels,
        classes: manifest::classes(meta.classes, &rows),
        values,
        side,
        lengths,
        targets: None,
        rows,
    })
}

fn read_side(path: &Path, rows: usize) -> Result<Side> {
    let (shape, values) = read_array(path)?;
    ensure!(
        shape.first() == Some(&rows),
        "{} has {} rows, the manifest {rows}",
        path.display(),
        shape.first().copied().unwrap_or(0)
    );
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok(Side { name, width: shape.iter().skip(1).product(), values })
}

fn read_lengths(path: &Path, rows: usize) -> Result<Vec<f32>> {
    let (shape, values) = read_array(path)?;
    ensure!(
        values.len() == rows,
        "{} has shape {shape:?}, the manifest {rows} rows: one number of steps an example",
        path.display()
    );
    Ok(values)
}

/// Shape and values, row-major, of an array of any of the usual number types.
fn read_array(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    macro_rules! read_as {
        ($($type:ty),*) => {
            $(match read_npy::<_, ArrayD<$type>>(path) {
                Ok(array) => return Ok((array.shape().to_vec(), array.iter().map(|&value| value as f32).collect())),
                Err(ReadNpyError::WrongDescriptor(_)) => {}
                Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
            })*
        };
    }
    read_as!(f32, i16, i8, u8, f64, i32, i64);
    bail!("{}: its numbers are none of f32, f64, i8, u8, i16, i32, i64", path.display())
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;
    use ndarray::Array3;
    use ndarray_npy::write_npy;

    fn spec() -> ArrayFolderSpec {
        toml::from_str("name = \"tiny\"").unwrap()
    }

    fn folder(name: &str, manifest: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("nervelet-array-folder-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let array = Array3::from_shape_fn((2, 4, 3), |(row, time, channel)| (row * 100 + time * 10 + channel) as i16);
        write_npy(folder.join("x.npy"), &array).unwrap();
        std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
        std::fs::write(folder.join("meta.json"), r#"{"classes": ["a", "b"], "fs_hz": 50}"#).unwrap();
        folder
    }

    #[test]
    fn rows_keep_their_order_and_their_columns() {
        let folder = folder("good", "split,subject,label,role\ntrain,s1,0,\ntest,s2,1,adapt\n");
        let dataset = load(&spec(), &folder, None).unwrap();
        assert_eq!(dataset.shape, [1, 4, 3]);
        assert_eq!(dataset.example(1)[..4], [100.0, 101.0, 102.0, 110.0]);
        assert_eq!(dataset.rows[1].subject, "s2");
        assert_eq!(dataset.rows[1].role, Role::Adapt);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, manifest, wanted) in [
            ("label", "split,subject\ntrain,s1\ntest,s2\n", "no column \"label\""),
            ("count", "split,label\ntrain,0\n", "describes 1 rows"),
            ("split", "split,label\ntrain,0\ntets,1\n", "line 3"),
            ("number", "split,label\ntrain,0\ntest,x\n", "\"x\" is no class number"),
        ] {
            let folder = folder(name, manifest);
            let error = format!("{:#}", load(&spec(), &folder, None).unwrap_err());
            assert!(error.contains(wanted), "{error}");
            std::fs::remove_dir_all(folder).unwrap();
        }
        let error = format!("{:#}", load(&spec(), Path::new("nowhere"), None).unwrap_err());
        assert!(error.contains("nowhere") && error.contains("x.npy"), "{error}");
    }
}
