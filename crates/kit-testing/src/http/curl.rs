//! The real curl as a client.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::temp::temp_dir;

/// Runs curl with these arguments and returns the response that it saw, the last one if there were several.
///
/// Its settings are those of a fresh user: no `.curlrc`, no proxy. It gives up after 30 s, unless `--max-time` says
/// otherwise; `--output`, `--include` and `--dump-header` are taken.
///
/// ```
/// use kit_testing::backend::{Backend, Reply};
/// use kit_testing::{http::curl, tools::skip_unless};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// if !skip_unless("curl") {
///     return Ok(());
/// }
/// let backend = Backend::start(Reply::json(r#"{"v":3}"#)).await?;
/// let response = curl(["-d", r#"{"a":1,"b":2}"#, &format!("{}/sum", backend.url())]).await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.body(), r#"{"v":3}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// *Cancellation:* curl itself is not ended by a drop; its time limit ends it.
///
/// # Errors
///
/// When curl is missing, could not get a response, or was given wrong arguments.
pub async fn curl<I>(args: I) -> Result<Response<Bytes>, CurlError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    // On a thread: the server may live on this one.
    match tokio::task::spawn_blocking(move || run(&args)).await {
        Ok(result) => result,
        Err(error) => Err(CurlError::Io(io::Error::other(error))),
    }
}

/// curl did not bring a response.
#[derive(Debug)]
#[non_exhaustive]
pub enum CurlError {
    /// There is no curl on `PATH`.
    Missing,
    /// It ended with a code other than 0.
    #[non_exhaustive]
    Failed {
        /// curl's exit code (7: could not connect; 28: time limit; 52: empty answer; 56: connection reset).
        code: Option<i32>,
        /// What it said.
        message: String,
    },
    /// Its response is none.
    #[non_exhaustive]
    Malformed {
        /// The head that cannot be read.
        head: String,
    },
    /// It could not be run.
    Io(io::Error),
}

impl fmt::Display for CurlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("curl is missing: install it, on Debian by `apt-get install curl`"),
            Self::Failed { code: Some(code), message } => {
                write!(f, "curl failed with code {code}: {message}")
            }
            Self::Failed { code: None, message } => write!(f, "curl was killed: {message}"),
            Self::Malformed { head } => write!(f, "curl shows no valid head: {head:?}"),
            Self::Io(_) => f.write_str("curl cannot be run"),
        }
    }
}

impl Error for CurlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(source) => Some(source),
            Self::Missing | Self::Failed { .. } | Self::Malformed { .. } => None,
        }
    }
}

fn run(args: &[OsString]) -> Result<Response<Bytes>, CurlError> {
    let folder = temp_dir().map_err(CurlError::Io)?;
    let head_file = folder.path().join("head");
    // The heads go to a file, so that a body cannot be mistaken for one. `--disable` must come first.
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--dump-header"])
        .arg(&head_file)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CurlError::Missing,
            _ => CurlError::Io(error),
        })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(CurlError::Failed { code: output.status.code(), message });
    }
    let heads = std::fs::read(&head_file).map_err(CurlError::Io)?;
    let heads = String::from_utf8_lossy(&heads);
    let mut response = parse(&heads).ok_or_else(|| CurlError::Malformed { head: heads.clone().into_owned() })?;
    *response.body_mut() = output.stdout.into();
    Ok(response)
}

/// The last head of several: interim answers, redirects and proxies come before it. Trailers, which curl writes to the
/// same file, come after it and are left out.
fn parse(heads: &str) -> Option<Response<Bytes>> {
    let heads = heads.replace("\r\n", "\n");
    let head = heads.split("\n\n").filter(|head| head.starts_with("HTTP/")).last()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status.parse::<StatusCode>().ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::try_from(name).ok()?;
        response.headers_mut().append(name, HeaderValue::try_from(value.trim()).ok()?);
    }
    Some(response)
}
