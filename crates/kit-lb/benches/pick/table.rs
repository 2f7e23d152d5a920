//! The table, and the bounds that its figures break.

use std::collections::BTreeSet;

use crate::harness::{Figures, Row};

/// By how much the instructions at one number of instances may differ from those at another: what chance does to the
/// branches of the few calls that are counted.
const CHANCE: u64 = 4;

/// The rows with their figures.
pub(crate) struct Table<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) results: &'a [Figures],
}

impl Table<'_> {
    /// Prints a line for each subject, with its figures for each number of instances.
    pub(crate) fn print(&self) {
        let sizes: BTreeSet<usize> = self.rows.iter().map(|row| row.instances).collect();
        let heads = |unit: &str| sizes.iter().map(|size| format!(" {unit} {size} |")).collect::<String>();
        println!("per call, at this many instances; ns: median of interleaved rounds; ins: instructions\n");
        println!("| subject | allocations |{}{}", heads("ns"), heads("ins"));
        println!("|---|{}", "--:|".repeat(2 * sizes.len() + 1));
        let mut printed = BTreeSet::new();
        for row in self.rows.iter().filter(|row| printed.insert(row.title)) {
            let figures = || sizes.iter().map(|size| self.find(row.title, *size));
            let allocations = figures().flatten().map(|figures| figures.allocations).fold(0.0, f64::max);
            let nanoseconds =
                figures().map(|figures| cell(figures.and_then(|f| f.nanoseconds), |ns| format!("{ns:.1}")));
            let instructions = figures().map(|figures| cell(figures.and_then(|f| f.instructions), |n| n.to_string()));
            let cells: String = nanoseconds.chain(instructions).collect();
            println!("| {} | {allocations} |{cells}", row.title);
        }
        println!();
    }

    /// Says which bounds are broken.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (row, figures) in self.rows.iter().zip(self.results) {
            let Some(bound) = row.bound else { continue };
            let mut say = |what: String| broken.push(format!("{}, {} instances: {what}", row.title, row.instances));
            if figures.allocations != bound.allocations as f64 {
                say(format!("{} allocations, bound {}", figures.allocations, bound.allocations));
            }
            let Some(instructions) = figures.instructions else { continue };
            if instructions > bound.instructions {
                say(format!("{instructions} instructions, bound {}", bound.instructions));
            }
            let same = self.rows.iter().zip(self.results).filter(|(other, _)| other.title == row.title);
            let least = same.filter_map(|(_, figures)| figures.instructions).min().unwrap_or(0);
            if instructions > least + CHANCE {
                say(format!("{instructions} instructions, but {least} at another number of instances"));
            }
        }
        broken
    }

    fn find(&self, title: &str, instances: usize) -> Option<&Figures> {
        let same = |row: &Row| (row.title, row.instances) == (title, instances);
        self.results.get(self.rows.iter().position(same)?)
    }
}

fn cell<T>(figure: Option<T>, text: impl Fn(T) -> String) -> String {
    format!(" {} |", figure.map(text).unwrap_or_default())
}
