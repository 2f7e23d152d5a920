//! The table, and the bounds that its figures break.

use std::collections::BTreeSet;

use crate::harness::{Figures, Row};

/// The rows with their figures.
pub(crate) struct Table<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) results: &'a [Figures],
}

/// What layers add to the row without layers, in instructions.
struct Cost {
    /// Each layer: the difference of ten layers and five.
    layer: f64,
    /// The first layer, beside its share: a future of its own to make, to poll and to drop.
    once: f64,
}

impl Table<'_> {
    /// Prints a line for each subject, with its figures for each size of message.
    pub(crate) fn print(&self) {
        let sizes: BTreeSet<usize> = self.rows.iter().map(|row| row.bytes).collect();
        let heads = |unit: &str| sizes.iter().map(|size| format!(" {unit} {size} B |")).collect::<String>();
        println!(
            "per call; ns: median of interleaved rounds; ins: instructions; layer, once: the instructions that each"
        );
        println!("layer adds, and that any number of layers add once, at the size where they add most\n");
        println!("| subject | layers | allocations |{}{} layer | once |", heads("ns"), heads("ins"));
        println!("|---|{}", "--:|".repeat(2 * sizes.len() + 4));

        let mut printed = BTreeSet::new();
        for row in self.rows {
            if !printed.insert((row.title, row.layers)) {
                continue;
            }
            let at = |&bytes: &usize| self.find(row.title, row.layers, bytes);
            let figures: Vec<_> = sizes.iter().map(at).collect();
            let allocations = figures.iter().flatten().map(|figures| figures.allocations).fold(0.0, f64::max);
            let nanoseconds = cells(&figures, |figures| figures.nanoseconds.map(|ns| format!("{ns:.1}")));
            let instructions = cells(&figures, |figures| figures.instructions.map(|count| count.to_string()));
            let same = self.rows.iter().filter(|other| (other.title, other.layers) == (row.title, row.layers));
            let costs: Vec<_> = same.filter_map(|row| self.cost(row)).collect();
            let most = |part: fn(&Cost) -> f64| {
                costs.iter().map(part).max_by(f64::total_cmp).map_or(String::new(), |most| format!("{most:.1}"))
            };
            println!(
                "| {} | {} | {allocations} |{nanoseconds}{instructions} {} | {} |",
                row.title,
                row.layers,
                most(|cost| cost.layer),
                most(|cost| cost.once)
            );
        }
        println!();
    }

    /// Says which bounds are broken.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (row, figures) in self.rows.iter().zip(self.results) {
            let mut check = |what: &str, is: Option<f64>, bound: Option<u64>, holds: fn(&f64, &f64) -> bool| {
                if let (Some(is), Some(bound)) = (is, bound) {
                    if !holds(&is, &(bound as f64)) {
                        broken.push(format!(
                            "{}, {} layers, {} B: {is:.1} {what}, bound {bound}",
                            row.title, row.layers, row.bytes
                        ));
                    }
                }
            };
            let cost = self.cost(row);
            check("allocations", Some(figures.allocations), row.bound.allocations, f64::eq);
            check("instructions a layer", cost.as_ref().map(|cost| cost.layer), row.bound.layer, f64::le);
            check("instructions once", cost.as_ref().map(|cost| cost.once), row.bound.once, f64::le);
            check("instructions more", self.over(row), row.bound.over, f64::le);
        }
        broken
    }

    /// The cost of layers, from a row of many and the one of fewer.
    fn cost(&self, row: &Row) -> Option<Cost> {
        let fewer = self.rows.iter().find(|fewer| {
            (fewer.title, fewer.bytes) == (row.title, row.bytes) && (1..row.layers).contains(&fewer.layers)
        })?;
        let layer = (self.over(row)? - self.over(fewer)?) / (row.layers - fewer.layers) as f64;
        Some(Cost { layer, once: self.over(row)? - layer * row.layers as f64 })
    }

    /// The instructions over the row that this one is compared with.
    fn over(&self, row: &Row) -> Option<f64> {
        let is = self.find(row.title, row.layers, row.bytes)?.instructions?;
        let base = self.find(row.over?, 0, row.bytes)?.instructions?;
        Some(is as f64 - base as f64)
    }

    fn find(&self, title: &str, layers: usize, bytes: usize) -> Option<&Figures> {
        let same = |row: &Row| (row.title, row.layers, row.bytes) == (title, layers, bytes);
        self.results.get(self.rows.iter().position(same)?)
    }
}

fn cells(figures: &[Option<&Figures>], cell: impl Fn(&Figures) -> Option<String>) -> String {
    figures.iter().map(|figures| format!(" {} |", figures.and_then(&cell).unwrap_or_default())).collect()
}
