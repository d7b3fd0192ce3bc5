//! The profile of an inference: exact, repeatable, and the sum of its parts.

use crate::support::{board, model, samples};
use nervelet::Model;
use nervelet_compiler::macs;

#[test]
fn steps_add_up_to_the_inference() {
    let Some(board) = board("qemu-m4") else { return };
    let model = model().unwrap();
    let input = samples(&model.bytes, 7, 1).unwrap().inputs.remove(0);
    let bench = board.bench(&model.bytes, &input).unwrap();
    let again = board.bench(&model.bytes, &input).unwrap();
    assert_eq!(bench.total, again.total, "counts repeat exactly");
    assert_eq!(bench.steps, again.steps, "counts repeat exactly");

    let verified = Model::from_bytes(&model.bytes).unwrap();
    assert_eq!(bench.steps.len(), verified.steps().count());
    let sum = bench.before_steps.instructions + bench.steps.iter().map(|step| step.instructions).sum::<u64>();
    let (total, watched) = (bench.total.instructions, bench.steps.len() as u64 * 40);
    assert!(sum <= total + watched && sum + watched >= total, "steps {sum}, inference {total}");
    for (cost, step) in bench.steps.iter().zip(verified.steps()) {
        let (name, macs) = (step.name, macs::of(&verified, &step));
        assert!(
            cost.instructions > macs / 4,
            "{name}: {} instructions for {macs} multiply-accumulates",
            cost.instructions
        );
        let cycles = cost.model_cycles.expect("a Cortex-M4 has a cycle model");
        assert!(cycles >= cost.instructions, "{name}: {cycles} cycles for {} instructions", cost.instructions);
    }
    assert!(bench.setup.instructions > 0);
    assert!(bench.stack_bytes > 0 && bench.setup_stack_bytes > 0);
    assert!(
        bench.text_bytes > 1024 && bench.text_bytes < bench.firmware_text_bytes,
        "{} bytes of code",
        bench.text_bytes
    );
}

#[test]
fn the_vector_instructions_of_the_m55_are_used() {
    let (Some(m33), Some(m55)) = (board("qemu-m33"), board("qemu-m55")) else { return };
    let model = model().unwrap();
    let input = samples(&model.bytes, 7, 1).unwrap().inputs.remove(0);
    let [without, with] = [m33, m55].map(|board| board.bench(&model.bytes, &input).unwrap());
    let [scalar, vector] = [&without, &with].map(|bench| bench.total.instructions);
    assert!(vector < scalar * 9 / 10, "{vector} instructions, {scalar} without them");
    assert_eq!(with.total.model_cycles, None, "the cycle model is that of another core");
}
