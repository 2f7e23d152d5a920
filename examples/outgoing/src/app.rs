//! The app: two routes that call services, and two to look at the circuits and to switch them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use kit_base::{Endpoint, Error, ServiceError};
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_types::StatusExt;

use crate::Clients;

struct App {
    clients: Clients,
    quotes_url: String,
}

/// The app over these clients. The quotes service is called at its URL.
pub fn app(clients: Clients, quotes_url: String) -> Router {
    Router::new()
        .route("/quote", get(quote))
        .route("/health", get(health))
        .route("/circuits", get(circuits))
        .route("/circuits/{name}/{what}", put(switch))
        .with_state(Arc::new(App { clients, quotes_url }))
}

async fn quote(State(app): State<Arc<App>>) -> Response {
    let Ok(request) = Request::get(&app.quotes_url).body("") else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the URL of the quotes service is none\n").into_response();
    };
    match app.clients.quotes.call(request).await {
        Ok(answer) if answer.status().is_success() => Body::new(answer.into_body()).into_response(),
        Ok(answer) => failed(&format!("the quotes service answers {}", answer.status())),
        Err(ServiceError::Refused(refusal)) => refused(&refusal),
        Err(ServiceError::Inner(error)) => failed(&format!("the quotes service: {error}")),
    }
}

async fn health(State(app): State<Arc<App>>) -> Response {
    match app.clients.health.clone().check(HealthCheckRequest::default()).await {
        Ok(answer) => format!("{:?}\n", answer.into_inner().status()).into_response(),
        Err(status) => match refusal(&status) {
            Some(refusal) => refused(&refusal),
            None => failed(&format!("the health service answers {:?}: {}", status.code(), status.message())),
        },
    }
}

/// Nobody was asked; the caller is told when to come back.
fn refused(refusal: &Error) -> Response {
    refusal.to_http_answer().map(Body::from)
}

/// The refusal of the breaker in a status of tonic's, if it is one.
fn refusal(status: &Status) -> Option<Error> {
    let reason = status.get_details_error_info()?.reason;
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let error = || Error::unavailable(status.message().to_owned()).with_reason(reason.clone());
    (reason == "CIRCUIT_OPEN").then(|| after.map_or_else(error, |after| error().with_retry_after(after)))
}

fn failed(why: &str) -> Response {
    (StatusCode::BAD_GATEWAY, format!("{why}\n")).into_response()
}

async fn circuits(State(app): State<Arc<App>>) -> String {
    let mut lines = String::new();
    for circuit in &app.clients.circuits {
        let (breaker, now) = (circuit.gate(), circuit.gate().snapshot_at(Instant::now()));
        let open_for = now.open_for.map_or_else(String::new, |time| format!(" for {time:.1?}"));
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} {}{open_for}, {} refused", breaker.name(), now.state.as_str(), now.refused);
    }
    lines
}

async fn switch(State(app): State<Arc<App>>, Path((name, what)): Path<(String, String)>) -> StatusCode {
    let Some(circuit) = app.clients.circuits.iter().find(|circuit| circuit.gate().name() == name) else {
        return StatusCode::NOT_FOUND;
    };
    match &*what {
        "open" => circuit.gate().force_open(),
        "closed" => circuit.gate().force_closed(),
        "off" => circuit.gate().disable(),
        "reset" => circuit.gate().reset(),
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}
