//! What a tensor of a window model is in the stream.

use std::rc::Rc;

use super::borders::Borders;

/// Why something does not hold, for messages.
pub(super) type Cause = Rc<str>;

/// A tensor that carries columns of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    /// The axis of time.
    pub(super) axis: usize,
    /// Columns of the window.
    pub(super) window: usize,
    /// The last of them, which each run computes.
    pub(super) new: usize,
    /// The first of them that depend on where the window begins.
    pub(super) edge: usize,
    /// The first of them that are padding.
    pub(super) lead: usize,
}

/// A tensor that is computed: columns, or what the window model has.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    /// Set while a run computes only new columns.
    pub(super) columns: Option<Columns>,
    /// Set while a run computes only the ends of the window.
    pub(super) borders: Option<Borders>,
    /// Why the first columns depend on where the window begins.
    pub(super) edge: Option<Cause>,
    /// Why it is not what the window model has on the last frames.
    pub(super) not_window: Option<Cause>,
    /// Why it is not what the model has on all frames since the reset.
    pub(super) not_sequence: Option<Cause>,
}

impl Flow {
    /// Takes over what does not hold for an operand.
    pub(super) fn join(&mut self, operand: &Flow) {
        let pairs = [
            (&mut self.edge, &operand.edge),
            (&mut self.not_window, &operand.not_window),
            (&mut self.not_sequence, &operand.not_sequence),
        ];
        for (own, other) in pairs {
            if own.is_none() {
                own.clone_from(other);
            }
        }
    }

    /// What the flow is of which some columns, counted from the first of the window, are all there is.
    pub(super) fn settled(mut self, edge: usize) -> Self {
        self.columns = None;
        if edge > 0 && self.not_window.is_none() {
            self.not_window.clone_from(&self.edge);
        }
        self
    }

    /// Columns where a run computes some of them, a whole tensor where it computes all.
    pub(super) fn with(mut self, columns: Columns) -> Self {
        if columns.new < columns.window {
            self.columns = Some(columns);
            return self;
        }
        self.settled(columns.edge)
    }
}

/// Which columns of an operand a node reads, counted from the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// Newer columns that it leaves out.
    pub(super) lag: usize,
    /// Columns that it reads.
    pub(super) count: usize,
    /// Whether more columns behind those are no matter.
    pub(super) more_behind: bool,
}

impl Read {
    /// The last columns.
    pub(super) fn last(count: usize) -> Self {
        Self { lag: 0, count, more_behind: false }
    }

    /// Columns that a history has to hold for it.
    pub(super) fn reach(self) -> usize {
        self.lag + self.count
    }
}
