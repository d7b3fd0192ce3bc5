//! Splits the arena into regions to write and the rest to read, without `unsafe`.

use bytemuck::{AnyBitPattern, NoUninit};

use super::Error;
use super::tensor::{Place, Span, Tensor};

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
    /// Up to five pieces of the arena with the offset of their first byte.
    pieces: heapless::Vec<(usize, &'r [u8]), 5>,
    constants: &'m [u8],
}

impl<'r, 'm, const N: usize> Regions<'r, 'm, N> {
    /// Cuts `spans` out of the arena; fails where they overlap or reach outside. At most four spans.
    pub fn carve(arena: &'r mut [u8], constants: &'m [u8], spans: [Span; N]) -> Result<Self, Error> {
        let bytes = arena.len();
        let mut writable: [&'r mut [u8]; N] = core::array::from_fn(|_| Default::default());
        let mut pieces = heapless::Vec::new();
        let mut tail = arena;
        let mut position = 0;
        for _ in 0..N {
            // The next span by offset; a span once cut lies before `position` and is passed over.
            let next = spans.iter().enumerate().filter(|(index, span)| {
                span.offset as usize >= position && writable.get(*index).is_some_and(|region| region.is_empty())
            });
            let (index, span) = next.min_by_key(|(_, span)| span.offset).ok_or(Error::Overlap)?;
            let outside = Error::OutsideArena { end: span.end(), arena: bytes };
            let (before, rest) = tail.split_at_mut_checked(span.offset as usize - position).ok_or(outside)?;
            let (region, rest) = rest.split_at_mut_checked(span.length as usize).ok_or(outside)?;
            pieces.push((position, &*before)).map_err(|_| Error::Overlap)?;
            if let Some(slot) = writable.get_mut(index) {
                *slot = region;
            }
            position = span.end();
            tail = rest;
        }
        pieces.push((position, &*tail)).map_err(|_| Error::Overlap)?;
        Ok(Self { writable, rest: Rest { pieces, constants } })
    }
}

impl<'r, 'm: 'r> Rest<'r, 'm> {
    /// The elements of an operand that no writable region overlaps.
    pub fn read<T: AnyBitPattern>(&self, tensor: &Tensor) -> Result<&'r [T], Error> {
        let span = tensor.span();
        let bytes = match tensor.place {
            Place::Constant => span.of(self.constants),
            Place::Arena => self.pieces.iter().find_map(|(start, piece)| {
                let from = (span.offset as usize).checked_sub(*start)?;
                piece.get(from..from.checked_add(span.length as usize)?)
            }),
        };
        bytemuck::try_cast_slice(bytes.ok_or(Error::Overlap)?).map_err(|_| Error::Misaligned)
    }
}

/// A region as elements to write.
pub(crate) fn elements<T: AnyBitPattern + NoUninit>(region: &mut [u8]) -> Result<&mut [T], Error> {
    bytemuck::try_cast_slice_mut(region).map_err(|_| Error::Misaligned)
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
        let starts: std::vec::Vec<_> = regions.rest.pieces.iter().map(|(start, piece)| (*start, piece.len())).collect();
        assert_eq!(starts, [(0, 4), (12, 8), (24, 8)]);
    }

    #[test]
    fn refuses_overlap_and_outside() {
        let mut arena = [0_u8; 32];
        assert_eq!(Regions::carve(&mut arena, &[], [span(0, 8), span(7, 8)]).unwrap_err(), Error::Overlap);
        assert_eq!(
            Regions::carve(&mut arena, &[], [span(30, 4)]).unwrap_err(),
            Error::OutsideArena { end: 34, arena: 32 }
        );
    }
}
