//! When the connections of an endpoint are made anew: as soon as a file that they were made of is
//! another one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roundsman_kit::Paths;
use roundsman_kit::secret::Credentials;

use crate::compose::{Composer, transport};
use crate::config::Endpoint;
use crate::sender::Post;

/// How often the files are looked at, at most.
const PAUSE: Duration = Duration::from_secs(5);

/// The files behind an endpoint's connections.
pub struct Renewal {
    host: String,
    paths: Paths,
    credentials: Credentials,
    files: Vec<PathBuf>,
    marks: Vec<Option<Mark>>,
    looked_at: Instant,
}

/// What tells one state of a file from another: device, inode, size, and when it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark(u64, u64, u64, [i64; 4]);

impl Mark {
    fn of(file: &Path) -> Option<Self> {
        let is = file.metadata().ok()?;
        let times = [is.mtime(), is.mtime_nsec(), is.ctime(), is.ctime_nsec()];
        Some(Self(is.dev(), is.ino(), is.size(), times))
    }
}

impl Renewal {
    /// For these settings; `host` is what tells.
    pub fn new(settings: &Endpoint, host: &str, paths: &Paths, credentials: &Credentials) -> Self {
        let tls = &settings.tls;
        let password = settings.proxy_auth.as_ref().map(|auth| &auth.password);
        let named = [tls.certificate.as_ref(), tls.key.as_ref(), password];
        let secrets = named.into_iter().flatten();
        let secrets = secrets.filter_map(|named| credentials.path(named));
        let files: Vec<_> = tls
            .ca
            .iter()
            .map(|ca| paths.at(ca))
            .chain(secrets)
            .collect();
        Self {
            host: host.to_owned(),
            paths: paths.clone(),
            credentials: credentials.clone(),
            marks: files.iter().map(|file| Mark::of(file)).collect(),
            files,
            looked_at: Instant::now(),
        }
    }

    /// What sends to the endpoint, made of the files as they are now.
    pub fn post(&self, name: &Arc<str>, settings: &Endpoint) -> Post {
        Post {
            name: Arc::clone(name),
            composer: Composer::new(name, &self.host, settings, &self.credentials),
            transport: transport(settings, &self.paths, &self.credentials),
            concurrency: settings.concurrency,
        }
    }

    /// Another one to send with, if it is time to look and a file has changed, or could not be
    /// used. One whose new files are of no use goes on with what it has: a pair of files is
    /// replaced one after the other.
    pub fn renewed(&mut self, post: &Post, settings: &Endpoint) -> Option<Post> {
        if self.files.is_empty() || self.looked_at.elapsed() < PAUSE {
            return None;
        }
        self.looked_at = Instant::now();
        // Before they are read: what changes meanwhile is seen by the next look.
        let marks: Vec<_> = self.files.iter().map(|file| Mark::of(file)).collect();
        if marks == self.marks && post.transport.is_ok() {
            return None;
        }
        self.marks = marks;
        let fresh = self.post(&post.name, settings);
        match (&fresh.transport, &post.transport) {
            (Ok(_), _) => {
                log::info!(
                    "{}: its certificates or passwords were read anew",
                    post.name
                );
                Some(fresh)
            }
            (Err(error), Ok(_)) => {
                log::warn!("{}: {error}; goes on with what it has", post.name);
                None
            }
            (Err(_), Err(_)) => Some(fresh),
        }
    }
}
