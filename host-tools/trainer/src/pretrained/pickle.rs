//! The zip files of `torch.save`: a pickle that describes tensors, and their numbers in entries beside it.
//!
//! A pickle is a program for a stack machine that may call any Python function. This one runs the instructions that
//! `torch.save` writes for a state_dict (Python's pickletools documents them) and calls nothing: a tensor's
//! rebuild function becomes a description of the tensor, everything else an opaque value. Compound values are kept in
//! a list and named by index, so no input can make it recurse.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use super::state_dict::{Kind, StateDict, gather};

/// Instructions after which a pickle is refused; a state_dict takes some dozens a tensor.
const MOST_INSTRUCTIONS: usize = 1 << 22;
/// The most dimensions of a tensor.
const MOST_EXTENTS: usize = 8;
/// Values that are looked at in search of tensors.
const MOST_TENSORS: usize = 1 << 16;
/// The most bytes that one entry may unpack to.
const MOST_BYTES: u64 = 1 << 30;

#[derive(Clone, Debug)]
enum Value {
    Opaque,
    Mark,
    Int(i64),
    Text(Rc<str>),
    /// A Python name, `module.name`.
    Global(Rc<str>),
    /// Items in the list of compounds; a dictionary's keys and values take turns.
    Sequence(usize),
    Dictionary(usize),
    Storage(Option<Kind>, Rc<str>),
    Tensor(Rc<Tensor>),
}

#[derive(Clone, Debug)]
struct Tensor {
    kind: Kind,
    key: Rc<str>,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

/// The floating point tensors of a `torch.save` file, nested dictionaries joined by dots.
pub(super) fn read_zip(bytes: &[u8]) -> Result<StateDict> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let pickle = {
        let mut names = archive.file_names().filter_map(Result::ok).map(Cow::into_owned);
        names.find(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
    };
    let pickle = pickle.context("there is no data.pkl in it: it was not written by torch.save")?;
    let root = pickle.trim_end_matches("data.pkl").to_owned();
    let mut entry = |name: &str| -> Result<Vec<u8>> {
        let file = archive.by_name(name).with_context(|| format!("entry {name}"))?;
        ensure!(file.size() <= MOST_BYTES, "entry {name} unpacks to {} bytes", file.size());
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).with_context(|| format!("entry {name}"))?;
        Ok(bytes)
    };
    let mut machine = Machine::default();
    let top = machine.run(&entry(&pickle)?)?;
    let mut storages: BTreeMap<Rc<str>, Vec<f32>> = BTreeMap::new();
    let mut tensors = StateDict::new();
    for (name, tensor) in machine.tensors(top)? {
        if !storages.contains_key(&tensor.key) {
            storages.insert(tensor.key.clone(), tensor.kind.decode(&entry(&format!("{root}data/{}", tensor.key))?));
        }
        let storage = storages.get(&tensor.key).map(Vec::as_slice).unwrap_or_default();
        let weight = gather(storage, tensor.offset, &tensor.shape, &tensor.stride);
        tensors.push((name.clone(), weight.with_context(|| format!("tensor {name} reaches outside its storage"))?));
    }
    Ok(tensors)
}

#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    memo: BTreeMap<u32, Value>,
    compounds: Vec<Vec<Value>>,
}

