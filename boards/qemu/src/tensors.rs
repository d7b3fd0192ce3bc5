//! Tensors of a session as bytes, the way they travel to and from the host.

use bytemuck::{bytes_of, cast_slice, cast_slice_mut};
use nervelet::Session;
use nervelet::ops::DataType;
use nervelet::session::Error;

use crate::host::HostFile;
use crate::job::Failure;

/// Reads the next case from `file` into the session's inputs.
pub(crate) fn read_inputs(session: &mut Session<'_, '_>, file: &mut HostFile) -> Result<(), Failure> {
    for index in 0..session.model().inputs().count() {
        let mut length = [0; size_of::<u32>()];
        file.read_exact(&mut length)?;
        let have = u32::from_le_bytes(length) as usize;
        let input = input_bytes(session, index)?;
        let need = input.len();
        if have != need {
            return Err(Failure::TensorBytes { need, have });
        }
        file.read_exact(input)?;
    }
    Ok(())
}

/// Writes the session's outputs to `file`.
pub(crate) fn write_outputs(session: &Session<'_, '_>, file: &mut HostFile) -> Result<(), Failure> {
    for index in 0..session.model().outputs().count() {
        let output = output_bytes(session, index)?;
        file.write_all(bytes_of(&(output.len() as u32).to_le()))?;
        file.write_all(output)?;
    }
    Ok(())
}

fn input_bytes<'s>(session: &'s mut Session<'_, '_>, index: usize) -> Result<&'s mut [u8], Error> {
    let port = session.model().inputs().nth(index);
    match port.and_then(|port| session.model().tensor(port.tensor)).map(|tensor| tensor.data_type) {
        Some(DataType::Float32) => session.input_mut::<f32>(index).map(cast_slice_mut),
        Some(DataType::Int16) => session.input_mut::<i16>(index).map(cast_slice_mut),
        _ => session.input_mut::<i8>(index).map(cast_slice_mut),
    }
}

fn output_bytes<'s>(session: &'s Session<'_, '_>, index: usize) -> Result<&'s [u8], Error> {
    let port = session.model().outputs().nth(index);
    match port.and_then(|port| session.model().tensor(port.tensor)).map(|tensor| tensor.data_type) {
        Some(DataType::Float32) => session.output::<f32>(index).map(cast_slice),
        Some(DataType::Int16) => session.output::<i16>(index).map(cast_slice),
        _ => session.output::<i8>(index).map(cast_slice),
    }
}
