//! Which operators a model needs, by the paths that a firmware links them with.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use nervelet::Model;
use nervelet::ops::{self, OpKind};
use nervelet_compiler::AlignedBytes;

/// The operators of a model file, each once, separated by spaces.
pub(crate) fn of(model: &[u8]) -> Result<String> {
    let bytes = AlignedBytes::from(model);
    let model = Model::from_bytes(&bytes).map_err(|error| anyhow!("the model is not valid: {error}"))?;
    let paths = model.steps().map(|step| {
        let path = step.kind().and_then(path);
        path.with_context(|| {
            format!("step `{}` is of kind {}, which the library has no operator for", step.name, step.kind)
        })
    });
    let paths: BTreeSet<_> = paths.collect::<Result<_>>()?;
    Ok(Vec::from_iter(paths).join(" "))
}

/// The operators of several such lists, each once.
pub(crate) fn union(lists: &[String]) -> String {
    let paths: BTreeSet<_> = lists.iter().flat_map(|list| list.split(' ')).collect();
    Vec::from_iter(paths).join(" ")
}

/// Path of an operator below `nervelet::ops`.
fn path(kind: OpKind) -> Option<&'static str> {
    ops::ALL.iter().zip(ops::PATHS).find(|(operator, _)| operator.kind == kind).map(|(_, path)| *path)
}
