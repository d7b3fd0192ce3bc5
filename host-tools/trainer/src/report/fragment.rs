//! A section of the report: what any command adds to a run.

use serde::{Deserialize, Serialize};

/// A section with its content.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Fragment {
    /// Its heading.
    pub title: String,
    /// What it shows, from top to bottom. Charts that follow one another stand side by side where there is room.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
// Tagged from outside: an inner tag would buffer the numbers, which fails where serde_json keeps arbitrary precision.
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// Running text.
    Paragraph {
        /// The text.
        text: String,
    },
    /// The few figures that matter, in large type.
    Figures {
        /// From left to right.
        items: Vec<Figure>,
    },
    /// Rows and columns. Columns after the first are aligned to the right.
    Table {
        /// What it says.
        caption: String,
        /// Headings.
        columns: Vec<String>,
        /// Cells, row by row.
        rows: Vec<Vec<String>>,
    },
    /// Curves over a common axis.
    Lines {
        /// What it says.
        caption: String,
        /// What runs to the right.
        x_label: String,
        /// What runs upwards.
        y_label: String,
        /// The curves.
        series: Vec<Line>,
    },
    /// Groups of bars, from zero upwards.
    Bars {
        /// What it says.
        caption: String,
        /// What runs upwards.
        y_label: String,
        /// Names of the groups, from left to right.
        groups: Vec<String>,
        /// One bar in each group.
        series: Vec<Bars>,
    },
    /// Which class was taken for which.
    Confusion {
        /// What it says.
        caption: String,
        /// Names of the classes.
        classes: Vec<String>,
        /// `counts[truth][prediction]`.
        counts: Vec<Vec<usize>>,
    },
    /// Text as it stands in a file, folded away until it is asked for.
    Source {
        /// What it is.
        caption: String,
        /// The text.
        text: String,
    },
}

/// A figure in large type.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Figure {
    /// What it is.
    pub label: String,
    /// The figure with its unit.
    pub value: String,
    /// A few words below it; may be empty.
    pub note: String,
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Line {
    /// For the legend.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// A bar in each group.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Bars {
    /// For the legend.
    pub name: String,
    /// One value a group.
    pub values: Vec<f64>,
}

impl Fragment {
    /// A section without content.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), blocks: Vec::new() }
    }

    /// Appends text.
    pub fn paragraph(&mut self, text: &str) {
        self.blocks.push(Block::Paragraph { text: text.to_owned() });
    }

    /// Appends figures in large type: label, value, note.
    pub fn figures(&mut self, items: &[(&str, String, &str)]) {
        let figure = |(label, value, note): &(&str, String, &str)| Figure {
            label: (*label).to_owned(),
            value: value.clone(),
            note: (*note).to_owned(),
        };
        self.blocks.push(Block::Figures { items: items.iter().map(figure).collect() });
    }

    /// Appends a table.
    pub fn table(&mut self, caption: &str, columns: &[&str], rows: Vec<Vec<String>>) {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.blocks.push(Block::Table { caption: caption.to_owned(), columns, rows });
    }

    /// Appends a chart of curves: name and points of each.
    pub fn lines(&mut self, caption: &str, [x_label, y_label]: [&str; 2], series: Vec<(&str, Vec<(f64, f64)>)>) {
        let series = series.into_iter().map(|(name, points)| Line { name: name.to_owned(), points }).collect();
        self.blocks.push(Block::Lines {
            caption: caption.to_owned(),
            x_label: x_label.to_owned(),
            y_label: y_label.to_owned(),
            series,
        });
    }

    /// Appends a chart of bars: name and values of each series.
    pub fn bars(&mut self, caption: &str, y_label: &str, groups: Vec<String>, series: Vec<(&str, Vec<f64>)>) {
        let series = series.into_iter().map(|(name, values)| Bars { name: name.to_owned(), values }).collect();
        self.blocks.push(Block::Bars { caption: caption.to_owned(), y_label: y_label.to_owned(), groups, series });
    }

    /// Appends a confusion matrix, `counts[truth][prediction]`.
    pub fn confusion(&mut self, caption: &str, classes: &[String], counts: &[Vec<usize>]) {
        self.blocks.push(Block::Confusion {
            caption: caption.to_owned(),
            classes: classes.to_vec(),
            counts: counts.to_vec(),
        });
    }

    /// Appends the text of a file.
    pub fn source(&mut self, caption: &str, text: &str) {
        self.blocks.push(Block::Source { caption: caption.to_owned(), text: text.to_owned() });
    }
}
