//! What a caller wants to get, by its `Accept`.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether the caller wants the one type rather than the other. It has to say so: at a draw it gets the other.
/// Source: RFC 9110, section 12.5.1.
pub(super) fn prefers(headers: &HeaderMap, one: &str, other: &str) -> bool {
    let (one, other) = (rank(headers, one), rank(headers, other));
    one.0 > 0 && one > other
}

/// How welcome a type is, in thousandths, and how closely it is named; the closest range counts.
fn rank(headers: &HeaderMap, essence: &str) -> (u16, u8) {
    let group = essence.split('/').next().unwrap_or_default();
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = texts.flat_map(|text| text.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let closeness = match name.split_once('/') {
            _ if name == essence => 2,
            Some((range, "*")) if range == group => 1,
            Some(("*", "*")) => 0,
            _ => return None,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.and_then(|text| text.parse().ok()).unwrap_or(1.0_f32).clamp(0.0, 1.0);
        Some((closeness, (quality * 1000.0) as u16))
    });
    ranges.max().map_or((0, 0), |(closeness, quality)| (quality, closeness))
}
