//! Kinds against HTTP statuses and gRPC codes: the tables of the design, row by row.

use http::StatusCode;
use kit_base::Kind::{self, *};

const ROWS: [(Kind, u8, &str, u16); 16] = [
    (Cancelled, 1, "CANCELLED", 499),
    (Unknown, 2, "UNKNOWN", 500),
    (InvalidArgument, 3, "INVALID_ARGUMENT", 400),
    (DeadlineExceeded, 4, "DEADLINE_EXCEEDED", 504),
    (NotFound, 5, "NOT_FOUND", 404),
    (AlreadyExists, 6, "ALREADY_EXISTS", 409),
    (PermissionDenied, 7, "PERMISSION_DENIED", 403),
    (ResourceExhausted, 8, "RESOURCE_EXHAUSTED", 429),
    (FailedPrecondition, 9, "FAILED_PRECONDITION", 400),
    (Aborted, 10, "ABORTED", 409),
    (OutOfRange, 11, "OUT_OF_RANGE", 400),
    (Unimplemented, 12, "UNIMPLEMENTED", 501),
    (Internal, 13, "INTERNAL", 500),
    (Unavailable, 14, "UNAVAILABLE", 503),
    (DataLoss, 15, "DATA_LOSS", 500),
    (Unauthenticated, 16, "UNAUTHENTICATED", 401),
];

#[test]
fn each_kind_has_the_code_name_and_status_of_the_design() {
    assert_eq!(Kind::ALL, ROWS.map(|row| row.0));
    for (kind, code, name, status) in ROWS {
        assert_eq!(kind.grpc_code(), code);
        assert_eq!(kind.as_str(), name);
        assert_eq!(kind.to_string(), name);
        assert_eq!(kind.http_status().as_u16(), status, "{kind}");
    }
}

#[test]
fn a_kind_comes_back_from_its_code_and_name() {
    for (kind, code, name, _) in ROWS {
        assert_eq!(Kind::from_grpc_code(code.into()), Some(kind));
        assert_eq!(Kind::from_name(name), Some(kind));
    }
    assert_eq!(Kind::from_grpc_code(0), None);
    for none in [17, 99, u32::MAX] {
        assert_eq!(Kind::from_grpc_code(none), Some(Unknown), "{none}");
    }
    for none in ["", "OK", "not_found", "NotFound", "NOT_FOUND "] {
        assert_eq!(Kind::from_name(none), None, "{none:?}");
    }
}

#[test]
fn a_foreign_status_has_the_kind_of_the_design() {
    let named: [(&[u16], Kind); 12] = [
        (&[400, 405, 406, 411, 413, 414, 415, 422, 431], InvalidArgument),
        (&[401], Unauthenticated),
        (&[403], PermissionDenied),
        (&[404, 410], NotFound),
        (&[408, 504], DeadlineExceeded),
        (&[409], Aborted),
        (&[412, 428], FailedPrecondition),
        (&[425, 502, 503], Unavailable),
        (&[429], ResourceExhausted),
        (&[499], Cancelled),
        (&[501], Unimplemented),
        (&[500], Unknown),
    ];
    for status in 100..=999u16 {
        let row = named.iter().find(|(statuses, _)| statuses.contains(&status));
        let want = match (row, status) {
            (Some((_, kind)), _) => Some(*kind),
            (None, ..400) => None,
            (None, 400..500) => Some(FailedPrecondition),
            (None, 500..) => Some(Unknown),
        };
        assert_eq!(Kind::from_http_status(StatusCode::from_u16(status).unwrap()), want, "{status}");
    }
}

#[test]
fn a_bare_status_in_answer_to_grpc_has_the_kind_that_grpc_gives_it() {
    for status in 100..=999u16 {
        let want = match status {
            200 => None,
            400 => Some(Internal),
            401 => Some(Unauthenticated),
            403 => Some(PermissionDenied),
            404 => Some(Unimplemented),
            429 | 502 | 503 | 504 => Some(Unavailable),
            _ => Some(Unknown),
        };
        assert_eq!(Kind::from_http_status_of_grpc(StatusCode::from_u16(status).unwrap()), want, "{status}");
    }
}
