//! The command as a user meets it: from a recipe to a fine-tuned board, and what it says to bad input.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::ArrayD;
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nervelet-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

fn nervelet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nervelet")).args(arguments).current_dir(repository()).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let output = nervelet(arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "nervelet {arguments:?} failed\n{out}\n{err}");
    out.into_owned()
}

/// The error of a command that has to fail cleanly.
fn fails(arguments: &[&str]) -> String {
    let output = nervelet(arguments);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "nervelet {arguments:?}: {err}");
    assert!(err.starts_with("error: ") && !err.contains("panicked"), "{err}");
    err
}

fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn from_recipe_to_fine_tuned_board() {
    let folder = Folder::new("story");
    let (run, model) = (folder.path("run"), folder.path("m.postcard"));
    succeeds(&["train", "recipes/gestures.toml", "--out", &run, "--epochs", "4", "--quiet"]);
    assert!(Path::new(&run).join("report.html").exists());

    let results = folder.path("export.json");
    succeeds(&["export", &run, "-o", &model, "--verify", "qemu-m4", "--verify-samples", "200", "--json", &results]);
    let results = json(&results);
    assert_eq!(results["verified"]["samples"], 200);
    assert_eq!(results["verified"]["differing"], 0);
    let accuracy = |index: usize| results["scores"][index]["accuracy"].as_f64().unwrap();
    assert!((accuracy(0) - accuracy(1)).abs() <= 0.02, "int8 {} for float {}", accuracy(1), accuracy(0));

    // The same codes on host and board give the same codes.
    let shape: Vec<usize> = std::iter::once(5).chain(model_input(&model)).collect();
    let count: usize = shape.iter().product();
    let codes = ArrayD::from_shape_vec(shape, (0..count).map(|i| (i * 37 % 251) as u8 as i8).collect()).unwrap();
    let (input, host, board) = (folder.path("x.npy"), folder.path("host.npy"), folder.path("board.npy"));
    write_npy(&input, &codes).unwrap();
    succeeds(&["run", &model, "--input", &input, "--output", &host]);
    succeeds(&["run", &model, "--input", &input, "--output", &board, "--on", "qemu-m4"]);
    let (host, board): (ArrayD<i8>, ArrayD<i8>) = (read_npy(host).unwrap(), read_npy(board).unwrap());
    assert_eq!(host, board);

    let bench = folder.path("bench.json");
    succeeds(&["bench", &model, "--on", "qemu-m4", "--json", &bench]);
    let bench = json(&bench);
    let steps: u64 = bench["ops"].as_array().unwrap().iter().map(|op| op["instructions"].as_u64().unwrap()).sum();
    let total = bench["total"]["instructions"].as_u64().unwrap();
    assert!(steps > 0 && steps.abs_diff(total) * 50 < total, "steps {steps}, total {total}");
    assert!(bench["arena_bytes"].as_u64() >= bench["arena_floor_bytes"].as_u64());

    let tuned = folder.path("finetune.json");
    let subject = ["--subject", "test-01", "--power-cut", "--json", &tuned];
    succeeds(&[&["finetune", &model, "--run", &run, "--on", "qemu-m4"], &subject[..]].concat());
    let tuned = json(&tuned);
    let user = &tuned["users"][0];
    assert_eq!(user["same_bits"], true);
    assert_eq!(user["accuracy_after"], user["accuracy_after_reboot"]);
    assert!(user["accuracy_after"].as_f64() > user["accuracy_before"].as_f64(), "{user}");
    assert_eq!(tuned["survived_power_cut"], true);
}

fn model_input(model: &str) -> Vec<usize> {
    let inspected: Value = serde_json::from_str(&succeeds(&["inspect", model, "--json"])).unwrap();
    let shape = inspected["inputs"][0]["tensor"]["shape"].as_array().unwrap();
    shape.iter().map(|extent| extent.as_u64().unwrap() as usize).collect()
}

#[test]
fn bad_input_is_named() {
    let folder = Folder::new("bad-input");
    let missing = folder.path("missing.postcard");
    assert!(fails(&["inspect", &missing]).contains("missing.postcard"));

    let garbage = folder.path("garbage.postcard");
    std::fs::write(&garbage, b"GIF89a").unwrap();
    assert!(fails(&["inspect", &garbage]).contains("not a nervelet model"));
    std::fs::write(&garbage, b"").unwrap();
    assert!(fails(&["bench", &garbage]).contains("not a nervelet model"));

    let recipe = folder.path("recipe.toml");
    let text = std::fs::read_to_string(repository().join("recipes/gestures.toml")).unwrap();
    std::fs::write(&recipe, text.replace("batch_size", "batch_sise")).unwrap();
    let error = fails(&["train", &recipe]);
    assert!(error.contains("batch_sise") && error.contains("recipe.toml"), "{error}");

    assert!(fails(&["train", "recipes/ecg.toml", "--data", &folder.path("nowhere")]).contains("nowhere"));
    assert!(fails(&["export", &folder.path("no-run"), "-o", &garbage]).contains("no-run"));
}

#[test]
fn wrong_arrays_are_named() {
    let folder = Folder::new("wrong-arrays");
    let (run, model) = (folder.path("run"), folder.path("m.postcard"));
    succeeds(&["train", "recipes/gestures.toml", "--out", &run, "--epochs", "1", "--quiet"]);
    succeeds(&["export", &run, "-o", &model, "--verify", "host"]);
    let (input, output) = (folder.path("x.npy"), folder.path("y.npy"));
    let shape: Vec<usize> = std::iter::once(2).chain(model_input(&model)).collect();
    let attempt = |array: &ArrayD<f32>| {
        write_npy(&input, array).unwrap();
        fails(&["run", &model, "--input", &input, "--output", &output])
    };
    assert!(attempt(&ArrayD::zeros(vec![2, 3])).contains("shape [2, 3]"));
    let mut nan = ArrayD::zeros(shape.clone());
    *nan.iter_mut().last().unwrap() = f32::NAN;
    assert!(attempt(&nan).contains("not finite"));
    let mut none = shape;
    none[0] = 0;
    assert!(attempt(&ArrayD::zeros(none)).contains("no case"));
    std::fs::write(&input, b"not an array").unwrap();
    assert!(fails(&["run", &model, "--input", &input, "--output", &output]).contains("x.npy"));
}
