//! The arena as a step sees it: regions to write and the rest to read.

use bytemuck::{AnyBitPattern, NoUninit};

use super::tensor::{Place, Span, Tensor};
use crate::kernels::OutOfBounds;
use crate::kernels::parts::{Others, Parts};

/// `N` regions of the arena to write, and everything else to read.
#[derive(Debug)]
pub struct Regions<'r, 'm, const N: usize> {
    /// The regions, in the order asked for.
    pub writable: [&'r mut [u8]; N],
    /// The rest of the arena and the constants.
    pub rest: Rest<'r, 'm>,
}

/// What a step may read while it writes its outputs.
#[derive(Debug)]
pub struct Rest<'r, 'm> {
    arena: Others<'r>,
    constants: &'m [u8],
}

impl<'r, 'm, const N: usize> Regions<'r, 'm, N> {
    /// Cuts `spans` out of the arena; fails where they overlap or reach outside. At most four spans.
    pub fn carve(arena: &'r mut [u8], constants: &'m [u8], spans: [Span; N]) -> Result<Self, OutOfBounds> {
        let Parts { written, others } = Parts::take(arena, spans.map(Span::range)).ok_or(OutOfBounds)?;
        Ok(Self { writable: written, rest: Rest { arena: others, constants } })
    }
}

impl<'r, 'm: 'r> Rest<'r, 'm> {
    /// The elements of an operand that no writable region overlaps.
    pub fn read<T: AnyBitPattern>(&self, tensor: &Tensor) -> Result<&'r [T], OutOfBounds> {
        let range = tensor.span().range();
        let bytes = match tensor.place {
            Place::Constant => self.constants.get(range),
            Place::Arena => self.arena.get(range),
        };
        bytemuck::try_cast_slice(bytes.ok_or(OutOfBounds)?).map_err(|_| OutOfBounds)
    }
}

/// A region as elements to write.
pub(crate) fn elements<T: AnyBitPattern + NoUninit>(region: &mut [u8]) -> Result<&mut [T], OutOfBounds> {
    bytemuck::try_cast_slice_mut(region).map_err(|_| OutOfBounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: u32, length: u32) -> Span {
        Span { offset, length }
    }

    #[test]
    fn carves_in_any_order() {
        let mut arena: std::vec::Vec<u8> = (0..32).collect();
        let regions = Regions::carve(&mut arena, &[], [span(20, 4), span(4, 8)]).unwrap();
        assert_eq!(regions.writable[0], [20, 21, 22, 23]);
        assert_eq!(regions.writable[1], [4, 5, 6, 7, 8, 9, 10, 11]);
        let read = |span| regions.rest.arena.get(Span::range(span)).map(<[u8]>::to_vec);
        assert_eq!(read(span(12, 8)), Some((12..20).collect()));
        assert_eq!((read(span(0, 5)), read(span(23, 2)), read(span(30, 4))), (None, None, None));
    }

    #[test]
    fn refuses_overlap_and_outside() {
        let mut arena = [0_u8; 32];
        assert_eq!(Regions::carve(&mut arena, &[], [span(0, 8), span(7, 8)]).unwrap_err(), OutOfBounds);
        assert_eq!(Regions::carve(&mut arena, &[], [span(30, 4)]).unwrap_err(), OutOfBounds);
        assert_eq!(Regions::carve(&mut arena, &[], [span(8, u32::MAX)]).unwrap_err(), OutOfBounds);
    }
}
