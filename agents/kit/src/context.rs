//! What an agent's body is given: its surroundings, and the one place where it waits.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::args::Args;
use crate::clock::{Clock, SystemClock, TreeClock};
use crate::config::{self, Common, Config, Directories, Loaded, Refused};
use crate::log::id;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::secret::Credentials;
use crate::signals::Signals;
use crate::{Agent, Paths, error};

/// Why [`Context::wait`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// SIGTERM or SIGINT: end the body soon. It stays so: every later wait returns it at once.
    Stop,
    /// SIGHUP: call [`Context::reload`].
    Reload,
    /// The source at this index of the list became readable.
    Source(usize),
    /// The time was up.
    Timer,
}

/// The surroundings of one running agent.
pub struct Context {
    pub(crate) agent: &'static Agent,
    pub(crate) args: Args,
    pub(crate) paths: Paths,
    pub(crate) common: Common,
    pub(crate) credentials: Credentials,
    pub(crate) metrics: Metrics,
    pub(crate) notifier: Notifier,
    pub(crate) signals: Signals,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) left_out: Vec<config::Finding>,
    soundness: Option<Box<dyn FnMut() -> bool>>,
    /// The last one that the manager has heard.
    status: String,
}

impl Context {
    pub(crate) fn new(
        agent: &'static Agent,
        args: Args,
        paths: Paths,
        common: Common,
    ) -> anyhow::Result<Self> {
        let unit = unit_name(agent, &args);
        Ok(Self {
            agent,
            metrics: Metrics::new(agent.name, agent.version, &unit)?,
            signals: Signals::install(agent)?,
            notifier: Notifier::from_env(),
            credentials: Credentials::from_env(),
            clock: match TreeClock::of(&paths) {
                Some(clock) => Arc::new(clock),
                None => Arc::new(SystemClock),
            },
            args,
            paths,
            common,
            left_out: Vec::new(),
            soundness: None,
            status: String::new(),
        })
    }

    /// The agent's name with its instance: `hostmetrics`, `beacon@prod`.
    pub fn unit(&self) -> String {
        unit_name(self.agent, &self.args)
    }

    /// The agent's name.
    pub fn agent(&self) -> &'static str {
        self.agent.name
    }

    /// The instance of a template unit.
    pub fn instance(&self) -> Option<&str> {
        self.args.instance.as_deref()
    }

    /// Whether to end after one cycle.
    pub fn once(&self) -> bool {
        self.args.once
    }

    /// Whether to say what a cycle would do, and to do nothing.
    pub fn dry_run(&self) -> bool {
        self.args.dry_run
    }

    /// Where things lie.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The keys that all agents share.
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// What is wrong with items of the configuration that are left out ([`Config::ITEMS`]). During
    /// a reload these are the items of the new one; if that is refused, those of the old again.
    pub fn left_out(&self) -> &[config::Finding] {
        &self.left_out
    }

    /// The credentials that systemd passed in.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The agent's own figures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The wall clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The name of this host on samples and events.
    pub fn host(&self) -> String {
        if !self.common.host.is_empty() {
            return self.common.host.clone();
        }
        let kernel = std::fs::read_to_string(self.paths.at("/proc/sys/kernel/hostname"));
        kernel
            .map(|name| name.trim().to_owned())
            .unwrap_or_else(|_| {
                rustix::system::uname()
                    .nodename()
                    .to_string_lossy()
                    .into_owned()
            })
    }

    /// Tells the manager that the agent can really do its work now, and what it is at.
    pub fn ready(&mut self, status: &str) {
        if self.notifier.ready(status) {
            self.status = status.to_owned();
        }
        log::info!(MESSAGE_ID = id::AGENT_READY; "ready: {status}");
    }

    /// Says in one sentence what the agent is at; shown by `systemctl status`. One that the manager
    /// had no room for is said again when the agent says it again.
    pub fn status(&mut self, status: &str) {
        if self.status != status && self.notifier.status(status) {
            self.status = status.to_owned();
        }
    }

    /// Asks the manager for `more` time from now on, while starting or stopping takes long.
    pub fn extend_timeout(&mut self, more: Duration) {
        self.notifier.extend_timeout(more);
    }

    /// Makes watchdog pings depend on `sound`, asked before each ping: where an agent has a
    /// second thread, whether that one has answered since the last ping.
    pub fn ping_only_if(&mut self, sound: impl FnMut() -> bool + 'static) {
        self.soundness = Some(Box::new(sound));
    }

    /// Pings the watchdog if it is due: for a cycle that is making progress but takes long.
    pub fn progress(&mut self) -> Option<Duration> {
        let Self {
            notifier,
            soundness,
            ..
        } = self;
        notifier.ping_if_due(|| soundness.as_mut().is_none_or(|sound| sound()))
    }

    /// Whether a stop was asked for: for long cycles, to end between two items.
    pub fn stopping(&self) -> bool {
        self.signals.stop_requested()
    }

    /// The one place where an agent waits: for a signal, a source, or the time. Pings the
    /// watchdog meanwhile, so that a cycle that hangs is what the watchdog catches.
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn wait(&mut self, timeout: Duration, sources: &[&dyn AsFd]) -> io::Result<Wake> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let next_ping = self.progress();
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let pause = [left, next_ping].into_iter().flatten().min();
            let fds: Vec<BorrowedFd> = sources.iter().map(|source| source.as_fd()).collect();
            if let Some(wake) = wait_once(&self.signals, &fds, pause)? {
                return Ok(wake);
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(Wake::Timer);
            }
        }
    }

    /// Reads the configuration again. A good one goes to `apply`; a broken one is reported
    /// whole and the old one stays in force. The manager hears the reload protocol either way.
    pub fn reload<C: Config>(&mut self, apply: impl FnOnce(&mut Self, C) -> anyhow::Result<()>) {
        self.notifier.reloading();
        let status = match self.reload_quietly(apply) {
            Ok(()) => {
                log::info!(MESSAGE_ID = id::CONFIG_RELOADED; "configuration reloaded");
                format!("configuration reloaded at {}", self.clock.now())
            }
            Err(cause) => {
                report_refusal(&cause);
                format!(
                    "reload refused at {}: the old configuration is in force",
                    self.clock.now()
                )
            }
        };
        if self.notifier.ready(&status) {
            self.status = status;
        }
    }

    fn reload_quietly<C: Config>(
        &mut self,
        apply: impl FnOnce(&mut Self, C) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let loaded: Loaded<C> = load(self.agent, &self.args, &self.paths)?;
        check_credentials(&loaded.config, self.agent, &self.credentials)?;
        // The agent sees what is missing from the configuration that it is about to adopt.
        let former = std::mem::replace(&mut self.left_out, loaded.left_out);
        if let Err(refusal) = apply(self, loaded.config) {
            self.left_out = former;
            return Err(refusal);
        }
        report_left_out(&self.left_out);
        ::log::set_max_level(loaded.common.log_level.into());
        self.common = loaded.common;
        Ok(())
    }
}