impl Machine {
    /// Runs a pickle to its end and gives what it leaves.
    fn run(&mut self, bytes: &[u8]) -> Result<Value> {
        let mut code = Code(bytes);
        for _ in 0..MOST_INSTRUCTIONS {
            let instruction = code.byte()?;
            match instruction {
                // Protocol and frame lengths carry nothing.
                0x80 => drop(code.byte()?),
                0x95 => drop(code.take(8)?),
                b'.' => return self.pop(),
                b'(' => self.stack.push(Value::Mark),
                b'0' => drop(self.pop()?),
                b'N' | 0x88 | 0x89 => self.stack.push(Value::Opaque),
                b'G' => {
                    code.take(8)?;
                    self.stack.push(Value::Opaque);
                }
                b'K' => self.stack.push(Value::Int(i64::from(code.byte()?))),
                b'M' => self.stack.push(Value::Int(code.number(2)?)),
                b'J' => self.stack.push(Value::Int(i64::from(code.number(4)? as i32))),
                0x8a => {
                    let length = usize::from(code.byte()?);
                    let number = if length <= 8 { code.signed(length)? } else { bail!("a number of {length} bytes") };
                    self.stack.push(Value::Int(number));
                }
                b'X' => self.text(&mut code, 4)?,
                b'U' | 0x8c => self.text(&mut code, 1)?,
                0x8d => self.text(&mut code, 8)?,
                b'C' => {
                    let length = usize::from(code.byte()?);
                    code.take(length)?;
                    self.stack.push(Value::Opaque);
                }
                b'c' => {
                    let (module, name) = (code.line()?, code.line()?);
                    self.stack.push(Value::Global(format!("{module}.{name}").into()));
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => {
                        self.stack.push(Value::Global(format!("{module}.{name}").into()));
                    }
                    _ => bail!("a global without a name"),
                },
                b'q' => self.remember(u32::from(code.byte()?))?,
                b'r' => {
                    let place = code.number(4)? as u32;
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => self.recall(u32::from(code.byte()?))?,
                b'j' => {
                    let place = code.number(4)? as u32;
                    self.recall(place)?;
                }
                b')' | b']' => self.sequence(Vec::new()),
                b'}' => self.dictionary(),
                b't' => {
                    let items = self.since_mark()?;
                    self.sequence(items);
                }
                0x85..=0x87 => {
                    let first = self.stack.len().checked_sub(usize::from(instruction - 0x84));
                    let items = self.stack.split_off(first.context("the stack is empty")?);
                    self.sequence(items);
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(vec![item])?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.extend(vec![key, value])?;
                }
                b'e' | b'u' => {
                    let items = self.since_mark()?;
                    self.extend(items)?;
                }
                // Attributes of an object are not a state_dict's business.
                b'b' => drop(self.pop()?),
                b'R' | 0x81 => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    let result = self.call(&function, &arguments)?;
                    self.stack.push(result);
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(&id)?;
                    self.stack.push(storage);
                }
                other => bail!("instruction {other:#04x} of its pickle is none that a state_dict needs"),
            }
        }
        bail!("its pickle has over {MOST_INSTRUCTIONS} instructions")
    }

    fn pop(&mut self) -> Result<Value> {
        self.stack.pop().context("the pickle takes from an empty stack")
    }

