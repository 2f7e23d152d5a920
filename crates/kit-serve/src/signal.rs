//! The operating system's wish that the program ends.

use std::io;

/// A future that is ready when the program gets SIGINT (Ctrl-C) or SIGTERM; where there are no such signals, Ctrl-C.
///
/// The signals are caught from this call on, for the rest of the program's life: they no longer end it by themselves,
/// so a second Ctrl-C does nothing, and the bound of the stop is what ends a program that hangs.
///
/// # Errors
///
/// When the operating system refuses to install the handlers.
///
/// # Panics
///
/// Outside of a tokio runtime with its I/O driver enabled.
#[cfg(unix)]
pub fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use std::task::Poll;

    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(std::future::poll_fn(move |cx| {
        // Both are polled each time, so that either wakes the task.
        let interrupted = interrupt.poll_recv(cx).is_ready();
        let terminated = terminate.poll_recv(cx).is_ready();
        if interrupted || terminated { Poll::Ready(()) } else { Poll::Pending }
    }))
}

/// A future that is ready when the user presses Ctrl-C.
///
/// # Errors
///
/// Never on this operating system; the future waits for ever where Ctrl-C cannot be caught.
#[cfg(not(unix))]
pub fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
