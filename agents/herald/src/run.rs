//! The life of herald: one loop that waits for the bell, for the sending thread, or for the time.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roundsman_kit::backoff::Backoff;
use roundsman_kit::clock::Timestamp;
use roundsman_kit::{Class, Context, Fault, Knock, ResultExt, Wake};
use roundsman_store::cycle::{self, NewCycle, Outcome};
use roundsman_store::{Doorbell, Location, Role, Store};
use rustix::fs::{FlockOperation, flock};

use crate::config::Settings;
use crate::engine::{Engine, Next};
use crate::lane::Lane;
use crate::sender::Sender;

/// How often the manager and the store are told how it goes.
const TELL: Duration = Duration::from_secs(60);

/// Pauses after a turn that failed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

type Shared = Rc<RefCell<Engine>>;

/// Runs until it is stopped.
///
/// # Errors
/// Another herald, a store or a thread that cannot be had.
pub fn run(ctx: &mut Context, settings: Settings) -> anyhow::Result<()> {
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let store = Store::open(&location, Role::Agent)?;
    let _only = only_herald(ctx)?;
    let doorbell = Doorbell::open(&location)?;
    let knock = Knock::new().fault(Class::Unavailable, || "making an eventfd")?;
    let sender = Sender::start(knock.clone(), Arc::clone(ctx.clock()))
        .fault(Class::Unavailable, || "starting the thread that sends")?;
    let mut engine = Engine::new(ctx.agent(), store, sender);
    adopt(ctx, &mut engine, &settings)?;
    forget(ctx, &mut engine)?;
    let herald = Herald {
        engine: Rc::new(RefCell::new(engine)),
        settings,
        doorbell,
        knock,
        backoff: Backoff::new(PAUSES.0, PAUSES.1)?,
        started: ctx.clock().now(),
        told: None,
    };
    if ctx.once() {
        herald.once(ctx)
    } else {
        herald.serve(ctx)
    }
}

/// Deliveries under way are known to the process that sends them alone, so there is one. The
/// kernel frees the lock with its holder.
fn only_herald(ctx: &Context) -> anyhow::Result<File> {
    let path = ctx.paths().run().join(ctx.agent()).join("lock");
    let open = || {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        OpenOptions::new().create(true).append(true).open(&path)
    };
    let file = open().fault(Class::Unavailable, || format!("opening {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let message = "another herald delivers from this store already";
            Err(Fault::new(Class::Unavailable, message).into())
        }
        Err(errno) => Err(std::io::Error::from(errno))
            .fault(Class::Unavailable, || format!("locking {}", path.display())),
    }
}

fn adopt(ctx: &Context, engine: &mut Engine, settings: &Settings) -> anyhow::Result<()> {
    let lanes = settings.endpoints.iter().map(|(name, endpoint)| {
        let lane = Lane::new(name, endpoint, ctx.paths(), ctx.credentials());
        if let Err(error) = &lane.post.client {
            log::error!("{name}: {error}; its deliveries wait");
        }
        lane
    });
    let lanes: Vec<Lane> = lanes.collect();
    for (name, trigger) in &settings.triggers {
        for endpoint in &trigger.endpoints {
            if !settings.endpoints.contains_key(endpoint) {
                log::error!(
                    "trigger {name}: there is no endpoint {endpoint}; its deliveries wait for one"
                );
            }
        }
    }
    engine.adopt(settings, lanes, ctx.clock().now())?;
    Ok(())
}

/// Forgets triggers that have left the files. What was left out is known only once a
/// configuration is in force.
fn forget(ctx: &Context, engine: &mut Engine) -> roundsman_store::Result<()> {
    let left_out: BTreeSet<String> = ctx
        .left_out()
        .iter()
        .filter_map(|finding| finding.key.strip_prefix("triggers."))
        .filter_map(|rest| rest.split('.').next())
        .map(str::to_owned)
        .collect();
    engine.forget(&left_out)
}

struct Herald {
    engine: Shared,
    settings: Settings,
    doorbell: Doorbell,
    knock: Knock,
    backoff: Backoff,
    started: Timestamp,
    /// When the store was told last, and what.
    told: Option<(Instant, String)>,
}

impl Herald {
    fn serve(mut self, ctx: &mut Context) -> anyhow::Result<()> {
        let watched = Rc::clone(&self.engine);
        ctx.ping_only_if(move || watched.try_borrow().is_ok_and(|engine| engine.is_sound()));
        let metrics = crate::metrics::Figures::register(ctx)?;
        let _registry = ctx
            .metrics()
            .serve(ctx.paths())
            .fault(Class::Unavailable, || "serving the registry")?;
        let mut pause = self.turn(ctx);
        self.tell(ctx, &metrics);
        ctx.ready(&self.status());
        loop {
            let woken = ctx.wait(pause, &[&self.doorbell, &self.knock])?;
            match woken {
                Wake::Stop => break,
                Wake::Reload => self.reload(ctx),
                Wake::Source(0) => {
                    self.doorbell.drain()?;
                }
                Wake::Source(_) => self.knock.hush(),
                Wake::Timer => {
                    self.doorbell.drain()?;
                }
            }
            pause = self.turn(ctx);
            self.tell(ctx, &metrics);
        }
        self.stop(ctx)
    }

