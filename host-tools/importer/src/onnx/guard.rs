//! Bounds what a file can make the decoder allocate, before it decodes.
//!
//! An empty message takes two bytes of a file and hundreds of memory, so that the size of a file says little. What is
//! counted here are the fields of all messages that the decoder would build; a model that fits a microcontroller has
//! some thousand.

use anyhow::{Result, bail, ensure};

/// The largest file taken.
const MOST_BYTES: usize = 32 << 20;
/// The most fields of all messages together.
const MOST_FIELDS: usize = 1 << 19;

/// The messages that hold others, and which of their fields do.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

impl Message {
    fn child(self, field: u64) -> Option<Message> {
        Some(match (self, field) {
            (Message::Model, 7) => Message::Graph,
            (Message::Model, 8) | (Message::Tensor, 13) | (Message::Shape, 1) => Message::Leaf,
            (Message::Graph, 1) => Message::Node,
            (Message::Graph, 5) | (Message::Attribute, 5) => Message::Tensor,
            (Message::Graph, 11 | 12) => Message::ValueInfo,
            (Message::Node, 5) => Message::Attribute,
            (Message::ValueInfo, 2) => Message::Type,
            (Message::Type, 1) => Message::TensorType,
            (Message::TensorType, 2) => Message::Shape,
            _ => return None,
        })
    }
}

/// Fails on a file that is too large, has too many fields or is no protocol buffer.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    ensure!(bytes.len() <= MOST_BYTES, "{} bytes are more than the {MOST_BYTES} that are taken", bytes.len());
    let mut fields = 0;
    count(bytes, Message::Model, &mut fields)
}

/// Counts the fields of a message; it recurses no deeper than the table of children does, five levels.
fn count(mut bytes: &[u8], message: Message, fields: &mut usize) -> Result<()> {
    while !bytes.is_empty() {
        *fields += 1;
        ensure!(*fields <= MOST_FIELDS, "more than {MOST_FIELDS} fields: no model for a microcontroller has as many");
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => _ = varint(&mut bytes)?,
            1 => _ = take(&mut bytes, 8)?,
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, usize::try_from(length).unwrap_or(usize::MAX))?;
                if let Some(child) = message.child(key >> 3) {
                    count(content, child, fields)?;
                }
            }
            5 => _ = take(&mut bytes, 4)?,
            kind => bail!("a field of kind {kind}, which the format does not have"),
        }
    }
    Ok(())
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8]> {
    let Some((head, tail)) = bytes.split_at_checked(length) else {
        bail!("a field of {length} bytes where {} are left: the file is cut short or damaged", bytes.len())
    };
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for position in 0..10 {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7F) << (7 * position);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number of more than ten bytes: the file is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_messages_are_counted() {
        // A graph (field 7 of the model) of nothing but empty nodes (field 1, length 0).
        let graph = |nodes: usize| {
            let mut bytes = vec![0x3A];
            let mut length = 2 * nodes;
            while length >= 0x80 {
                bytes.push((length & 0x7F) as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend([0x0A, 0].repeat(nodes));
            bytes
        };
        assert!(check(&graph(1000)).is_ok());
        let error = check(&graph(MOST_FIELDS)).unwrap_err().to_string();
        assert!(error.contains("more than 524288 fields"), "{error}");
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        assert!(check(&[0x3A, 5, 0]).is_err());
        assert!(check(&[0x08]).is_err());
        assert!(check(&[0xFF; 11]).is_err());
        assert!(check(&[0x0B]).is_err());
    }
}
