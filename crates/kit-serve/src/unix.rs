//! A Unix socket and its file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use tokio::net::{UnixListener, UnixStream};

/// A Unix listener, and its file if that is ours to remove.
#[derive(Debug)]
pub(crate) struct UnixBound {
    listener: UnixListener,
    file: Option<SocketFile>,
}

impl From<UnixListener> for UnixBound {
    fn from(listener: UnixListener) -> Self {
        Self { listener, file: None }
    }
}

impl UnixBound {
    pub(crate) async fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                clear(path, error).await?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        Ok(Self { listener, file: Some(SocketFile::new(path)?) })
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.listener.poll_accept(cx).map_ok(|(stream, _)| stream)
    }

    /// Removes the file, then takes the connections that wait in the operating system's queue.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = UnixStream> + Send {
        drop(self.file);
        let listener = self.listener.into_std();
        std::iter::from_fn(move || {
            let (stream, _) = listener.as_ref().ok()?.accept().ok()?;
            stream.set_nonblocking(true).ok()?;
            UnixStream::from_std(stream).ok()
        })
    }
}

/// Removes the socket file of a dead server; `in_use` is the error if it is not dead.
async fn clear(path: &Path, in_use: io::Error) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket"));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Whoever answers, or has a full queue, or may not be asked, may be alive.
        Ok(_) | Err(_) => Err(in_use),
    }
}

/// Removes the file when it is dropped, unless another server has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        // The working directory may change until the stop.
        let path = std::path::absolute(path)?;
        Ok(Self { id: id_of(&path)?, path })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id_of(&self.path).is_ok_and(|id| id == self.id) {
            // Whoever cannot remove it here leaves a dead file, which the next server replaces.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What tells one file from another of the same name.
fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}
