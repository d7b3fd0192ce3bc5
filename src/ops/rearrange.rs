//! Moves elements of any type by an affine map of their index: transpositions, slices with any step, splits, tilings,
//! and moves between space and depth. The host works the map out.

use super::regions::elements;
use super::{Call, Element, Error, IndexMap, OpKind, Operator, StepView};
use crate::kernels::{self, reference};

/// The operator; its parameters are an [`IndexMap`].
pub static OPERATOR: Operator = Operator { kind: OpKind::Rearrange, verify, run };

fn verify(view: &StepView<'_>) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    let (input, output) = (view.input(0)?, view.output(0)?);
    input.expect(output.data_type)?;
    let (count, first, last) = view.parameters::<IndexMap>()?.reach();
    let fits = count == output.elements() && first >= 0 && last < input.elements() as i64;
    if fits { Ok(()) } else { Err(Error::Shape) }
}

fn run(call: &mut Call<'_, '_>) -> kernels::Result {
    match call.view.output(0)?.data_type.bytes() {
        1 => run_as::<i8>(call),
        2 => run_as::<i16>(call),
        4 => run_as::<i32>(call),
        _ => run_as::<i64>(call),
    }
}

fn run_as<T: Element>(call: &mut Call<'_, '_>) -> kernels::Result {
    let map: IndexMap = call.view.parameters()?;
    let input = call.view.input(0)?;
    let regions = call.output()?;
    let [bytes] = regions.writable;
    reference::rearrange::<T>(&map, regions.rest.read(input)?, elements(bytes)?)
}
