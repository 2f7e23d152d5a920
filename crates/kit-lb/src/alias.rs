//! Draws by weight in constant time.
//!
//! Source: Vose, "A linear algorithm for generating random numbers with a given distribution", 1991.

/// One column a candidate: it is drawn itself below the threshold, and another one from there on.
#[derive(Debug)]
pub(crate) struct Alias(Box<[(u32, u32)]>);

impl Alias {
    /// The columns of these weights, of which there are less than 2^32 and at least one is above zero.
    pub(crate) fn new(weights: &[u64]) -> Self {
        let total: u64 = weights.iter().sum();
        let scale = weights.len() as f64 / total as f64;
        let mut shares: Vec<f64> = weights.iter().map(|weight| *weight as f64 * scale).collect();
        let mut columns: Vec<(u32, u32)> = (0..weights.len()).map(|own| (u32::MAX, own as u32)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|at| shares[*at] < 1.0);
        while let (Some(low), Some(high)) = (small.pop(), large.last()) {
            columns[low] = ((shares[low] * f64::from(u32::MAX)) as u32, *high as u32);
            shares[*high] -= 1.0 - shares[low];
            if shares[*high] < 1.0 {
                small.extend(large.pop());
            }
        }
        Self(columns.into())
    }

    /// One of them, by 64 random bits.
    pub(crate) fn draw(&self, bits: u64) -> usize {
        let column = below(bits >> 32, self.0.len());
        match self.0.get(column) {
            Some((threshold, other)) if bits as u32 >= *threshold => *other as usize,
            _ => column,
        }
    }
}

/// A number below `end`, by 32 random bits. Source: Lemire, "Fast random integer generation in an interval", 2019; the bias
/// is at most `end` / 2^32.
pub(crate) fn below(bits: u64, end: usize) -> usize {
    ((bits * end as u64) >> 32) as usize
}
