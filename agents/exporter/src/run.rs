//! The life of the exporter: let the sources look around once, serve, and follow reloads.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use roundsman_host::exposition::Format;
use roundsman_kit::{Class, Context, Fault, ResultExt, Wake};
use roundsman_net::{Server, Tls};
use roundsman_store::cycle::Outcome;

use crate::config::Settings;
use crate::cycles::{Cycles, Own, Recorder};
use crate::scrape::{Change, Exchange, Scraper, Sources, Summary};
use crate::server::{Door, Inbox, Site, limits};
use crate::start;
use roundsman_kit::Knock;

/// How long the sources may take to look around before the first scrape.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// How often the manager and the store are told how it goes.
const TELL: Duration = Duration::from_secs(60);
/// The row of this unit is written anew at least so often.
const RECORD: Duration = Duration::from_secs(3600);

/// Runs until it is stopped.
///
/// # Errors
/// A socket, a credential or a thread that cannot be had.
pub fn run(ctx: &mut Context, settings: Settings) -> anyhow::Result<()> {
    let knock = Knock::new().fault(Class::Unavailable, || "making an eventfd")?;
    let builder = Server::builder(limits(&settings));
    let sources = Sources {
        units: start::units(ctx, &settings, &knock)?,
        cycles: start::cycles(ctx, &settings, &knock)?,
        own: start::own_families(ctx)?,
        http: builder.counters(),
    };
    let mut scraper = Scraper::new(ctx.paths(), settings.clone(), sources);
    let Some(is_reload_due) = look_around(ctx, &scraper, &knock)? else {
        return Ok(());
    };
    // Opens the files that are kept open, so that no client waits for that.
    let mut page = Vec::new();
    scraper.scrape(Format::Text, Instant::now() + LOOK_AROUND, &mut page);
    if ctx.once() {
        let mut out = std::io::stdout();
        return out.write_all(&page).context("writing the page");
    }
    let recorder = scraper.recorder();
    let summary = scraper.summary();
    let (door, inbox) = (Door::default(), Inbox::default());
    *door.write().unwrap_or_else(PoisonError::into_inner) = start::token(ctx, &settings)?;
    let tls = start::tls(ctx, &settings)?;
    let (builder, places) = start::listen(ctx, builder, &settings, tls.as_ref())?;
    let site = Site::new(scraper, Arc::clone(&door), Arc::clone(&inbox))
        .fault(Class::Unavailable, || "starting the thread that scrapes")?;
    let server = builder
        .spawn(site.clone())
        .fault(Class::Unavailable, || format!("serving {places}"))?;
    let exporter = Exporter {
        settings,
        knock,
        recorder,
        summary,
        door,
        inbox,
        tls,
        places,
        told: None,
    };
    exporter.serve(ctx, server, site, is_reload_due)
}

/// Waits until every source has had its first look, or long enough. Tells whether a reload was
/// asked for meanwhile; `None` if a stop was.
fn look_around(
    ctx: &mut Context,
    scraper: &Scraper,
    knock: &Knock,
) -> anyhow::Result<Option<bool>> {
    let until = Instant::now() + LOOK_AROUND;
    let mut is_reload_due = false;
    while !scraper.has_looked_around() {
        let left = until.saturating_duration_since(Instant::now());
        match ctx.wait(left, &[knock])? {
            Wake::Stop => return Ok(None),
            Wake::Reload => is_reload_due = true,
            Wake::Source(_) => knock.hush(),
            Wake::Timer => {
                log::warn!("not all sources have answered within {LOOK_AROUND:?}, going on");
                break;
            }
        }
    }
    Ok(Some(is_reload_due))
}

/// What the main loop holds while the other threads serve.
struct Exporter {
    settings: Settings,
    knock: Knock,
    recorder: Option<Recorder>,
    summary: Arc<Mutex<Summary>>,
    door: Door,
    inbox: Inbox,
    tls: Option<Tls>,
    /// Where it is served, for the status.
    places: String,
    /// The broken sources that the store was told last, and when.
    told: Option<(Vec<String>, Instant)>,
}

