//! Timeouts in the gRPC wire format, and deadlines.

use std::time::{Duration, Instant};

use kit_base::{Deadline, Kind, Timeout};

fn parse(text: &str) -> Option<Duration> {
    text.parse::<Timeout>().ok().map(|Timeout(duration)| duration)
}

#[test]
fn every_unit_is_read() {
    for (text, want) in [
        ("1H", Duration::from_secs(3600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("4m", Duration::from_millis(4)),
        ("5u", Duration::from_micros(5)),
        ("6n", Duration::from_nanos(6)),
        ("0n", Duration::ZERO),
        ("007S", Duration::from_secs(7)),
    ] {
        assert_eq!(parse(text), Some(want), "{text}");
    }
}

#[test]
fn eight_digits_are_the_most() {
    assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
    assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
    for unit in ["H", "M", "S", "m", "u", "n"] {
        assert_eq!(parse(&format!("123456789{unit}")), None);
        assert_eq!(parse(&format!("000000001{unit}")), None);
        assert_eq!(parse(unit), None, "no digits");
    }
}

#[test]
fn garbage_is_refused_and_shown() {
    for text in
        ["", "1", "S", "1s", "1h", "-1S", "+1S", "1.5S", " 1S", "1S ", "1 S", "S1", "1SS", "1é", "é", "１S", "1\0"]
    {
        let error = text.parse::<Timeout>().unwrap_err();
        let want = format!("invalid timeout {text:?}: want one to eight digits and a unit, one of H M S m u n");
        assert_eq!((error.kind(), error.message()), (Kind::InvalidArgument, &*want));
    }
    let long = "9".repeat(100_000);
    let error = long.parse::<Timeout>().unwrap_err().to_string();
    assert!(error.len() < 200 && error.contains("9999"), "{error}");
}

#[test]
fn the_finest_unit_that_fits_is_written() {
    for (left, want) in [
        (Duration::ZERO, "0n"),
        (Duration::from_nanos(99_999_999), "99999999n"),
        (Duration::from_nanos(100_000_000), "100000u"),
        (Duration::from_millis(300), "300000u"),
        (Duration::from_secs(100), "100000m"),
        (Duration::from_secs(99_999_999), "99999999S"),
        (Duration::from_secs(100_000_000), "1666666M"),
        (Duration::MAX, "99999999H"),
    ] {
        assert_eq!(Timeout(left).to_string(), want);
    }
}

#[test]
fn a_timeout_never_grows_on_its_way_and_loses_little() {
    let mut left = Duration::from_nanos(1);
    while left < Duration::from_secs(u64::MAX / 8) {
        let sent = Timeout(left + Duration::from_nanos(left.subsec_nanos().into())).0;
        let text = Timeout(sent).to_string();
        assert!(text.len() <= 9, "{text}");
        let received = parse(&text).unwrap();
        assert!(received <= sent, "{sent:?} became {received:?}");
        let fits = sent <= Duration::from_secs(99_999_999 * 3600);
        assert!(!fits || received.as_secs_f64() >= sent.as_secs_f64() * 0.9999, "{sent:?} became {received:?}");
        left = left * 3 / 2 + Duration::from_nanos(1);
    }
}

#[test]
fn a_deadline_is_a_point_in_time() {
    let now = Instant::now();
    let deadline = Deadline::after(now, Duration::from_secs(3));
    assert_eq!(deadline, Deadline::at(now + Duration::from_secs(3)));
    assert_eq!(deadline.instant(), now + Duration::from_secs(3));
    assert_eq!(deadline.left(now), Duration::from_secs(3));
    assert!(!deadline.has_passed(now));
    // At the very moment it has passed.
    assert!(deadline.has_passed(deadline.instant()));
    assert_eq!(deadline.left(now + Duration::from_secs(4)), Duration::ZERO);
    assert!(Deadline::after(now, Duration::from_secs(1)) < deadline);
}

#[test]
fn a_deadline_too_far_for_the_clock_is_cut_and_does_not_panic() {
    let now = Instant::now();
    for far in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(99_999_999 * 3600)] {
        assert!(Deadline::after(now, far).left(now) > Duration::from_secs(20 * 365 * 24 * 3600));
    }
}
