//! Tensors of a session as bytes, the way they travel to and from the host.

use nervelet::Session;

use crate::host::HostFile;
use crate::job::Failure;

/// Reads the next case from `file` into the session's inputs.
pub(crate) fn read_inputs(session: &mut Session<'_, '_>, file: &mut HostFile) -> Result<(), Failure> {
    for index in 0..session.model().inputs().len() {
        let mut length = [0; size_of::<u32>()];
        file.read_exact(&mut length)?;
        let have = u32::from_le_bytes(length) as usize;
        let input = session.input_bytes_mut(index)?;
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
    for index in 0..session.model().outputs().len() {
        let output = session.output_bytes(index)?;
        file.write_all(&(output.len() as u32).to_le_bytes())?;
        file.write_all(output)?;
    }
    Ok(())
}
