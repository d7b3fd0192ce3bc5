//! Operators that make one element of many: means, sums, maxima and the position of the maximum.

use anyhow::{Context, Result, ensure};
use nervelet::ops::{DataType, OpKind, mean};

use super::{Lowering, record, scale};
use crate::graph::{Node, Reduction, Tensor};
use crate::index_map;

/// The tensor that a reduction reads, as `[blocks, count, channels]`.
struct Folded {
    input: u16,
    count: u32,
    channels: u32,
}

impl Lowering<'_> {
    pub(super) fn mean(&mut self, node: &Node, axes: &[usize]) -> Result<()> {
        let masked = node.inputs.len() > 1;
        let kinds = match masked {
            false => [OpKind::MeanInt8, OpKind::MeanInt16, OpKind::MeanFloat32],
            true => [OpKind::MaskedMeanInt8, OpKind::MaskedMeanInt16, OpKind::MaskedMeanFloat32],
        };
        let kind = self.by_type(node, 1, kinds)?;
        let Folded { input, count, channels } = self.neighbours(node, axes)?;
        let parameters = match self.output(node)?.data_type {
            DataType::Float32 => mean::Parameters { count, channels, mantissa: 0, exponent: 0 },
            _ => {
                let [s_in, s_out] = [scale(self.input(node, 0)?)?.scale, scale(self.output(node)?)?.scale];
                // A mask's count divides when it is known.
                let codes = if masked { mean::Parameters::sum } else { mean::Parameters::codes };
                codes(count, channels, s_in, s_out)
            }
        };
        let inputs = [input].into_iter().chain(self.operands(&node.inputs[1..])?).collect();
        let outputs = self.operands(&node.outputs)?;
        self.program.step(kind, &node.name, inputs, outputs, &parameters)
    }

    pub(super) fn reduce(&mut self, node: &Node, reduction: Reduction, axes: &[usize]) -> Result<()> {
        let kind = match reduction {
            Reduction::Sum => self.by_type(node, 1, [OpKind::MeanInt8, OpKind::MeanInt16, OpKind::SumFloat32])?,
            Reduction::Max => self.by_narrow_type(node, 1, OpKind::ReduceMaxInt8, OpKind::ReduceMaxFloat32)?,
            Reduction::Min => self.by_narrow_type(node, 1, OpKind::ReduceMinInt8, OpKind::ReduceMinFloat32)?,
        };
        let Folded { input, count, channels } = self.neighbours(node, axes)?;
        let (x, output) = (self.input(node, 0)?, self.output(node)?);
        let parameters = match (reduction, output.data_type) {
            (Reduction::Sum, DataType::Int8 | DataType::Int16) => {
                mean::Parameters::sum(count, channels, scale(x)?.scale, scale(output)?.scale)
            }
            (Reduction::Sum, _) => mean::Parameters { count, channels, mantissa: 0, exponent: 0 },
            _ => {
                ensure!(x.quantization == output.quantization, "input and output have different scales");
                mean::Parameters { count, channels, mantissa: 0, exponent: 0 }
            }
        };
        self.fold(node, kind, input, &parameters)
    }

    pub(super) fn arg_max(&mut self, node: &Node, axis: usize) -> Result<()> {
        let kind = match self.input(node, 0)?.data_type {
            DataType::Int8 => OpKind::ArgMaxInt8,
            DataType::Float32 => OpKind::ArgMaxFloat32,
            other => anyhow::bail!("has no kernel for {other:?}"),
        };
        let Folded { input, count, channels } = self.neighbours(node, &[axis])?;
        self.fold(node, kind, input, &mean::Parameters { count, channels, mantissa: 0, exponent: 0 })
    }

    fn fold(&mut self, node: &Node, kind: OpKind, input: u16, parameters: &mean::Parameters) -> Result<()> {
        let outputs = self.operands(&node.outputs)?;
        self.program.step(kind, &node.name, vec![input], outputs, parameters)
    }

    /// Reads the node's input with the axes as neighbours, behind a transposition where they are not.
    fn neighbours(&mut self, node: &Node, axes: &[usize]) -> Result<Folded> {
        let tensor = self.input(node, 0)?;
        let shape = tensor.shape.clone();
        let wide = |axis: &usize| shape.get(*axis).is_some_and(|extent| *extent > 1);
        let mut axes: Vec<usize> = axes.iter().copied().filter(|axis| wide(axis)).collect();
        axes.sort_unstable();
        axes.dedup();
        let (first, last) = (axes.first().copied().unwrap_or(0), axes.last().copied().unwrap_or(0));
        let together = (first..=last).all(|axis| axes.is_empty() || axes.contains(&axis) || !wide(&axis));
        let count = u32::try_from(axes.iter().map(|axis| shape[*axis]).product::<usize>())?;
        if together {
            let channels = shape.iter().skip(if axes.is_empty() { 0 } else { last + 1 }).product::<usize>();
            let input = self.operand(*node.inputs.first().context("has no input")?)?;
            return Ok(Folded { input, count, channels: u32::try_from(channels)? });
        }
        let order: Vec<usize> =
            (0..shape.len()).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
        let map = index_map::transpose(&shape, &order)?;
        let moved = Tensor { shape: order.iter().map(|axis| shape[*axis]).collect(), data: None, ..tensor.clone() };
        let moved = self.program.tensor(record(&moved)?, None)?;
        let input = self.operand(node.inputs[0])?;
        self.program.step(OpKind::Rearrange, &format!("{}.transpose", node.name), vec![input], vec![moved], &map)?;
        Ok(Folded { input: moved, count, channels: 1 })
    }
}
