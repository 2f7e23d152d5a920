//! The ACL token, which can be replaced while the program runs.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use tokio::sync::watch;

use crate::InvalidSetting;

/// An ACL token of Consul, or none. Clones share it, so that a new one reaches every watcher and registration.
///
/// ```
/// let token = kit_sd_consul::Token::new("b1gs3cr3t")?;
/// token.clone().replace("n3ws3cr3t")?; // as a Vault agent does it, every hour
/// assert_eq!(format!("{token:?}"), "Token(set)");
/// # Ok::<(), kit_sd_consul::InvalidSetting>(())
/// ```
#[derive(Clone)]
pub struct Token {
    value: Arc<watch::Sender<Option<HeaderValue>>>,
}

impl Token {
    /// This token. An empty one is none.
    ///
    /// # Errors
    /// It has a character that no header can carry. The error does not show it.
    pub fn new(secret: &str) -> Result<Self, InvalidSetting> {
        Ok(Self { value: Arc::new(watch::Sender::new(header(secret)?)) })
    }

    /// No token: Consul's anonymous one.
    pub fn none() -> Self {
        Self { value: Arc::new(watch::Sender::new(None)) }
    }

    /// Replaces the token, for all clones. A query that waits under the old one is given up, and asked again under the
    /// new one at once: what the old one may not see would be hidden for as long as it waits.
    ///
    /// # Errors
    /// It has a character that no header can carry; the old one stays.
    pub fn replace(&self, secret: &str) -> Result<(), InvalidSetting> {
        let new = header(secret)?;
        self.value.send_if_modified(|old| {
            let differs = *old != new;
            *old = new;
            differs
        });
        Ok(())
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.value.borrow().clone()
    }

    /// Tells of each replacement from now on.
    pub(crate) fn replaced(&self) -> watch::Receiver<Option<HeaderValue>> {
        self.value.subscribe()
    }
}

fn header(secret: &str) -> Result<Option<HeaderValue>, InvalidSetting> {
    let secret = secret.trim();
    if secret.is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(secret)
        .map_err(|_| InvalidSetting::new("the token has a character that no header can carry"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

impl Default for Token {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.value.borrow().is_some() { "Token(set)" } else { "Token(none)" })
    }
}
