//! Starting from weights that were trained before: by this program, or by PyTorch.
//!
//! A file of this program has the recipe's own names, and its normalization is taken over with the weights. Of any
//! other file the modules (`conv1.weight` and `conv1.bias` are one) are matched with the network's layers by kind and
//! shape, both in their order, so that as many as possible find a partner; names need not agree. What is left is matched
//! out of order.

mod convert;
mod pickle;
mod state_dict;

use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, Layer};
use crate::dataset::Normalization;
use crate::network::{Weight, Weights};
use state_dict::StateDict;

/// Weights to start from, and where each came from.
#[derive(Clone, Debug)]
pub(crate) struct Pretrained {
    /// For every layer that found a partner.
    pub(crate) weights: Weights,
    /// Of the input and the side input; only from a file of this program.
    pub(crate) normalization: Option<(Normalization, Option<Normalization>)>,
    /// What matched.
    pub(crate) matches: Matches,
}

/// Which layers started from a file's tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Matches {
    /// Every layer with weights, in order, and the module of the file that it took; `None` for a random start.
    pub layers: Vec<(String, Option<String>)>,
    /// Modules of the file that no layer took.
    pub unused: Vec<String>,
}

/// Some tensors of the file that belong together: their parts' names and values.
struct Module<'a> {
    name: &'a str,
    parts: Vec<(&'a str, &'a Weight)>,
}

/// Reads a file and matches its tensors with the network's layers.
///
/// # Errors
/// When the file can't be read, or no tensor of it fits.
pub(crate) fn load(path: &Path, architecture: &Architecture) -> Result<Pretrained> {
    let tensors = state_dict::read(path)?;
    let pretrained = if tensors.iter().any(|(name, _)| name == "normalization.input.mean") {
        of_this_program(&tensors, architecture)
    } else {
        of_another(&tensors, architecture)
    };
    if pretrained.weights.is_empty() {
        let found = tensors.iter().take(8).map(|(name, weight)| format!("{name} {:?}", weight.shape));
        let found = found.collect::<Vec<_>>().join(", ");
        bail!("no tensor of {} fits a layer of the recipe; it begins with {found}", path.display());
    }
    Ok(pretrained)
}

impl Pretrained {
    /// The layers in front of the head that did not find a partner.
    pub(crate) fn missing_below_head(&self, architecture: &Architecture) -> Vec<&str> {
        let head = architecture.head().map(|head| head.name.as_str());
        let missing = self.matches.layers.iter().filter(|(layer, from)| from.is_none() && Some(layer.as_str()) != head);
        missing.map(|(layer, _)| layer.as_str()).collect()
    }
}

/// Every layer with weights: of the network, then of the side branch, with the layers in front of it.
fn weighted(architecture: &Architecture) -> Vec<(&[Layer], &Layer)> {
    let branches = [&architecture.layers[..], architecture.side_layers()];
    let layers = branches.into_iter().flat_map(|branch| {
        branch.iter().enumerate().map(|(index, layer)| (branch.get(..index).unwrap_or_default(), layer))
    });
    layers.filter(|(_, layer)| layer.operation.parameters(layer.input) > 0).collect()
}

fn of_this_program(tensors: &StateDict, architecture: &Architecture) -> Pretrained {
    let find = |name: &str| tensors.iter().find(|(known, _)| known == name).map(|(_, weight)| weight);
    let mut weights = Weights::new();
    let mut layers = Vec::new();
    for (_, layer) in weighted(architecture) {
        let parts = convert::parts(layer).into_iter().map(|(part, shape)| {
            let name = format!("{}.{part}", layer.name);
            let weight = find(&name).filter(|weight| weight.shape == shape)?;
            Some((name, weight.clone()))
        });
        let parts = parts.collect::<Option<Vec<_>>>();
        layers.push((layer.name.clone(), parts.is_some().then(|| layer.name.clone())));
        weights.extend(parts.unwrap_or_default());
    }
    let known = |module: &str| layers.iter().any(|(_, from)| from.as_deref() == Some(module));
    let unused = modules(tensors).into_iter().map(|module| module.name);
    let unused = unused.filter(|name| !known(name) && !name.starts_with("normalization.")).map(str::to_owned).collect();
    let measured = |name: &str, width: usize| {
        let part = |part: &str| find(&format!("normalization.{name}.{part}")).filter(|part| part.values.len() == width);
        Some(Normalization { mean: part("mean")?.values.clone(), scale: part("scale")?.values.clone() })
    };
    let side = architecture.side.as_ref().map(|(width, _)| measured("side", *width));
    let normalization = match (measured("input", architecture.input[2]), side) {
        (Some(input), None) => Some((input, None)),
        (Some(input), Some(Some(side))) => Some((input, Some(side))),
        _ => None,
    };
    Pretrained { weights, normalization, matches: Matches { layers, unused } }
}

