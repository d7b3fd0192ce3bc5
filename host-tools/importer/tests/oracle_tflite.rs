//! Every TensorFlow Lite case of the golden material: import, compile, run on the host, compare.
//!
//! Cases are looked for anywhere below the folder that `NERVELET_ORACLE` names. Integers have to be equal, to
//! `outputs_tflm*.npy` where the folder has them; floats have to be within the tolerance that `meta.json` states.

#[path = "support/case.rs"]
mod case;
mod support;

use anyhow::Result;
use case::Case;
use nervelet_compiler::Target;

/// Operators that the importer says it does not take: a case with one of them has to be refused.
const NOT_TAKEN: [&str; 1] = ["WHILE"];

#[test]
fn every_case_equals_its_golden_outputs() {
    let Some(root) = support::oracle() else { return };
    let cases = case::cases(&root, "tflite");
    let mut failures = 0;
    for case in &cases {
        let (word, reason) = match verdict(case) {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        failures += usize::from(word == "FAILED");
        println!("{word:6}  {:45}  {:40.40}  {reason}", case.name, case.meta.ops.join(" "));
    }
    assert_eq!(failures, 0, "{failures} of {} cases failed", cases.len());
}

fn verdict(case: &Case) -> Result<String, String> {
    let refused = case.meta.ops.iter().any(|op| NOT_TAKEN.contains(&op.as_str()));
    match (check(case), refused) {
        (Ok(_), true) => Err("imports, though it holds an operator that is not taken".into()),
        (Ok(text), false) => Ok(text),
        (Err(error), true) => Ok(format!("refused: {error:#}")),
        (Err(error), false) => Err(format!("{error:#}")),
    }
}

fn check(case: &Case) -> Result<String> {
    let compiled = case.compile(Target::Any)?;
    let used = case.compare(&case.run_on_host(&compiled, &case.inputs()?)?)?;
    let quality = match case.meta.tolerance.atol {
        None => "equal".into(),
        Some(_) => format!("at most {:.0} % of the tolerance", 100.0 * used),
    };
    Ok(format!("{} runs {quality}, arena {}", case.meta.n_cases, compiled.arena_bytes))
}