fn unit_name(agent: &Agent, args: &Args) -> String {
    match &args.instance {
        Some(instance) => format!("{}@{instance}", agent.name),
        None => agent.name.to_owned(),
    }
}

pub(crate) fn load<C: Config>(
    agent: &Agent,
    args: &Args,
    paths: &Paths,
) -> Result<Loaded<C>, Refused> {
    let root = args.config_root.as_deref().unwrap_or(paths.root());
    if args.config_root.is_some() && !root.is_dir() {
        let finding = config::Finding {
            file: root.display().to_string(),
            key: String::new(),
            reason: "there is no such directory".into(),
            remedy: "give --config-root the directory above etc/roundsman".into(),
        };
        return Err(Refused {
            findings: vec![finding],
        });
    }
    config::load(
        &Directories::under(root),
        agent.name,
        args.instance.as_deref(),
        std::env::vars_os(),
    )
}

/// Every credential that the configuration names must be readable, before anything starts.
pub(crate) fn check_credentials<C: Config>(
    config: &C,
    agent: &Agent,
    credentials: &Credentials,
) -> Result<(), Refused> {
    let findings: Vec<_> = config
        .credentials()
        .into_iter()
        .filter_map(|named| {
            let error = credentials.read(named).err()?;
            Some(config::Finding {
                file: format!("roundsman-{}.service", agent.name),
                key: format!("LoadCredential={}", named.credential),
                remedy: error.remedy(agent.name),
                reason: format!("{:#}", anyhow::Error::from(error)),
            })
        })
        .collect();
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Refused { findings })
    }
}

/// Logs every item of the configuration that the agent goes on without.
pub(crate) fn report_left_out(findings: &[config::Finding]) {
    for finding in findings {
        log::error!(
            MESSAGE_ID = id::CONFIG_ITEM_LEFT_OUT,
            "ROUNDSMAN_CLASS" = error::Class::Config.label(),
            "ROUNDSMAN_FILE" = finding.file,
            "ROUNDSMAN_KEY" = finding.key;
            "left out: {finding}"
        );
    }
}

fn report_refusal(cause: &anyhow::Error) {
    let Some(refused) = cause.downcast_ref::<Refused>() else {
        log::error!(MESSAGE_ID = id::RELOAD_REFUSED; "reload refused: {cause:#}");
        return;
    };
    for finding in &refused.findings {
        log::error!(
            MESSAGE_ID = id::RELOAD_REFUSED,
            "ROUNDSMAN_FILE" = finding.file,
            "ROUNDSMAN_KEY" = finding.key;
            "reload refused: {finding}"
        );
    }
}

/// One poll: a signal goes before a source, a stop before a reload.
fn wait_once(
    signals: &Signals,
    sources: &[BorrowedFd],
    pause: Option<Duration>,
) -> io::Result<Option<Wake>> {
    let [stop, reload] = signals.fds();
    let mut fds: Vec<PollFd> = [stop, reload]
        .into_iter()
        .chain(sources.iter().copied())
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    let pause = pause.map(|pause| Timespec {
        tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: pause.subsec_nanos().into(),
    });
    match poll(&mut fds, pause.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let ready = fds.iter().position(|fd| !fd.revents().is_empty());
    Ok(match ready {
        None => None,
        Some(0) => Some(Wake::Stop),
        Some(1) => {
            signals.clear_reload();
            Some(Wake::Reload)
        }
        Some(at) => Some(Wake::Source(at - 2)),
    })
}

/// Logs the end of a failed agent once, whole, with its class and innermost cause as fields.
pub(crate) fn report_failure(failure: &anyhow::Error, agent: &Agent) -> error::Class {
    let class = error::class_of(failure, agent.classifiers);
    log::log!(
        class.level(),
        MESSAGE_ID = id::AGENT_FAILED,
        "ROUNDSMAN_CLASS" = class.label(),
        "ROUNDSMAN_CAUSE" = failure.root_cause().to_string();
        "{failure:#}"
    );
    class
}

#[cfg(test)]
mod tests;
