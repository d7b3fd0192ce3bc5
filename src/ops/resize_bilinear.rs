//! Resizes an image `[1, rows, columns, channels]` bilinearly (TensorFlow Lite's RESIZE_BILINEAR).

use serde::{Deserialize, Serialize};

use super::regions::elements;
use super::{Call, DataType, Element, Error, OpKind, Operator, StepView};
use crate::kernels::reference::{self, Extents, Sampling};
use crate::kernels::{self, OutOfBounds};

/// The int8 operator; input and output share their quantization.
pub static INT8: Operator = Operator {
    kind: OpKind::ResizeBilinearInt8,
    verify: |view| verify(view, DataType::Int8),
    run: |call| run::<i8>(call, reference::resize_bilinear),
};
/// The int16 operator; input and output share their quantization.
pub static INT16: Operator = Operator {
    kind: OpKind::ResizeBilinearInt16,
    verify: |view| verify(view, DataType::Int16),
    run: |call| run::<i16>(call, reference::resize_bilinear),
};
/// The f32 operator.
pub static FLOAT32: Operator = Operator {
    kind: OpKind::ResizeBilinearFloat32,
    verify: |view| verify(view, DataType::Float32),
    run: |call| run::<f32>(call, reference::resize_bilinear_f32),
};

/// Parameters of a bilinear resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parameters {
    /// The corner elements of input and output meet.
    pub align_corners: bool,
    /// Coordinates are those of the elements' centres.
    pub half_pixel_centers: bool,
}

/// Larger images could overflow the coordinates in fixed point.
const MAX_EXTENT: usize = 65_535;

fn extents(view: &StepView<'_>) -> Result<Extents, OutOfBounds> {
    match (view.input(0)?.nhwc(), view.output(0)?.nhwc()) {
        (Some([1, rows, columns, channels]), Some([1, output_rows, output_columns, outputs]))
            if channels == outputs
                && [rows, columns, output_rows, output_columns]
                    .iter()
                    .all(|extent| (1..=MAX_EXTENT).contains(extent)) =>
        {
            Ok(Extents { input: [rows, columns], output: [output_rows, output_columns], channels })
        }
        _ => Err(OutOfBounds),
    }
}

fn verify(view: &StepView<'_>, data_type: DataType) -> Result<(), Error> {
    view.expect_operands(1, 1)?;
    view.input(0)?.expect(data_type)?;
    view.output(0)?.expect(data_type)?;
    view.parameters::<Parameters>()?;
    extents(view).map(|_| ()).map_err(|_| Error::Shape)
}

fn run<T: Element>(
    call: &mut Call<'_, '_>,
    kernel: impl Fn(&Extents, Sampling, &[T], &mut [T]) -> kernels::Result,
) -> kernels::Result {
    let view = call.view;
    let Parameters { align_corners, half_pixel_centers } = view.parameters()?;
    let (extents, input) = (extents(view)?, view.input(0)?);
    let regions = call.output()?;
    let [values] = regions.writable;
    let sampling = Sampling { align_corners, half_pixel_centers };
    kernel(&extents, sampling, regions.rest.read(input)?, elements(values)?)
}
