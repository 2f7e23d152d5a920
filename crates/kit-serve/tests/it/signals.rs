//! The end by a signal.

use tower::service_fn;

use crate::support::{bind, hello};

#[cfg(unix)]
#[tokio::test]
async fn a_signal_stops_the_server() {
    for name in ["-TERM", "-INT"] {
        let server = bind().await;
        // From here on the signal no longer kills the process, so this test can send it to itself.
        let signal = kit_serve::signal().unwrap();
        let sent = tokio::process::Command::new("kill").args([name, &std::process::id().to_string()]).status();
        let (stopped, sent) = tokio::join!(server.serve(service_fn(hello), signal), sent);
        assert!(sent.unwrap().success());
        assert!(stopped.is_clean());
    }
}