impl Exporter {
    fn serve(
        mut self,
        ctx: &mut Context,
        server: Server,
        site: Site,
        is_reload_due: bool,
    ) -> anyhow::Result<()> {
        let server = Rc::new(RefCell::new(Some(server)));
        let watched = Rc::clone(&server);
        ctx.ping_only_if(move || {
            let net_ticks = watched.borrow().as_ref().is_some_and(Server::tick);
            net_ticks && site.is_sound()
        });
        // In this order, so that the first scrape finds the row.
        self.record(ctx);
        ctx.ready(&self.status());
        if is_reload_due {
            self.reload(ctx);
        }
        loop {
            match ctx.wait(TELL, &[&self.knock])? {
                Wake::Stop => break,
                Wake::Reload => self.reload(ctx),
                Wake::Source(_) => self.knock.hush(),
                Wake::Timer => {
                    ctx.status(&self.status());
                    self.record(ctx);
                }
            }
        }
        if let Some(server) = server.take() {
            let cut = server.stop();
            log::debug!("{cut} connections were cut off");
        }
        Ok(())
    }

    fn reload(&mut self, ctx: &mut Context) {
        ctx.reload(|ctx, fresh: Settings| {
            self.adopt(ctx, fresh)?;
            ctx.status(&self.status());
            Ok(())
        });
    }

    /// Goes by other settings, all of them or none.
    fn adopt(&mut self, ctx: &Context, fresh: Settings) -> anyhow::Result<()> {
        let fixed = |settings: &Settings| {
            let tls = settings.tls.is_some();
            (settings.listen.clone(), settings.connections, tls)
        };
        if fixed(&fresh) != fixed(&self.settings) {
            let message = "listen, connections, and whether there is [tls] change only with a \
                           restart: systemctl restart roundsman-exporter.service";
            return Err(Fault::new(Class::Config, message).into());
        }
        let token = start::token(ctx, &fresh)?;
        let units = match (self.settings.units.enabled, fresh.units.enabled) {
            (true, true) => Exchange::Keep(start::plan(ctx, &fresh)?),
            _ => Exchange::Put(start::units(ctx, &fresh, &self.knock)?),
        };
        let cycles = match (self.settings.cycles.enabled, fresh.cycles.enabled) {
            (true, true) => Exchange::Keep(()),
            _ => Exchange::Put(start::cycles(ctx, &fresh, &self.knock)?),
        };
        if let (Some(tls), Some(keys)) = (&self.tls, &fresh.tls) {
            start::renew(ctx, tls, keys)?;
        }
        // From here on nothing can fail.
        *self.door.write().unwrap_or_else(PoisonError::into_inner) = token;
        if let Exchange::Put(cycles) = &cycles {
            self.recorder = cycles.as_ref().map(Cycles::recorder);
        }
        self.settings = fresh.clone();
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.push(Change {
            settings: fresh,
            units,
            cycles,
        });
        Ok(())
    }

    fn summary(&self) -> Summary {
        let summary = self.summary.lock();
        summary.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One sentence for a person.
    fn status(&self) -> String {
        let summary = self.summary();
        let mut status = format!(
            "serving {}: {} samples in the last of {} scrapes",
            self.places, summary.samples, summary.scrapes
        );
        if !summary.broken.is_empty() {
            status.push_str("; broken: ");
            status.push_str(&summary.broken.join(", "));
        }
        status
    }

    /// Leaves the last scrape as this unit's last cycle in the store, when there is news.
    fn record(&mut self, ctx: &Context) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        let summary = self.summary();
        let is_news = self
            .told
            .as_ref()
            .is_none_or(|(broken, at)| *broken != summary.broken || at.elapsed() >= RECORD);
        let Some((started, finished)) = summary.last.filter(|_| is_news) else {
            return;
        };
        let outcome = if summary.broken.is_empty() {
            Outcome::Ok
        } else {
            Outcome::Degraded
        };
        let figures = [
            ("scrapes", serde_json::Value::from(summary.scrapes)),
            ("samples", summary.samples.into()),
            ("broken", summary.broken.len().into()),
        ];
        recorder.record(Own {
            unit: ctx.unit(),
            started,
            finished,
            outcome,
            sentence: self.status(),
            figures: figures
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        });
        self.told = Some((summary.broken, Instant::now()));
    }
}
