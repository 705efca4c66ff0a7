//! An agent's own figures: a registry, written as a textfile by oneshots and served on a unix
//! socket by daemons.
//!
//! tiny_http answers only here, where nobody but our own group can connect; everything that
//! faces a network goes through the `net` crate.

mod server;

use std::io;

use prometheus::{IntGauge, Opts, Registry, TextEncoder};

pub use server::RegistryServer;

use crate::{Paths, atomic, listen};

/// The registry of one agent.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    unit: String,
}

impl Metrics {
    pub(crate) fn new(agent: &str, version: &str, unit: &str) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            unit: unit.to_owned(),
        };
        let build = Opts::new(
            "roundsman_build_info",
            "The version of a running agent; always 1.",
        )
        .const_label("agent", agent)
        .const_label("unit", unit)
        .const_label("version", version);
        let build = IntGauge::with_opts(build)?;
        build.set(1);
        metrics.registry.register(Box::new(build))?;
        Ok(metrics)
    }

    /// Where the agent registers its own figures.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All figures in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// A family that the encoder refuses.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Leaves the figures of a oneshot in `/run/roundsman/metrics/<unit>.prom`, replacing the
    /// file of its previous run whole.
    ///
    /// # Errors
    /// The I/O error of the write.
    pub fn write_textfile(&self, paths: &Paths) -> io::Result<()> {
        let text = self.text().map_err(io::Error::other)?;
        let path = paths.textfiles().join(format!("{}.prom", self.unit));
        atomic::write(&path, text.as_bytes(), 0o640)
    }

    /// Serves the figures of a daemon on `/run/roundsman/<unit>/metrics.sock`, to our group
    /// only, until the returned server is dropped.
    ///
    /// # Errors
    /// The socket cannot be bound; the error names it, and what to do.
    pub fn serve(&self, paths: &Paths) -> io::Result<RegistryServer> {
        let path = paths.registry_socket(&self.unit);
        let told = |error: io::Error| {
            let remedy = self.remedy(error.kind());
            let text = format!("serving metrics on {}: {error}{remedy}", path.display());
            io::Error::new(error.kind(), text)
        };
        let listener = listen::bind_unix(&path, 0o660).map_err(told)?;
        RegistryServer::start(self.clone(), listener, path.clone()).map_err(told)
    }

    fn remedy(&self, kind: io::ErrorKind) -> String {
        let unit = &self.unit;
        match kind {
            io::ErrorKind::AddrInUse => format!(" (stop the other roundsman-{unit})"),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                format!(" (RuntimeDirectory=roundsman/{unit} in the unit makes its directory)")
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_registry_is_served_on_its_socket_and_written_as_a_textfile() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        std::fs::create_dir_all(paths.run().join("herald")).unwrap();
        std::fs::create_dir_all(paths.textfiles()).unwrap();
        let metrics = Metrics::new("herald", "1.2.3", "herald").unwrap();
        let wanted = "roundsman_build_info{agent=\"herald\",unit=\"herald\",version=\"1.2.3\"} 1";

        // A socket that a killed process left behind is replaced.
        drop(std::os::unix::net::UnixListener::bind(paths.registry_socket("herald")).unwrap());
        let server = metrics.serve(&paths).unwrap();
        let mut stream = UnixStream::connect(paths.registry_socket("herald")).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(wanted),
            "{answer}"
        );
        drop(server);

        metrics.write_textfile(&paths).unwrap();
        let text = std::fs::read_to_string(paths.textfiles().join("herald.prom")).unwrap();
        assert!(text.contains(wanted), "{text}");
    }
}
