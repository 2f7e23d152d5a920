//! The table, and the bounds that its figures break.

use crate::harness::{Figures, Row};

/// The rows with their figures.
pub(crate) struct Table<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) results: &'a [Figures],
}

impl Table<'_> {
    /// Prints a line for each row.
    pub(crate) fn print(&self) {
        println!(
            "per call; ns: median of interleaved rounds; ins: instructions; over: more than the row of that letter;"
        );
        println!("two: ns of each of two threads that call at the same time, and how many times that of one\n");
        println!("| subject | over | allocations | ins | over | ns | over | two | times |");
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
        for (row, figures) in self.rows.iter().zip(self.results) {
            let base = self.base(row);
            let letter = row.over.and_then(|title| title.get(..1)).unwrap_or_default();
            let instructions = figures.instructions.map(|is| is.to_string());
            let more_instructions = self.more_instructions(row, figures).map(|more| more.to_string());
            let nanoseconds = figures.nanoseconds.map(|is| format!("{is:.1}"));
            let before = base.and_then(|base| base.nanoseconds);
            let more_nanoseconds = figures.nanoseconds.zip(before).map(|(is, before)| format!("{:.1}", is - before));
            let of_two = figures.of_two.map(|is| format!("{is:.1}"));
            let times = figures.of_two.zip(figures.nanoseconds).map(|(two, one)| format!("{:.1}", two / one));
            let cells = [instructions, more_instructions, nanoseconds, more_nanoseconds, of_two, times];
            let cells: String = cells.into_iter().map(|cell| format!(" {} |", cell.unwrap_or_default())).collect();
            println!("| {} | {letter} | {} |{cells}", row.title, figures.allocations);
        }
        println!();
    }

    /// Says which bounds are broken.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (row, figures) in self.rows.iter().zip(self.results) {
            if let Some(bound) = row.bound.allocations.filter(|bound| figures.allocations != *bound) {
                broken.push(format!("{}: {} allocations, bound {bound}", row.title, figures.allocations));
            }
            if let Some((is, bound)) = self.more_instructions(row, figures).zip(row.bound.over) {
                if is > i128::from(bound) {
                    broken.push(format!("{}: {is} instructions over, bound {bound}", row.title));
                }
            }
        }
        broken
    }

    fn more_instructions(&self, row: &Row, figures: &Figures) -> Option<i128> {
        Some(i128::from(figures.instructions?) - i128::from(self.base(row)?.instructions?))
    }

    fn base(&self, row: &Row) -> Option<&Figures> {
        let title = row.over?;
        self.results.get(self.rows.iter().position(|row| row.title == title)?)
    }
}
