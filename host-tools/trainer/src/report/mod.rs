//! The report of a run: one HTML file that opens from disk, with one section for each command that measured something.

mod charts;
mod fragment;
mod html;
mod training;

pub use fragment::{Bars, Block, Figure, Fragment, Line};
pub(crate) use training::training_fragment;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;

/// The order of the sections that have one; others follow in the order of their names.
const ORDER: [&str; 4] = ["training", "export", "device", "finetune"];

/// A JSON file of a run folder, whatever else it holds.
#[derive(Deserialize)]
struct Reported {
    report: Fragment,
}

/// What the page's head needs of `training.json`.
#[derive(Deserialize)]
struct Trained {
    name: String,
    dataset: TrainedOn,
}

#[derive(Deserialize)]
struct TrainedOn {
    simulated: bool,
}

/// Leaves `<section>.json` in a run folder, with the results for programs and the fragment for people, and renders the
/// report anew. `section` is `export`, `device`, `finetune` or another short word.
///
/// # Errors
/// When a file can't be written or read.
pub fn add(folder: &Path, section: &str, results: &impl Serialize, fragment: &Fragment) -> Result<()> {
    let path = folder.join(format!("{section}.json"));
    let content = serde_json::json!({ "results": results, "report": fragment });
    std::fs::write(&path, serde_json::to_string_pretty(&content)?)
        .with_context(|| format!("can't write {}", path.display()))?;
    render(folder)
}

/// Writes `report.html` and `plots/*.svg` of a run folder from the sections that are there.
///
/// # Errors
/// When a file can't be read or written.
pub fn render(folder: &Path) -> Result<()> {
    let recipe = Recipe::load(&folder.join("recipe.toml"))?;
    let trained: Trained = read(&folder.join("training.json"))?;
    let mut sections = sections(folder)?;
    if let Some((_, training)) = sections.iter_mut().find(|(name, _)| name == "training") {
        training.source("The recipe", recipe.source.text());
    }
    let head =
        html::Head { title: &trained.name, description: &recipe.description, simulated: trained.dataset.simulated };
    let (page, plots) = html::page(&head, &sections)?;
    let write =
        |path: &Path, text: &str| std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()));
    let folder_of_plots = folder.join("plots");
    std::fs::create_dir_all(&folder_of_plots).with_context(|| format!("can't make {}", folder_of_plots.display()))?;
    for plot in plots {
        write(&folder_of_plots.join(format!("{}.svg", plot.name)), &plot.svg)?;
    }
    write(&folder.join("report.html"), &page)
}

/// The sections of a run folder in their order: every JSON file that has a fragment.
fn sections(folder: &Path) -> Result<Vec<(String, Fragment)>> {
    let mut sections = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json")
            && let Some(name) = path.file_stem()
            && let Ok(reported) = read::<Reported>(&path)
        {
            sections.push((name.to_string_lossy().into_owned(), reported.report));
        }
    }
    let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    sections.sort_by(|(a, _), (b, _)| (place(a), a).cmp(&(place(b), b)));
    Ok(sections)
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("can't understand {}", path.display()))
}