fn of_another(tensors: &StateDict, architecture: &Architecture) -> Pretrained {
    let modules = modules(tensors);
    let layers = weighted(architecture);
    let converted: Vec<Vec<Option<Weights>>> = layers
        .iter()
        .map(|(before, layer)| modules.iter().map(|module| convert::convert(before, layer, &module.parts)).collect())
        .collect();
    let fits = |layer: usize, module: usize| converted.get(layer)?.get(module)?.as_ref();
    let mut partners = align(layers.len(), modules.len(), |layer, module| fits(layer, module).is_some());
    // Some files sort their tensors by name: what is left may fit out of order.
    for layer in 0..layers.len() {
        let taken = |module: usize| partners.iter().any(|(_, taken)| *taken == module);
        let free = (0..modules.len()).find(|module| !taken(*module) && fits(layer, *module).is_some());
        if let (Some(module), false) = (free, partners.iter().any(|(taken, _)| *taken == layer)) {
            partners.push((layer, module));
        }
    }
    let mut weights = Weights::new();
    let mut matches = Matches::default();
    for (index, (_, layer)) in layers.iter().enumerate() {
        let partner = partners.iter().find(|(layer, _)| *layer == index).map(|(_, module)| *module);
        weights.extend(partner.and_then(|module| fits(index, module)).cloned().unwrap_or_default());
        let from = partner.and_then(|module| modules.get(module)).map(|module| module.name.to_owned());
        matches.layers.push((layer.name.clone(), from));
    }
    let taken = |index: usize| partners.iter().any(|(_, module)| *module == index);
    let unused = modules.iter().enumerate().filter(|(index, _)| !taken(*index));
    matches.unused = unused.map(|(_, module)| module.name.to_owned()).collect();
    Pretrained { weights, normalization: None, matches }
}

/// Tensors grouped by what is before the last dot of their names, in the order of their first. Those of a Transformer's
/// encoder layer, which has modules of its own, are one group.
fn modules(tensors: &StateDict) -> Vec<Module<'_>> {
    const ATTENTION: &str = "self_attn.in_proj_weight";
    let encoders: Vec<&str> = tensors.iter().filter_map(|(name, _)| name.strip_suffix(ATTENTION)).collect();
    let mut modules: Vec<Module<'_>> = Vec::new();
    for (full, weight) in tensors {
        let encoder =
            encoders.iter().find_map(|prefix| Some((prefix.trim_end_matches('.'), full.strip_prefix(*prefix)?)));
        let (name, part) = encoder.or(full.rsplit_once('.')).unwrap_or(("", full));
        match modules.iter_mut().find(|module| module.name == name) {
            Some(module) => module.parts.push((part, weight)),
            None => modules.push(Module { name, parts: vec![(part, weight)] }),
        }
    }
    modules
}

/// The longest list of pairs that fit, both sides rising: a longest common subsequence.
fn align(layers: usize, modules: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    // best[layer][module]: the most pairs from there on.
    let mut best = vec![vec![0usize; modules + 1]; layers + 1];
    for layer in (0..layers).rev() {
        for module in (0..modules).rev() {
            let skipping = best[layer + 1][module].max(best[layer][module + 1]);
            best[layer][module] =
                if fits(layer, module) { skipping.max(best[layer + 1][module + 1] + 1) } else { skipping };
        }
    }
    let (mut layer, mut module, mut pairs) = (0, 0, Vec::new());
    while layer < layers && module < modules {
        if fits(layer, module) && best[layer][module] == best[layer + 1][module + 1] + 1 {
            pairs.push((layer, module));
            (layer, module) = (layer + 1, module + 1);
        } else if best[layer][module] == best[layer][module + 1] {
            module += 1;
        } else {
            layer += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests;
