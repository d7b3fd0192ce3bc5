//! Charts as SVG, drawn with plotters.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::fragment::{Bars, Block, Line};

const PALETTE: [RGBColor; 6] = [
    RGBColor(79, 70, 229),
    RGBColor(13, 148, 136),
    RGBColor(217, 119, 6),
    RGBColor(225, 29, 72),
    RGBColor(2, 132, 199),
    RGBColor(101, 163, 13),
];
const INK: RGBColor = RGBColor(51, 65, 85);
const FAINT: RGBColor = RGBColor(226, 232, 240);
const FONT: &str = "system-ui, sans-serif";
const SIZE: (u32, u32) = (620, 320);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The SVG of a block that is a chart.
pub(super) fn draw(block: &Block) -> Option<Result<String>> {
    match block {
        Block::Lines { x_label, y_label, series, .. } => Some(lines(x_label, y_label, series)),
        Block::Bars { y_label, groups, series, .. } => Some(bars(y_label, groups, series)),
        Block::Confusion { classes, counts, .. } => Some(confusion(classes, counts)),
        _ => None,
    }
}

fn svg(size: (u32, u32), paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        paint(&area)?;
        failed(area.present())?;
    }
    Ok(text)
}

/// plotters' errors borrow from the drawing.
fn failed<T, E: std::fmt::Display>(result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|error| anyhow!("can't draw a chart: {error}"))
}

fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

fn text(size: f64, position: (HPos, VPos)) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK).pos(Pos::new(position.0, position.1))
}

fn lines(x_label: &str, y_label: &str, series: &[Line]) -> Result<String> {
    let points = || series.iter().flat_map(|line| &line.points);
    let (x_low, x_high) = bounds(points().map(|point| point.0));
    let (y_low, y_high) = bounds(points().map(|point| point.1));
    let space = 0.05 * (y_high - y_low);
    // What is never negative starts at or above zero.
    let y_low = if y_low >= 0.0 { (y_low - space).max(0.0) } else { y_low - space };
    svg(SIZE, |area| {
        let plot = legend(area, series.iter().map(|line| line.name.as_str()))?;
        let mut chart = failed(
            ChartBuilder::on(&plot)
                .margin_right(16)
                .x_label_area_size(46)
                .y_label_area_size(66)
                .build_cartesian_2d(x_low..x_high, y_low..y_high + space),
        )?;
        failed(
            chart
                .configure_mesh()
                .x_labels(8)
                .y_labels(6)
                .x_desc(x_label)
                .y_desc(y_label)
                .axis_desc_style((FONT, 15).into_font().color(&INK))
                .label_style((FONT, 14).into_font().color(&INK))
                .axis_style(FAINT)
                .bold_line_style(FAINT)
                .light_line_style(TRANSPARENT)
                .x_label_formatter(&|value| short(*value))
                .y_label_formatter(&|value| short(*value))
                .draw(),
        )?;
        for (index, line) in series.iter().enumerate() {
            let style = color(index).stroke_width(2);
            failed(chart.draw_series(LineSeries::new(line.points.iter().copied(), style)))?;
            if let [only] = line.points.as_slice() {
                failed(chart.draw_series([Circle::new(*only, 4, color(index).filled())]))?;
            }
        }
        Ok(())
    })
}

fn bars(y_label: &str, groups: &[String], series: &[Bars]) -> Result<String> {
    let high = series.iter().flat_map(|bars| &bars.values).copied().fold(0.0, f64::max);
    let (count, each) = (groups.len().max(1), series.len().max(1));
    // A share reads best on its whole scale.
    let high = if high <= 1.0 && high > 0.3 { 1.0 } else { high.max(1e-9) * 1.08 };
    let slanted = groups.iter().map(|group| group.chars().count()).max().unwrap_or(0) * count > 70;
    svg(SIZE, |area| {
        let plot = legend(area, series.iter().map(|bars| bars.name.as_str()))?;
        let mut chart = failed(
            ChartBuilder::on(&plot)
                .margin_right(16)
                .margin_top(if each * count <= 16 { 10 } else { 2 })
                .x_label_area_size(if slanted { 70 } else { 30 })
                .y_label_area_size(66)
                .build_cartesian_2d(0.0..count as f64, 0.0..high),
        )?;
        failed(
            chart
                .configure_mesh()
                .disable_x_mesh()
                .disable_x_axis()
                .y_labels(6)
                .y_desc(y_label)
                .axis_desc_style((FONT, 15).into_font().color(&INK))
                .label_style((FONT, 14).into_font().color(&INK))
                .axis_style(FAINT)
                .bold_line_style(FAINT)
                .light_line_style(TRANSPARENT)
                .y_label_formatter(&|value| short(*value))
                .draw(),
        )?;
        let width = 0.78 / each as f64;
        for (index, bars) in series.iter().enumerate() {
            for (group, &value) in bars.values.iter().enumerate() {
                let left = group as f64 + 0.11 + index as f64 * width;
                let corners = [(left, 0.0), (left + 0.94 * width, value.max(0.0))];
                failed(chart.draw_series([Rectangle::new(corners, color(index).filled())]))?;
                if each * count <= 16 {
                    let (x, y) = chart.backend_coord(&(left + 0.47 * width, value.max(0.0)));
                    let style = text(13.0, (HPos::Center, VPos::Bottom));
                    failed(area.draw(&Text::new(precise(value), (x, y - 2), style)))?;
                }
            }
        }
        for (group, name) in groups.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(group as f64 + 0.5, 0.0));
            let label = if slanted {
                let style = text(14.0, (HPos::Left, VPos::Center));
                Text::new(name.clone(), (x, y + 62), style.transform(FontTransform::Rotate270))
            } else {
                Text::new(name.clone(), (x, y + 8), text(14.0, (HPos::Center, VPos::Top)))
            };
            failed(area.draw(&label))?;
        }
        Ok(())
    })
}

