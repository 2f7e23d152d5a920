//! The table, and the bounds that its figures break.

use std::collections::BTreeSet;

use crate::harness::{Figures, Row};

/// Prints a line for each subject, with its figures for each size of message.
pub(crate) fn print(rows: &[Row], results: &[Figures]) {
    let sizes: BTreeSet<usize> = rows.iter().map(|row| row.bytes).collect();
    let columns = |unit: &str| sizes.iter().map(|size| format!(" {size:>5} B |")).collect::<String>() + unit;
    println!("per call; ns: the median of interleaved rounds; layer: instructions of one layer at most\n");
    println!("| subject | layers | allocations | ns:{} instructions:{} layer |", columns(""), columns(""));
    println!("|---|--:|--:|{}{}--:|", "--:|".repeat(sizes.len() + 1), "--:|".repeat(sizes.len() + 1));

    let mut printed = BTreeSet::new();
    for row in rows {
        if !printed.insert((row.title, row.layers)) {
            continue;
        }
        let figures: Vec<_> = sizes.iter().map(|&bytes| find(rows, results, row.title, row.layers, bytes)).collect();
        let nanoseconds = cells(&figures, |figures| figures.nanoseconds.map(|ns| format!("{ns:.1}")));
        let instructions = cells(&figures, |figures| figures.instructions.map(|count| count.to_string()));
        let allocations = figures.iter().flatten().map(|figures| figures.allocations).fold(0.0, f64::max);
        let of_same =
            rows.iter().zip(results).filter(|(other, _)| (other.title, other.layers) == (row.title, row.layers));
        let layer = of_same.filter_map(|(row, figures)| per_layer(rows, results, row, figures)).max_by(f64::total_cmp);
        let layer = layer.filter(|_| row.layers > 0).map_or(String::new(), |layer| format!("{layer:.1}"));
        println!("| {} | {} | {allocations} | |{nanoseconds} |{instructions} {layer} |", row.title, row.layers);
    }
    println!();
}

fn cells(figures: &[Option<&Figures>], cell: impl Fn(&Figures) -> Option<String>) -> String {
    figures.iter().map(|figures| format!(" {} |", figures.and_then(&cell).unwrap_or_default())).collect()
}

/// Says which bounds are broken.
pub(crate) fn broken(rows: &[Row], results: &[Figures]) -> Vec<String> {
    let mut broken = Vec::new();
    for (row, figures) in rows.iter().zip(results) {
        let name = format!("{}, {} layers, {} B", row.title, row.layers, row.bytes);
        if let Some(bound) = row.bound.allocations {
            if figures.allocations != bound as f64 {
                broken.push(format!("{name}: {} allocations, expected {bound}", figures.allocations));
            }
        }
        if let (Some(bound), Some(layer)) = (row.bound.instructions, per_layer(rows, results, row, figures)) {
            if layer > bound as f64 {
                broken.push(format!("{name}: {layer:.1} instructions a layer, at most {bound} expected"));
            }
        }
    }
    broken
}

/// The instructions that each layer adds to the row without layers.
fn per_layer(rows: &[Row], results: &[Figures], row: &Row, figures: &Figures) -> Option<f64> {
    let base = find(rows, results, row.over?, 0, row.bytes)?.instructions?;
    Some((figures.instructions? as f64 - base as f64) / row.layers.max(1) as f64)
}

fn find<'a>(rows: &[Row], results: &'a [Figures], title: &str, layers: usize, bytes: usize) -> Option<&'a Figures> {
    let at = rows.iter().position(|row| (row.title, row.layers, row.bytes) == (title, layers, bytes))?;
    results.get(at)
}
