//! A bar chart of ratios as SVG, readable on light and on dark backgrounds.

use super::{
    report::Table,
    row::{Row, show_ratio},
};

/// Sizes, in pixels.
const WIDTH: f64 = 920.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 76.0;
const HEAD_HEIGHT: f64 = 30.0;
const ROW_HEIGHT: f64 = 20.0;
const BAR_HEIGHT: f64 = 12.0;
const BOTTOM: f64 = 20.0;

const STYLE: &str = "\
.ground{fill:#ffffff}text{font:12px system-ui,sans-serif;fill:#1f2328}\
.title{font-size:15px;font-weight:600}.head{font-weight:600}.faint{fill:#59636e}\
.grid{stroke:#d1d9e0}.one{stroke:#59636e}.more{fill:#2f81c7}.less{fill:#c9622b}.limit{fill:#8b949e}\
.whisker{stroke:#1f2328;stroke-width:1.5}\
@media(prefers-color-scheme:dark){.ground{fill:#0d1117}text{fill:#e6edf3}.faint{fill:#9198a1}\
.grid{stroke:#30363d}.one{stroke:#9198a1}.more{fill:#4493f8}.less{fill:#db7a42}.limit{fill:#6e7681}\
.whisker{stroke:#e6edf3}}";

/// The marks that the logarithmic axis may have.
const MARKS: [f64; 14] =
    [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Smaller ratios are drawn at this one.
const SMALLEST: f64 = 0.05;

/// A logarithmic axis, from its least to its greatest mark.
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    /// The shortest axis that holds 1 and all values.
    fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let sound = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (mut low, mut high) = (1.0_f64, 1.0_f64);
        for value in sound {
            // Very small ratios, as of a file copy, would leave no room for the others.
            (low, high) = (low.min(value.max(SMALLEST)), high.max(value));
        }
        let least = MARKS.into_iter().rev().find(|mark| *mark <= low).unwrap_or(low);
        let most = MARKS.into_iter().find(|mark| *mark >= high && *mark > least).unwrap_or(high);
        Self { least, most }
    }

    /// The x coordinate of a value, in pixels.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.least, self.most);
        let part = (value / self.least).ln() / (self.most / self.least).ln();
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        MARKS.into_iter().filter(|mark| (self.least..=self.most).contains(mark))
    }
}

/// Draws the median ratio of each rival in each table, with the confidence interval as whiskers.
pub(super) fn draw(title: &str, tables: &[Table]) -> String {
    let rivals = |table: &Table| table.rows.iter().filter(|row| row.ratio.is_some()).count();
    let shown: Vec<_> = tables.iter().filter(|table| rivals(table) > 0).collect();
    let rows: usize = shown.iter().map(|table| rivals(table)).sum();
    let height = TOP + shown.len() as f64 * HEAD_HEIGHT + rows as f64 * ROW_HEIGHT + BOTTOM;
    let ratios = tables.iter().flat_map(|table| &table.rows).filter_map(|row| row.ratio);
    let axis = Axis::around(ratios.flat_map(|ratio| {
        let (low, high) = ratio.interval.unwrap_or((ratio.median, ratio.median));
        [ratio.median, low, high]
    }));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
        title = escape(title),
    );
    svg.push_str(&text(16.0, 26.0, "title", title));
    let legend = "Logarithmic; more than 1: Avocet is faster. Gray: only what no program can do \
                  without. Whiskers: 95 % interval of the median.";
    svg.push_str(&text(16.0, 46.0, "faint", legend));
    for mark in axis.marks() {
        let x = axis.place(mark);
        let is_one = (mark - 1.0).abs() < f64::EPSILON;
        svg.push_str(&line(if is_one { "one" } else { "grid" }, (x, TOP), (x, height - BOTTOM)));
        svg.push_str(&centered(x, TOP - 6.0, &format!("{mark}")));
    }
    let mut y = TOP;
    for table in shown {
        let head = format!("{} · {}", table.job, table.clip);
        svg.push_str(&text(16.0, y + HEAD_HEIGHT - 9.0, "head", &head));
        y += HEAD_HEIGHT;
        for row in &table.rows {
            if let Some(bar) = bar(&axis, y, row) {
                svg.push_str(&bar);
                y += ROW_HEIGHT;
            }
        }
    }
    svg + "</svg>\n"
}

