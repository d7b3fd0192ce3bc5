//! Which operators a model needs, by the names that a firmware links them with.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use nervelet::Model;
use nervelet::ops::{self, OpKind, Operator};
use nervelet_compiler::AlignedBytes;

macro_rules! named {
    ($($module:ident::$name:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), &ops::$module::$name),)*]
    };
}

/// Every operator with its path below `nervelet::ops`.
static NAMED: &[(&str, &Operator)] = named![
    add::FLOAT32,
    add::INT8,
    concatenation::OPERATOR,
    conv_2d::FLOAT32,
    conv_2d::INT8,
    copy::OPERATOR,
    depthwise_conv_2d::FLOAT32,
    depthwise_conv_2d::INT8,
    fully_connected::FLOAT32,
    fully_connected::INT8,
    lookup::INT8,
    mean::FLOAT32,
    mean::INT8,
    mul::FLOAT32,
    mul::INT8,
    pad::OPERATOR,
    pool_2d::AVERAGE_FLOAT32,
    pool_2d::AVERAGE_INT8,
    pool_2d::MAX_FLOAT32,
    pool_2d::MAX_INT8,
    quantize::DEQUANTIZE,
    quantize::QUANTIZE,
    quantize::REQUANTIZE,
    softmax::FLOAT32,
    softmax::INT8,
    unary::CLAMP_FLOAT32,
    unary::LOGISTIC_FLOAT32,
    unary::TANH_FLOAT32,
];

/// The operators of a model file, each once, separated by spaces.
pub(crate) fn of(model: &[u8]) -> Result<String> {
    let bytes = AlignedBytes::from(model);
    let model = Model::from_bytes(&bytes).map_err(|error| anyhow!("the model is not valid: {error}"))?;
    let names = model.steps().map(|step| {
        let name = step.kind().and_then(name);
        name.with_context(|| format!("step `{}` is of kind {}, whose operator has no name here", step.name, step.kind))
    });
    let names: BTreeSet<_> = names.collect::<Result<_>>()?;
    Ok(Vec::from_iter(names).join(" "))
}

fn name(kind: OpKind) -> Option<&'static str> {
    NAMED.iter().find(|(_, operator)| operator.kind == kind).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_the_library_has_a_name() {
        for operator in ops::ALL {
            assert!(name(operator.kind).is_some(), "{:?}", operator.kind);
        }
    }
}
