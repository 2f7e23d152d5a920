//! The demonstration: a flood, a caller that comes back as it is told to, and two clients. What is shown is made sure of.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::clients::{Rpc, Seen, Web};
use crate::{Counted, flood, serve_rpc, serve_web};

/// Runs it.
///
/// # Errors
/// Something is not as it should be.
pub async fn demo() -> anyhow::Result<()> {
    let (web, page) = listen().await?;
    let (rpc, health) = listen().await?;
    tokio::select! {
        shown = show(&page, &health) => shown,
        served = serve_web(web) => served.context("the page has ended"),
        served = serve_rpc(rpc) => served.context("the health service has ended"),
    }
}

async fn show(page: &str, health: &str) -> anyhow::Result<()> {
    say(&format!("page:   {page}\nhealth: {health}, over gRPC\n"));

    say("1,500 calls over 100 connections, of 5 a second\n          passed  refused    took");
    let mut connections = Vec::new();
    for _ in 0..100 {
        let client = Web::new(page.to_owned(), None)?;
        connections.push(move || {
            let client = client.clone();
            async move { Ok(client.call().await?.retry_after.is_none()) }
        });
    }
    counted("page", flood(connections, 15).await?);
    let mut connections = Vec::new();
    for _ in 0..100 {
        let client = Rpc::connect(health).await?;
        connections.push(move || {
            let client = client.clone();
            async move { Ok(client.call().await?.retry_after.is_none()) }
        });
    }
    counted("health", flood(connections, 15).await?);

    say("\na caller that comes back when it is told to");
    let client = Web::new(page.to_owned(), None)?;
    comes_back("page", async || client.call().await).await?;
    let client = Rpc::connect(health).await?;
    comes_back("health", async || client.call().await).await?;

    say("\n5 a minute for each client");
    client_by_client(&format!("{page}/mine")).await
}

fn counted(service: &str, Counted { passed, refused, took }: Counted) {
    say(&format!("{service:8}{passed:8} {refused:8} {:>6.2}s", took.as_secs_f64()));
}

/// Calls until it is refused, waits as long as it is told to, and calls again.
async fn comes_back(service: &str, call: impl AsyncFn() -> anyhow::Result<Seen>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (refusal, after) = loop {
        let seen = call().await?;
        if let Some(after) = seen.retry_after {
            break (seen.text, after);
        }
        // So slow is no machine that five calls take a second for so long.
        ensure!(begun.elapsed() < Duration::from_secs(30), "{service} refuses nothing");
    };
    say(&format!("{service:10}{refusal}"));
    sleep(after).await;
    let seen = call().await?;
    ensure!(seen.retry_after.is_none(), "{service} refuses {after:?} later too: {}", seen.text);
    say(&format!("{:10}{after:.1?} later: {}", "", seen.text));
    Ok(())
}

async fn client_by_client(url: &str) -> anyhow::Result<()> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Web::new(url.to_owned(), Some(here))?;
    for left in (0..5).rev() {
        let seen = client.call().await?;
        say(&format!("{here}  {}", seen.text));
        ensure!(seen.text.starts_with(&format!("200, ratelimit: \"client\";r={left};t=")), "{left} should be left");
    }
    let seen = client.call().await?;
    say(&format!("{here}  {}", seen.text));
    ensure!(seen.retry_after.is_some_and(|after| after.as_secs() <= 12), "the sixth call should be refused");

    let there = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    if TcpListener::bind((there, 0)).await.is_err() {
        say("(This system has one address of its own, and so one client.)");
        return Ok(());
    }
    let seen = Web::new(url.to_owned(), Some(there))?.call().await?;
    say(&format!("{there}  {}", seen.text));
    ensure!(seen.text.starts_with("200, ratelimit: \"client\";r=4;t="), "another client should have its own 5");
    Ok(())
}

async fn listen() -> std::io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

fn say(line: &str) {
    // A closed standard output is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}