    /// Delivers what is due now, each once.
    fn once(mut self, ctx: &mut Context) -> anyhow::Result<()> {
        self.turn(ctx);
        while self.engine.borrow().in_hand() > 0 {
            if ctx.wait(self.settings.sweep.0, &[&self.knock])? == Wake::Stop {
                break;
            }
            self.knock.hush();
            self.turn(ctx);
        }
        self.stop(ctx)
    }

    /// One turn, and how long to wait for the next.
    fn turn(&mut self, ctx: &mut Context) -> Duration {
        let host = ctx.host();
        loop {
            let now = ctx.clock().now();
            let outcome = self.engine.borrow_mut().turn(now, &host);
            ctx.progress();
            let sweep = self.settings.sweep.0;
            match outcome {
                Ok(Next::Now) if !ctx.stopping() => {
                    self.backoff.reset();
                }
                Ok(Next::Now) => return Duration::ZERO,
                Ok(Next::At(at)) => {
                    self.backoff.reset();
                    return at
                        .since(ctx.clock().now())
                        .clamp(Duration::from_millis(1), sweep);
                }
                Ok(Next::Idle) => {
                    self.backoff.reset();
                    return sweep;
                }
                Err(error) => {
                    let pause = self.backoff.next_pause();
                    log::warn!("trying again in {pause:.1?}: {error}");
                    return pause;
                }
            }
        }
    }

    fn reload(&mut self, ctx: &mut Context) {
        let engine = Rc::clone(&self.engine);
        let mut adopted = None;
        ctx.reload(|ctx, fresh: Settings| {
            adopt(ctx, &mut engine.borrow_mut(), &fresh)?;
            adopted = Some(fresh);
            Ok(())
        });
        if let Some(fresh) = adopted {
            self.settings = fresh;
            if let Err(error) = forget(ctx, &mut self.engine.borrow_mut()) {
                log::warn!("positions of former triggers are kept for now: {error}");
            }
        }
    }

    /// One sentence for a person.
    fn status(&self) -> String {
        let engine = self.engine.borrow();
        let all: Vec<_> = engine.endpoints().filter(|e| e.gone_at.is_none()).collect();
        let with = |is: fn(&roundsman_store::endpoint::Endpoint) -> bool| -> Vec<&str> {
            let some = all.iter().filter(|e| is(e));
            some.map(|e| e.name.as_str()).collect()
        };
        let down = with(|e| e.disabled_at.is_none() && e.opened_at.is_some());
        let disabled = with(|e| e.disabled_at.is_some());
        let mut status = format!(
            "{} triggers, {} endpoints",
            self.settings.triggers.len(),
            all.len()
        );
        for (what, names) in [("down", down), ("disabled", disabled)] {
            if !names.is_empty() {
                status.push_str(&format!("; {what}: {}", names.join(", ")));
            }
        }
        status
    }

    /// Tells the manager at once, and the store and the registry each minute or when it is news.
    fn tell(&mut self, ctx: &mut Context, metrics: &crate::metrics::Figures) {
        let status = self.status();
        ctx.status(&status);
        let is_due = self
            .told
            .as_ref()
            .is_none_or(|(at, told)| *told != status || at.elapsed() >= TELL);
        let mut engine = self.engine.borrow_mut();
        metrics.update(&engine.totals, engine.in_flight());
        if !is_due {
            return;
        }
        let is_ill = status.contains(';');
        let totals = engine.totals;
        let figures = [
            ("done", totals.done),
            ("failed_attempts", totals.failed),
            ("parked", totals.parked),
        ];
        let cycle = NewCycle {
            unit: &ctx.unit(),
            started: self.started,
            finished: ctx.clock().now(),
            outcome: if is_ill {
                Outcome::Degraded
            } else {
                Outcome::Ok
            },
            class: None,
            sentence: &status,
            figures: figures
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        };
        let written = engine.store().write(|tx| cycle::record(tx, &cycle));
        if let Err(error) = written {
            log::debug!("this cycle was not recorded: {error}");
        }
        let counts = engine.store().read(roundsman_store::delivery::counts);
        metrics.count(&counts.unwrap_or_default(), engine.endpoints());
        self.told = Some((Instant::now(), status));
    }

    /// Lets what is under way come to its end, for a while, and records it.
    fn stop(self, ctx: &mut Context) -> anyhow::Result<()> {
        let until = Instant::now() + self.settings.stop_timeout.0;
        let mut engine = self.engine.borrow_mut();
        engine.recall();
        loop {
            engine.finish(ctx.clock().now())?;
            let left = until.saturating_duration_since(Instant::now());
            if engine.in_hand() == 0 || left.is_zero() {
                break;
            }
            // A stop was asked for, so the context would not wait any more.
            wait_for(&self.knock, left);
            self.knock.hush();
        }
        let cut = engine.in_hand();
        if cut > 0 {
            log::warn!("{cut} requests were cut off and will be made again");
        }
        Ok(())
    }
}

fn wait_for(knock: &Knock, left: Duration) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let left = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    // Whatever it says, the loop looks at what has finished and at the time.
    let _ = poll(&mut [PollFd::new(knock, PollFlags::IN)], Some(&left));
}
