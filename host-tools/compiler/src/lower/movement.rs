//! Operators that move elements, and products of matrices.

use anyhow::{Context, Result, bail, ensure};
use nervelet::fixed::Multiplier;
use nervelet::ops::{DataType, IndexMap, Matrices, OpKind, Shift};
use nervelet::ops::{batch_matmul, gather, resize_bilinear};

use super::layers::rounded_product;
use super::{Lowering, scale};
use crate::graph::Node;

impl Lowering<'_> {
    fn expect_moved(&self, node: &Node) -> Result<()> {
        let (input, output) = (self.input(node, 0)?, self.output(node)?);
        ensure!(input.quantization == output.quantization, "input and output have different scales");
        Ok(())
    }

    pub(super) fn rearrange(&mut self, node: &Node, map: &IndexMap) -> Result<()> {
        self.expect_moved(node)?;
        self.step(node, OpKind::Rearrange, 1, map)
    }

    pub(super) fn gather(&mut self, node: &Node, axis: usize, rows: &[u32]) -> Result<()> {
        self.expect_moved(node)?;
        let shape = &self.input(node, 0)?.shape;
        let count = *shape.get(axis).with_context(|| format!("picks along axis {axis} of {shape:?}"))?;
        let inner: usize = shape.iter().skip(axis + 1).product();
        ensure!(rows.iter().all(|row| (*row as usize) < count), "picks a row that an extent of {count} doesn't have");
        let (count, inner) = (u32::try_from(count)?, u32::try_from(inner)?);
        let rows = rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>();
        let rows = self.program.constant(&rows)?;
        self.step(node, OpKind::Gather, 1, &gather::Parameters { count, inner, rows })
    }

    pub(super) fn embedding(&mut self, node: &Node) -> Result<()> {
        let (table, output) = (self.input(node, 0)?, self.output(node)?);
        let same = table.data_type == output.data_type && table.quantization == output.quantization;
        ensure!(same, "the table has other codes than the rows that are taken");
        self.step(node, OpKind::Embedding, 2, &())
    }

    pub(super) fn shift(&mut self, node: &Node, axis: usize, columns: usize) -> Result<()> {
        self.expect_moved(node)?;
        let output = self.output(node)?;
        let column = output.shape.iter().skip(axis + 1).product::<usize>() * output.data_type.bytes();
        let bytes = |columns: usize| u32::try_from(columns * column).context("a history is too large");
        let of = |position: usize| bytes(self.input(node, position)?.shape[axis]);
        let (front, back) = match node.inputs.len() {
            1 => (0, of(0)?),
            _ => (of(0)?, of(1)?),
        };
        let parameters = Shift { block: bytes(output.shape[axis])?, front, back, by: bytes(columns)? };
        self.step(node, OpKind::Shift, node.inputs.len(), &parameters)
    }

    pub(super) fn resize_bilinear(&mut self, node: &Node, align_corners: bool, half_pixel_centers: bool) -> Result<()> {
        self.expect_moved(node)?;
        let kinds = [OpKind::ResizeBilinearInt8, OpKind::ResizeBilinearInt16, OpKind::ResizeBilinearFloat32];
        let kind = self.by_type(node, 1, kinds)?;
        self.step(node, kind, 1, &resize_bilinear::Parameters { align_corners, half_pixel_centers })
    }

    pub(super) fn batch_matmul(&mut self, node: &Node, transpose_a: bool, transpose_b: bool) -> Result<()> {
        let kinds = [OpKind::BatchMatmulInt8, OpKind::BatchMatmulInt16, OpKind::BatchMatmulFloat32];
        let kind = self.by_type(node, 2, kinds)?;
        let (a, b, output) = (self.input(node, 0)?, self.input(node, 1)?, self.output(node)?);
        let matrices = matrices(&a.shape, &b.shape, transpose_a, transpose_b)?;
        ensure!(
            matrices.reach()[0] == output.elements(),
            "{:?} times {:?} does not make {:?}",
            a.shape,
            b.shape,
            output.shape
        );
        let Multiplier { mantissa, exponent } = match output.data_type {
            DataType::Float32 => Multiplier::default(),
            _ => {
                let product = rounded_product(scale(a)?.scale, scale(b)?.scale);
                Multiplier::from_real(product / f64::from(scale(output)?.scale))
            }
        };
        self.step(node, kind, 2, &batch_matmul::Parameters { matrices, mantissa, exponent })
    }
}

/// The geometry of a product of matrices of two shapes.
pub(super) fn matrices(a: &[usize], b: &[usize], transpose_a: bool, transpose_b: bool) -> Result<Matrices> {
    let split = |shape: &[usize], transposed: bool| match *shape {
        [.., rows, columns] => {
            let batches: usize = shape.iter().rev().skip(2).product();
            let [rows, columns, down, right] =
                if transposed { [columns, rows, 1, columns] } else { [rows, columns, columns, 1] };
            Ok((batches, [rows, columns], [rows * columns, down, right]))
        }
        _ => bail!("{shape:?} is no matrix"),
    };
    let (batches_a, [rows, depth], first) = split(a, transpose_a)?;
    let (batches_b, [depth_b, columns], second) = split(b, transpose_b)?;
    ensure!(depth == depth_b, "rows of {depth} elements meet columns of {depth_b}");
    let lead = |shape: &[usize]| shape.iter().rev().skip(2).rev().skip_while(|n| **n == 1).copied().collect::<Vec<_>>();
    let fit = batches_a == 1 || batches_b == 1 || lead(a) == lead(b);
    ensure!(fit, "the leading axes of {a:?} and {b:?} differ: equal ones are taken, or none above 1");
    let narrow = |value: usize| u32::try_from(value).context("too large");
    let strides = |batches: usize, [batch, down, right]: [usize; 3]| -> Result<[u32; 3]> {
        Ok([if batches == 1 { 0 } else { narrow(batch)? }, narrow(down)?, narrow(right)?])
    };
    Ok(Matrices {
        batches: narrow(batches_a.max(batches_b))?,
        rows: narrow(rows)?,
        depth: narrow(depth)?,
        columns: narrow(columns)?,
        first: strides(batches_a, first)?,
        second: strides(batches_b, second)?,
    })
}
