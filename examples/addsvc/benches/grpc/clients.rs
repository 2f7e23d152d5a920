//! The clients: one call after another, or many at once, by bare tonic and by kit.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit_base::FromService;
use kit_endpoint::Context;
use kit_transport_grpc::{Connected, Connections, GrpcClient, Prost};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::bare;
use crate::service::{CALL, SumReply, SumRequest, Sums, SumsEndpoints};

/// Their names, the one that the others are compared with first.
pub(crate) const NAMES: [&str; 3] = ["tonic", "kit", "kit over a Channel"];
/// Those that share one client between two threads, the one that the others are compared with first.
pub(crate) const ON_TWO_THREADS: [&str; 3] =
    ["tonic on two threads", "kit on two threads", "kit, four connections, on two threads"];

const FOUR: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

type Remote<S> = SumsEndpoints<Connected<S, Prost, SumRequest, SumReply>>;

/// A client of any of these kinds.
#[derive(Clone)]
enum Client {
    Tonic(Channel),
    Kit(Arc<Remote<Connections>>),
    OverChannel(Arc<Remote<FromService<Channel>>>),
}

impl Client {
    async fn new(name: &str, url: &str) -> Result<Self, Box<dyn Error>> {
        let channel = async || Ok::<_, Box<dyn Error>>(Channel::from_shared(url.to_owned())?.connect().await?);
        Ok(match name.trim_end_matches(" on two threads").trim_end_matches(',') {
            "tonic" => Self::Tonic(channel().await?),
            "kit, four connections" => {
                let connections = Connections::new().count(FOUR);
                let client = GrpcClient::with_connections(url, connections)?.timeout(None);
                Self::Kit(Arc::new(SumsEndpoints::connect(&client)))
            }
            "kit" => Self::Kit(Arc::new(SumsEndpoints::connect(&GrpcClient::new(url)?.timeout(None)))),
            "kit over a Channel" => {
                let client = GrpcClient::with_service(url, channel().await?)?.timeout(None);
                Self::OverChannel(Arc::new(SumsEndpoints::connect(&client)))
            }
            other => return Err(format!("no client {other:?}").into()),
        })
    }

    async fn call(&self) -> Result<(), String> {
        let reply = match self {
            Self::Tonic(channel) => bare::call(channel, CALL).await.map_err(|error| error.to_string()),
            Self::Kit(remote) => remote.sum(&Context::new(), CALL).await.map_err(|error| error.to_string()),
            Self::OverChannel(remote) => remote.sum(&Context::new(), CALL).await.map_err(|error| error.to_string()),
        };
        check(&reply?)
    }
}

fn check(reply: &SumReply) -> Result<(), String> {
    if reply.v == CALL.a + CALL.b { Ok(()) } else { Err(format!("answered {reply:?}")) }
}

/// Makes so many calls, and checks each answer.
pub(crate) fn call(name: &str, url: &str, calls: usize) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = Client::new(name, url).await?;
        for _ in 0..calls {
            client.call().await?;
        }
        Ok(())
    })
}

/// Makes calls for so long, so many at once, and says how many.
pub(crate) fn saturate(name: &str, url: &str, at_once: usize, time: Duration) -> Result<(), Box<dyn Error>> {
    let mut runtime = match name.ends_with(" on two threads") {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.worker_threads(2).enable_all().build()?.block_on(async {
        let client = Client::new(name, url).await?;
        client.call().await?;
        let start = Instant::now();
        let mut loops = JoinSet::new();
        for _ in 0..at_once {
            let client = client.clone();
            loops.spawn(async move {
                let mut calls = 0;
                while start.elapsed() < time {
                    client.call().await?;
                    calls += 1;
                }
                Ok::<u64, String>(calls)
            });
        }
        let mut total = 0;
        while let Some(calls) = loops.join_next().await {
            total += calls??;
        }
        let took = start.elapsed().as_secs_f64();
        println!("{total} {took} {}", crate::figures::cpu(std::process::id())?);
        Ok(())
    })
}