fn confusion(classes: &[String], counts: &[Vec<usize>]) -> Result<String> {
    let count = classes.len().max(1) as i32;
    let longest = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0) as i32;
    let cell = (360 / count).clamp(30, 62);
    let left = 48 + 8 * longest.min(16);
    // Names that are wider than their column stand upright.
    let upright = 7 * longest > cell;
    let below = if upright { 36 + 8 * longest.min(16) } else { 50 };
    let (width, height) = (left + cell * count + 12, 8 + cell * count + below);
    svg((width.unsigned_abs(), height.unsigned_abs()), |area| {
        for (truth, row) in counts.iter().enumerate() {
            let total = row.iter().sum::<usize>().max(1);
            for (prediction, &number) in row.iter().enumerate() {
                let share = number as f64 / total as f64;
                let (x, y) = (left + cell * prediction as i32, 8 + cell * truth as i32);
                // Right answers in the first colour, confusions in the warning one.
                let tint = if truth == prediction { PALETTE[0] } else { PALETTE[3] };
                let fill = if number == 0 { RGBColor(248, 250, 252).to_rgba() } else { tint.mix(0.12 + 0.88 * share) };
                failed(area.draw(&Rectangle::new([(x, y), (x + cell - 2, y + cell - 2)], fill.filled())))?;
                if number > 0 {
                    let ink = if share > 0.45 { WHITE } else { INK };
                    let style = text(if cell < 40 { 11.0 } else { 14.0 }, (HPos::Center, VPos::Center)).color(&ink);
                    failed(area.draw(&Text::new(number.to_string(), (x + cell / 2 - 1, y + cell / 2 - 1), style)))?;
                }
            }
        }
        for (index, class) in classes.iter().enumerate() {
            let center = cell * index as i32 + cell / 2;
            let style = text(14.0, (HPos::Right, VPos::Center));
            failed(area.draw(&Text::new(class.clone(), (left - 6, 8 + center), style)))?;
            let bottom = 8 + cell * count;
            let label = if upright {
                let style = text(14.0, (HPos::Right, VPos::Center)).transform(FontTransform::Rotate270);
                Text::new(class.clone(), (left + center, bottom + 4), style)
            } else {
                Text::new(class.clone(), (left + center, bottom + 4), text(14.0, (HPos::Center, VPos::Top)))
            };
            failed(area.draw(&label))?;
        }
        let style = text(14.5, (HPos::Center, VPos::Bottom));
        failed(area.draw(&Text::new("predicted", (left + cell * count / 2, height - 4), style.clone())))?;
        let style = text(14.5, (HPos::Center, VPos::Top)).transform(FontTransform::Rotate270);
        failed(area.draw(&Text::new("true", (4, 8 + cell * count / 2), style)))
    })
}

/// Draws the names of several series along the top and gives what is left below.
fn legend<'a, 'b>(area: &Area<'a>, names: impl Iterator<Item = &'b str>) -> Result<Area<'a>> {
    let names: Vec<&str> = names.collect();
    if names.len() < 2 {
        return Ok(area.margin(8, 0, 0, 0));
    }
    let mut x = 76;
    for (index, name) in names.iter().enumerate() {
        failed(area.draw(&Circle::new((x, 12), 5, color(index).filled())))?;
        failed(area.draw(&Text::new((*name).to_owned(), (x + 11, 12), text(14.5, (HPos::Left, VPos::Center)))))?;
        x += 36 + 8 * name.chars().count() as i32;
    }
    Ok(area.margin(28, 0, 0, 0))
}

/// The least and the largest value, never equal.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match (low <= high, low < high) {
        (false, _) => (0.0, 1.0),
        (true, false) => (low - 0.5, high + 0.5),
        (true, true) => (low, high),
    }
}

/// A number for an axis.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        return format!("{} M", trimmed(value / 1e6, 2));
    }
    if size >= 1e4 {
        return format!("{} k", trimmed(value / 1e3, 1));
    }
    trimmed(value, if size < 0.01 { 4 } else { 3 })
}

/// A number above a bar.
fn precise(value: f64) -> String {
    if value <= 1.0 { format!("{value:.2}") } else { short(value) }
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_show_short_numbers() {
        let shown: Vec<String> = [0.0, 0.5, 12.0, 1500.0, 25_000.0, 7_221_720.0].into_iter().map(short).collect();
        assert_eq!(shown, ["0", "0.5", "12", "1500", "25 k", "7.22 M"]);
    }

    #[test]
    fn every_kind_of_chart_is_drawn_even_when_empty() {
        let mut fragment = super::super::Fragment::new("demo");
        fragment.lines("curve", ["x", "y"], vec![("a", vec![(0.0, 1.0), (1.0, 2.0)]), ("b", vec![])]);
        fragment.lines("nothing", ["x", "y"], vec![]);
        fragment.bars("bars", "y", vec!["g".into()], vec![("s", vec![0.25])]);
        fragment.bars("no bars", "y", vec![], vec![]);
        fragment.confusion("confusion", &["no".into(), "yes".into()], &[vec![3, 1], vec![0, 4]]);
        fragment.confusion("no classes", &[], &[]);
        for block in &fragment.blocks {
            let svg = draw(block).unwrap().unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        }
    }
}