/// The line of one rival; `None` for our own row.
fn bar(axis: &Axis, y: f64, row: &Row) -> Option<String> {
    let ratio = row.ratio?;
    let (one, end) = (axis.place(1.0), axis.place(ratio.median));
    let (x, width) = (one.min(end), (end - one).abs().max(1.0));
    let class = match ratio.median {
        _ if row.is_limit => "limit",
        median if median < 1.0 => "less",
        _ => "more",
    };
    let (top, middle) = (y + (ROW_HEIGHT - BAR_HEIGHT) / 2.0, y + ROW_HEIGHT / 2.0);
    let mut svg = text(28.0, middle + 4.0, "", &shorten(&row.name));
    svg.push_str(&format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
         height=\"{BAR_HEIGHT}\" rx=\"2\"/>\n"
    ));
    if let Some((low, high)) = ratio.interval {
        let (low, high) = (axis.place(low), axis.place(high));
        svg.push_str(&line("whisker", (low, middle), (high, middle)));
        for x in [low, high] {
            svg.push_str(&line("whisker", (x, middle - 3.0), (x, middle + 3.0)));
        }
    }
    let goals = row.goals.iter().map(|goal| goal.is_met);
    let goal = match goals.reduce(|all, one| all && one) {
        Some(true) => ", goal met",
        Some(false) => ", goal missed",
        None => "",
    };
    let label = format!("{}{goal}", show_ratio(ratio.median));
    svg.push_str(&text(WIDTH - RIGHT + 12.0, middle + 4.0, "", &label));
    Some(svg)
}

/// A name, cut to the length that fits next to the bars.
fn shorten(name: &str) -> String {
    let most = 34;
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

fn text(x: f64, y: f64, class: &str, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", escape(text))
}

fn centered(x: f64, y: f64, text: &str) -> String {
    format!(
        "<text class=\"faint\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>\n",
        escape(text)
    )
}

fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
    )
}

/// Escapes text for SVG, and drops control characters.
fn escape(text: &str) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Bound, Goal, tests::pairs};

    fn table(ratios: &[(f64, f64)], goals: &[Goal]) -> Table {
        let pairs = pairs(ratios);
        let name = |name: &str| (name.to_owned(), String::new());
        let ours = Row::of_ours(name("Avocet"), &[pairs[0].ours]);
        let rival = Row::of_rival(name("a < b & c"), goals, &pairs);
        Table {
            job: "job".to_owned(),
            about: "",
            clip: "a.mp4".to_owned(),
            count: 1,
            rows: ours.into_iter().chain(rival).collect(),
            notes: Vec::new(),
            skipped: Vec::new(),
        }
    }

    #[test]
    fn an_axis_holds_one_and_all_values() {
        let check = |values: &[f64], expected: (f64, f64)| {
            let axis = Axis::around(values.iter().copied());
            assert_eq!((axis.least, axis.most), expected, "{values:?}");
            assert!((axis.place(axis.least) - LEFT).abs() < 1e-9);
            assert!((axis.place(axis.most) - (WIDTH - RIGHT)).abs() < 1e-9);
        };
        check(&[], (1.0, 2.0));
        check(&[1.5, 30.0], (1.0, 50.0));
        check(&[0.3, 0.9], (0.2, 1.0));
        check(&[0.001, 2.0], (0.05, 2.0));
        check(&[f64::NAN, 2.0], (1.0, 2.0));
        check(&[5000.0], (1.0, 5000.0));
    }

    #[test]
    fn every_rival_has_a_bar() {
        let goal = Goal::wall(Bound::RivalAtLeast(3.0));
        let tables = [table(&[(1.0, 2.0); 7], &[goal]), table(&[(2.0, 1.0); 3], &[])];
        let svg = draw("a title", &tables);
        assert_eq!(svg.matches("class=\"more\"").count(), 1, "{svg}");
        assert_eq!(svg.matches("class=\"less\"").count(), 1, "{svg}");
        // A whisker has three lines; only one row has pairs enough for an interval.
        assert_eq!(svg.matches("class=\"whisker\"").count(), 3, "{svg}");
        assert!(svg.contains(">2.00, goal missed<") && svg.contains(">0.50<"), "{svg}");
        assert!(svg.contains("a &lt; b &amp; c") && svg.ends_with("</svg>\n"), "{svg}");
    }

    #[test]
    fn no_table_is_an_empty_chart() {
        let svg = draw("nothing", &[]);
        assert!(svg.contains("<title>nothing</title>") && !svg.contains("NaN"), "{svg}");
    }
}
