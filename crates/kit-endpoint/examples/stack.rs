//! The canonical order of layers, on a server and on its client, with a log of what each of them saw.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit_endpoint::base::{End, Gate, Guard, Now, RequestParts};
use kit_endpoint::{Context, DeadlineLayer, EndpointExt, Error, Finished, Kind, finish_hook, service};

#[service(name = "greeter")]
trait Greeter {
    #[idempotent]
    async fn greet(&self, cx: &Context, name: String) -> Result<String, Error>;
}

/// Greets at the second try.
#[derive(Default)]
struct Shy {
    was_asked: std::sync::atomic::AtomicBool,
}

impl Greeter for Shy {
    async fn greet(&self, cx: &Context, name: String) -> Result<String, Error> {
        assert!(cx.deadline().is_some());
        if self.was_asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
            Ok(format!("hello, {name}"))
        } else {
            Err(Error::unavailable("too shy"))
        }
    }
}

/// Who may call: a gate, since it never waits.
struct Allow(&'static str);

impl<Req: RequestParts, Res, Err> Gate<Req, Res, Err> for Allow {
    type Permit = ();

    fn admit(&self, request: &mut Req, _: &Now<'_>) -> Result<(), Error> {
        match request.extensions().get::<&'static str>() {
            Some(caller) if *caller == self.0 => Ok(()),
            _ => Err(Error::permission_denied("not for you")),
        }
    }

    fn finish(&self, (): (), _: &End<'_>) {}
}

type Log = Arc<Mutex<Vec<String>>>;

/// Stands for trace, log and metrics here: gates as well.
fn write(log: &Log, who: &'static str) -> impl Fn(&Finished<'_>) + Send + Sync + 'static {
    let log = Arc::clone(log);
    move |call| {
        let line = format!("{who}: {} {}", call.operation, call.judgement.verdict.as_str());
        log.lock().expect("no writer panics").push(line);
    }
}

/// A server: trace, log, metrics, panic, deadline, limit, auth, and the service, whose endpoints catch its panics.
fn server(log: &Log) -> GreeterEndpoints {
    let deadline = DeadlineLayer::new().with_default(Duration::from_secs(5)).expect("5 s are no zero");
    GreeterEndpoints::new(Shy::default())
        .layer((
            Guard::new((finish_hook(write(log, "server log")), finish_hook(write(log, "server metrics")))),
            deadline.with_cap(Duration::from_secs(30)).expect("30 s are no zero"),
            Guard::new(Allow("client")),
        ))
        .boxed()
}

/// A client: trace, log, metrics, deadline, retry, balancer; then, for each instance, breaker, limit, attempt's limit.
fn client(log: &Log, instance: GreeterEndpoints) -> GreeterEndpoints {
    let attempt = DeadlineLayer::new().with_cap(Duration::from_secs(1)).expect("1 s is no zero");
    let deadline = DeadlineLayer::new().with_default(Duration::from_secs(3)).expect("3 s are no zero");
    instance
        .layer((Guard::new(finish_hook(write(log, "attempt"))), attempt))
        // Stands for retry, which waits and calls more than once: the async form.
        .map_greet(|greet| {
            greet.middleware(|req, next| async move {
                match next.call(req.clone()).await {
                    Err(error) if error.kind() == Kind::Unavailable => next.call(req).await,
                    outcome => outcome,
                }
            })
        })
        .layer((Guard::new(finish_hook(write(log, "client log"))), deadline))
        .boxed()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(async {
        let log = Log::default();
        let greeter = client(&log, server(&log));
        let cx = Context::new().with_extension("client");
        assert_eq!(greeter.greet(&cx, "kit".to_owned()).await.ok().as_deref(), Some("hello, kit"));

        let stranger = greeter.greet(&Context::new(), "kit".to_owned()).await;
        assert_eq!(stranger.map_err(|error| error.kind()), Err(Kind::PermissionDenied));

        // Gates of one stack finish from the innermost to the outermost.
        let verdicts = [
            "server metrics: greeter/greet transient",
            "server log: greeter/greet transient",
            "attempt: greeter/greet transient",
            "server metrics: greeter/greet success",
            "server log: greeter/greet success",
            "attempt: greeter/greet success",
            "client log: greeter/greet success",
            "server metrics: greeter/greet caller",
            "server log: greeter/greet caller",
            "attempt: greeter/greet caller",
            "client log: greeter/greet caller",
        ];
        assert_eq!(*log.lock().expect("no writer panics"), verdicts);
    });
}
