//! The smallest long-running agent: it counts to itself, and shows the shape of all others.

use std::process::ExitCode;
use std::time::Duration;

use roundsman_kit::config::{Config, Invalid};
use roundsman_kit::quantity::Span;
use roundsman_kit::secret::CredentialRef;
use roundsman_kit::{Agent, Context, Kind, Wake, run};
use serde::{Deserialize, Serialize};

const AGENT: Agent = Agent {
    name: "minimal",
    version: env!("CARGO_PKG_VERSION"),
    about: "Counts rounds",
    kind: Kind::Daemon,
    is_template: false,
    classifiers: &[],
};

fn main() -> ExitCode {
    run(&AGENT, rounds)
}

/// What `/etc/roundsman/minimal.toml` may hold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The pause between two rounds.
    every: Span,
    /// A secret, to show where one comes from.
    token: Option<CredentialRef>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            every: Span::secs(3600),
            token: None,
        }
    }
}

impl Config for Settings {
    fn validate(&self) -> Vec<Invalid> {
        let spins = self.every.0 < Duration::from_millis(1);
        Vec::from_iter(spins.then(|| Invalid::new("every", "is too short", "write 1ms or more")))
    }

    fn credentials(&self) -> Vec<&CredentialRef> {
        self.token.iter().collect()
    }
}

fn rounds(ctx: &mut Context, mut settings: Settings) -> anyhow::Result<()> {
    let rounds = prometheus::IntCounter::new("minimal_rounds_total", "Rounds made.")?;
    ctx.metrics()
        .registry()
        .register(Box::new(rounds.clone()))?;
    let _registry = ctx.metrics().serve(ctx.paths())?;
    ctx.ready(&format!("a round every {}", settings.every));
    if ctx.once() {
        rounds.inc();
        return Ok(());
    }
    loop {
        match ctx.wait(settings.every.0, &[])? {
            Wake::Stop => return Ok(()),
            Wake::Timer => rounds.inc(),
            Wake::Source(_) => {}
            Wake::Reload => ctx.reload(|ctx, fresh: Settings| {
                settings = fresh;
                ctx.status(&format!("a round every {}", settings.every));
                Ok(())
            }),
        }
        ctx.status(&format!("{} rounds", rounds.get()));
    }
}
