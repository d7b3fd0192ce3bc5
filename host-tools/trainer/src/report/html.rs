//! The page: sections, tables and inline charts in one file without links to anything.

use std::fmt::Write;

use anyhow::Result;

use super::charts;
use super::fragment::{Block, Fragment};

const STYLE: &str = include_str!("style.css");

/// What stands above the sections.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
    pub(super) simulated: bool,
}

/// A chart with the name of its file.
pub(super) struct Plot {
    pub(super) name: String,
    pub(super) svg: String,
}

/// The page and its charts; each section comes with the name of its file.
pub(super) fn page(head: &Head<'_>, sections: &[(String, Fragment)]) -> Result<(String, Vec<Plot>)> {
    let mut plots = Vec::new();
    let mut page = String::new();
    let title = escaped(head.title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · nervelet</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header><div>\n\
         <div class=\"brand\">nervelet</div>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escaped(head.description)
    )?;
    if head.simulated {
        page.push_str("<span class=\"badge\">simulated data: no sensor measured it</span>\n");
    }
    page.push_str("<nav>");
    for (name, section) in sections {
        write!(page, "<a href=\"#{}\">{}</a>", escaped(name), escaped(&section.title))?;
    }
    page.push_str("</nav>\n</div></header>\n<main>\n");
    for (name, section) in sections {
        write!(page, "<section id=\"{}\">\n<h2>{}</h2>\n", escaped(name), escaped(&section.title))?;
        let mut charts = Vec::new();
        for block in &section.blocks {
            match charts::draw(block) {
                Some(svg) => charts.push((caption(block), svg?)),
                None => {
                    flush(&mut page, name, &mut charts, &mut plots)?;
                    write_block(&mut page, block)?;
                }
            }
        }
        flush(&mut page, name, &mut charts, &mut plots)?;
        page.push_str("</section>\n");
    }
    write!(page, "</main>\n<footer>Made by nervelet {}.</footer>\n</body>\n</html>\n", env!("CARGO_PKG_VERSION"))?;
    Ok((page, plots))
}

/// Charts that followed one another stand side by side.
fn flush(page: &mut String, section: &str, charts: &mut Vec<(&str, String)>, plots: &mut Vec<Plot>) -> Result<()> {
    if charts.is_empty() {
        return Ok(());
    }
    page.push_str("<div class=\"charts\">\n");
    for (caption, svg) in charts.drain(..) {
        let number = plots.iter().filter(|plot: &&Plot| plot.name.starts_with(&format!("{section}-"))).count() + 1;
        write!(page, "<figure><figcaption>{}</figcaption>\n{svg}\n</figure>\n", escaped(caption))?;
        plots.push(Plot { name: format!("{section}-{number}"), svg });
    }
    page.push_str("</div>\n");
    Ok(())
}

fn caption(block: &Block) -> &str {
    match block {
        Block::Lines { caption, .. } | Block::Bars { caption, .. } | Block::Confusion { caption, .. } => caption,
        _ => "",
    }
}

fn write_block(page: &mut String, block: &Block) -> Result<()> {
    match block {
        Block::Paragraph { text } => writeln!(page, "<p>{}</p>", escaped(text))?,
        Block::Figures { items } => {
            page.push_str("<div class=\"figures\">\n");
            for item in items {
                writeln!(
                    page,
                    "<div><span>{}</span><strong>{}</strong><span>{}</span></div>",
                    escaped(&item.label),
                    escaped(&item.value),
                    escaped(&item.note)
                )?;
            }
            page.push_str("</div>\n");
        }
        Block::Table { caption, columns, rows } => {
            write!(page, "<div class=\"scroll\"><table><caption>{}</caption>\n<tr>", escaped(caption))?;
            for column in columns {
                write!(page, "<th>{}</th>", escaped(column))?;
            }
            page.push_str("</tr>\n");
            for row in rows {
                page.push_str("<tr>");
                for cell in row {
                    write!(page, "<td>{}</td>", escaped(cell))?;
                }
                page.push_str("</tr>\n");
            }
            page.push_str("</table></div>\n");
        }
        Block::Source { caption, text } => {
            writeln!(page, "<details><summary>{}</summary><pre>{}</pre></details>", escaped(caption), escaped(text))?;
        }
        Block::Lines { .. } | Block::Bars { .. } | Block::Confusion { .. } => {}
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_charts_are_inline_and_counted() {
        let mut section = Fragment::new("a < b");
        section.lines("first", ["x", "y"], vec![("s", vec![(0.0, 1.0), (1.0, 0.5)])]);
        section.lines("second", ["x", "y"], vec![("s", vec![(0.0, 1.0), (1.0, 0.5)])]);
        section.paragraph("1 & 2");
        section.table("t", &["name", "value"], vec![vec!["<script>".into(), "1".into()]]);
        let head = Head { title: "demo", description: "", simulated: true };
        let (page, plots) = page(&head, &[("training".to_owned(), section)]).unwrap();
        let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
        assert_eq!(names, ["training-1", "training-2"]);
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("a &lt; b") && page.contains("1 &amp; 2") && !page.contains("<script>"));
        assert!(page.contains("simulated"));
        // Nothing is loaded from anywhere.
        assert!(!page.contains("<link") && !page.contains("src=") && !page.contains("url("));
    }
}