    fn since_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).context("no mark on the stack")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn text(&mut self, code: &mut Code<'_>, width: usize) -> Result<()> {
        let length = usize::try_from(code.number(width)?)?;
        let text = std::str::from_utf8(code.take(length)?)?.into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<()> {
        let top = self.stack.last().context("nothing to remember")?;
        self.memo.insert(place, top.clone());
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<()> {
        self.stack.push(self.memo.get(&place).context("nothing remembered there")?.clone());
        Ok(())
    }

    fn sequence(&mut self, items: Vec<Value>) {
        self.compounds.push(items);
        self.stack.push(Value::Sequence(self.compounds.len() - 1));
    }

    fn dictionary(&mut self) {
        self.compounds.push(Vec::new());
        self.stack.push(Value::Dictionary(self.compounds.len() - 1));
    }

    fn extend(&mut self, items: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(&(Value::Sequence(index) | Value::Dictionary(index))) => {
                self.compounds.get_mut(index).context("no such value")?.extend(items);
                Ok(())
            }
            // The items of an object that is skipped.
            Some(Value::Opaque) => Ok(()),
            _ => bail!("items for something that has none"),
        }
    }

    fn items(&self, value: &Value) -> &[Value] {
        match value {
            Value::Sequence(index) | Value::Dictionary(index) => {
                self.compounds.get(*index).map(Vec::as_slice).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// What a call gives: tensors and dictionaries; parameters are their tensors.
    fn call(&mut self, function: &Value, arguments: &Value) -> Result<Value> {
        let Value::Global(name) = function else { return Ok(Value::Opaque) };
        match (&**name, self.items(arguments)) {
            ("collections.OrderedDict", _) => {
                self.compounds.push(Vec::new());
                Ok(Value::Dictionary(self.compounds.len() - 1))
            }
            ("torch._utils._rebuild_tensor_v2", [Value::Storage(kind, key), Value::Int(offset), shape, stride, ..]) => {
                let Some(kind) = *kind else { return Ok(Value::Opaque) };
                let (shape, stride) = (self.extents(shape)?, self.extents(stride)?);
                let offset = usize::try_from(*offset)?;
                Ok(Value::Tensor(Rc::new(Tensor { kind, key: key.clone(), offset, shape, stride })))
            }
            ("torch._utils._rebuild_parameter", [tensor @ Value::Tensor(_), ..]) => Ok(tensor.clone()),
            _ => Ok(Value::Opaque),
        }
    }

    fn extents(&self, value: &Value) -> Result<Vec<usize>> {
        ensure!(self.items(value).len() <= MOST_EXTENTS, "a tensor of {} dimensions", self.items(value).len());
        let extent = |item: &Value| match item {
            Value::Int(extent) => Ok(usize::try_from(*extent)?),
            _ => bail!("an extent that is no number"),
        };
        self.items(value).iter().map(extent).collect()
    }

    /// A persistent id: `('storage', class, key, place, elements)`.
    fn storage(&self, id: &Value) -> Result<Value> {
        match self.items(id) {
            [Value::Text(_), Value::Global(class), Value::Text(key), ..] => {
                Ok(Value::Storage(Kind::of_storage(class.rsplit('.').next().unwrap_or_default()), key.clone()))
            }
            _ => bail!("a persistent id that is no storage"),
        }
    }

    /// All tensors below a value by name, in order. A whole checkpoint's other parts (optimizer state) are left out
    /// where it has a part that is called a state_dict.
    fn tensors(&self, top: Value) -> Result<Vec<(String, Rc<Tensor>)>> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), top)];
        let mut visited = 0;
        while let Some((name, value)) = open.pop() {
            visited += 1;
            ensure!(visited < MOST_TENSORS, "a dictionary that holds itself");
            match value {
                Value::Tensor(tensor) => found.push((name, tensor)),
                Value::Dictionary(_) => {
                    let entries = self.items(&value).chunks_exact(2).filter_map(|pair| match pair {
                        [Value::Text(key), value] => Some((key, value)),
                        _ => None,
                    });
                    let entries: Vec<_> = entries.collect();
                    let known = ["state_dict", "model_state_dict", "model"];
                    let whole = entries.iter().find(|(key, value)| {
                        name.is_empty() && known.contains(&&***key) && matches!(value, Value::Dictionary(_))
                    });
                    if let Some((_, value)) = whole {
                        open.push((String::new(), (*value).clone()));
                        continue;
                    }
                    ensure!(name.len() < 4096, "a dictionary that holds itself");
                    for (key, value) in entries.into_iter().rev() {
                        let name = if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
                        open.push((name, value.clone()));
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The bytes that are still to be read.
struct Code<'a>(&'a [u8]);

impl<'a> Code<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("its pickle ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// An unsigned little-endian number.
    fn number(&mut self, width: usize) -> Result<i64> {
        let bytes = self.take(width)?;
        i64::try_from(bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
            .context("a number that is too large")
    }

    /// A number in two's complement of up to 8 bytes.
    fn signed(&mut self, width: usize) -> Result<i64> {
        let bytes = self.take(width)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let start = if negative { -1 } else { 0 };
        Ok(bytes.iter().rev().fold(start, |number, byte| number << 8 | i64::from(*byte)))
    }

    fn line(&mut self) -> Result<&'a str> {
        let length = self.0.iter().position(|byte| *byte == b'\n').context("its pickle ends early")?;
        let line = std::str::from_utf8(self.take(length)?)?;
        self.take(1)?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A torch.save file whose pickle is given and whose storage 0 holds two numbers.
    fn file(pickle: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("archive/data.pkl", options).unwrap();
        zip.write_all(pickle).unwrap();
        zip.start_file("archive/data/0", options).unwrap();
        zip.write_all(&[1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat()).unwrap();
        zip.finish().unwrap().into_inner()
    }

    const TENSOR: &[u8] = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.";

    #[test]
    fn a_tensor_is_described_and_read() {
        let tensors = read_zip(&file(TENSOR)).unwrap();
        assert_eq!(tensors.len(), 1);
        assert_eq!((tensors[0].0.as_str(), &tensors[0].1.shape[..]), ("w", &[2][..]));
        assert_eq!(tensors[0].1.values, [1.5, -2.0]);
    }

    #[test]
    fn every_truncation_and_flipped_byte_ends() {
        let whole = file(TENSOR);
        for length in 0..whole.len() {
            drop(read_zip(&whole[..length]));
        }
        for index in 0..TENSOR.len() {
            for bit in 0..8 {
                let mut pickle = TENSOR.to_vec();
                pickle[index] ^= 1 << bit;
                drop(read_zip(&file(&pickle)));
            }
        }
    }

    #[test]
    fn a_call_of_anything_else_is_opaque() {
        assert!(read_zip(&file(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.")).unwrap().is_empty());
        assert!(read_zip(&file(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")).is_err());
    }
}
