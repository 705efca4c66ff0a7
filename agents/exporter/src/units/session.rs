//! The life of the thread: connect, list, follow the signals, and begin anew when the bus is lost.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use roundsman_kit::backoff::Backoff;
use zbus::Message;
use zruntime::{SharedRuntime, mpmc};

use super::bus::{Bus, Event, Lost};
use super::model::Applied;
use super::{Plan, Shared, wire};

/// How long changes are gathered before the bus is asked about them.
const GATHER: Duration = Duration::from_millis(200);
/// With more new units than this one listing is cheaper than asking for each.
const MANY: usize = 32;
/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The thread; it ends when the sender of plans is dropped.
pub fn run(shared: &Shared, plans: &mpmc::Receiver<Plan>, mut plan: Plan) {
    zbus::block_on(async {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut backoff = backoff.expect("the first pause is above zero and below the longest");
        loop {
            let before = Instant::now();
            match session(shared, plans, &mut plan).await {
                Ok(Over) => return,
                Err(lost) => shared.lost(lost.to_string()),
            }
            if before.elapsed() > LONGEST_PAUSE {
                backoff.reset();
            }
            if !pause(backoff.next_pause(), plans, &mut plan).await {
                return;
            }
        }
    });
}

/// The sender of plans is gone.
struct Over;

/// Waits for the time or a new plan, after which it is worth trying at once; false when the
/// sender of plans is gone.
async fn pause(span: Duration, plans: &mpmc::Receiver<Plan>, plan: &mut Plan) -> bool {
    let Ok(runtime) = SharedRuntime::current() else {
        return false;
    };
    let (mut sleep, mut arrival) = (pin!(runtime.sleep(span)), pin!(plans.recv()));
    std::future::poll_fn(|context| {
        if let Poll::Ready(came) = arrival.as_mut().poll(context) {
            return Poll::Ready(came.map(|fresh| *plan = fresh).is_ok());
        }
        sleep.as_mut().poll(context).map(|()| true)
    })
    .await
}

/// What has to be asked of the bus.
#[derive(Default)]
struct Unsure {
    units: BTreeSet<String>,
    sockets: BTreeSet<String>,
    system: bool,
    everything: bool,
    /// When to ask.
    due: Option<Instant>,
}

impl Unsure {
    fn note(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + GATHER);
    }
}

async fn session(
    shared: &Shared,
    plans: &mpmc::Receiver<Plan>,
    plan: &mut Plan,
) -> Result<Over, Lost> {
    let mut bus = Bus::connect(&plan.socket).await?;
    let mut unsure = Unsure::default();
    list(&mut bus, shared, plan).await?;
    shared.current();
    let mut resync = Instant::now() + plan.resync;
    loop {
        let deadline = unsure.due.map_or(resync, |due| due.min(resync));
        let mut arrival = None;
        let interrupt = async { arrival = Some(plans.recv().await) };
        let event = bus.next(deadline, interrupt).await?;
        match (event, arrival) {
            (_, Some(Err(_))) => return Ok(Over),
            (_, Some(Ok(fresh))) => {
                *plan = fresh;
                shared.change(|model| (model.refilter(&plan.filter), true));
                unsure.everything = true;
                unsure.note();
            }
            (Some(event), _) => take(event, shared, plan, &mut unsure)?,
            (None, None) if Instant::now() >= resync => {
                list(&mut bus, shared, plan).await?;
                resync = Instant::now() + plan.resync;
                unsure = Unsure::default();
            }
            (None, None) => ask(&mut bus, shared, plan, std::mem::take(&mut unsure)).await?,
        }
    }
}

/// Applies one event to the table, and notes what it leaves open.
fn take(event: Event, shared: &Shared, plan: &Plan, unsure: &mut Unsure) -> Result<(), Lost> {
    match event {
        Event::New(name) => {
            let socket = shared.change(|model| {
                model.insert(&name, &plan.filter);
                (model.socket_of_instance(&name), false)
            });
            unsure.sockets.extend(socket);
            unsure.units.insert(name);
        }
        Event::Removed(name) => {
            let (was_failed, socket) = shared.change(|model| {
                let was_failed = model.remove(&name);
                ((was_failed, model.socket_of_instance(&name)), true)
            });
            unsure.units.remove(&name);
            unsure.system |= was_failed;
            if !was_failed && socket.is_none() {
                return Ok(());
            }
            unsure.sockets.extend(socket);
        }
        Event::Changed(name, message) => {
            if changed(&name, &message, shared)? != Applied::Failure {
                return Ok(());
            }
            unsure.system = true;
        }
        Event::Renewed | Event::Overrun => unsure.everything = true,
    }
    unsure.note();
    Ok(())
}

fn changed(name: &str, message: &Message, shared: &Shared) -> Result<Applied, Lost> {
    let body = message.body();
    let applied = shared.change(|model| {
        let mut most = Applied::Nothing;
        let read = wire::changes(&body, |property, value| {
            let applied = model.apply(name, [(property, value)].into_iter());
            most = most.max(applied);
        });
        (read.map(|()| most), most != Applied::Nothing)
    });
    Ok(applied?)
}

/// Asks for what the signals left open.
async fn ask(bus: &mut Bus, shared: &Shared, plan: &Plan, unsure: Unsure) -> Result<(), Lost> {
    if unsure.everything || unsure.units.len() > MANY {
        return list(bus, shared, plan).await;
    }
    let units: Vec<&str> = unsure.units.iter().map(String::as_str).collect();
    details(bus, shared, &units).await?;
    let sockets: Vec<&str> = unsure.sockets.iter().map(String::as_str).collect();
    special(bus, shared, &sockets).await?;
    // A new unit may have been failed before it was seen.
    if unsure.system || !units.is_empty() {
        let state = bus.system_state().await?;
        shared.change(|model| {
            let read = wire::property(&state.body(), |value| {
                model.manager.apply("SystemState", value);
            });
            (read, true)
        })?;
    }
    Ok(())
}

/// Lists everything, and reads the details of what is new or has changed unseen.
async fn list(bus: &mut Bus, shared: &Shared, plan: &Plan) -> Result<(), Lost> {
    let listing = bus.list().await?;
    let body = listing.body();
    let lines = wire::listing(&body)?;
    let unsure = shared.change(|model| (model.replace(lines.into_iter(), &plan.filter), true));
    let units: Vec<&str> = unsure.iter().map(|name| &**name).collect();
    details(bus, shared, &units).await?;
    let sockets = shared.change(|model| {
        let names = model.units.keys().filter(|name| name.ends_with(".socket"));
        let watched = names.filter(|name| model.is_watched(name) && !unsure.contains(*name));
        (watched.cloned().collect::<Vec<_>>(), false)
    });
    let sockets: Vec<&str> = sockets.iter().map(|name| &**name).collect();
    special(bus, shared, &sockets).await?;
    let manager = bus.manager().await?;
    shared.change(|model| {
        let read = wire::properties(&manager.body(), |property, value| {
            model.manager.apply(property, value);
        });
        (read, true)
    })?;
    Ok(())
}

async fn details(bus: &mut Bus, shared: &Shared, units: &[&str]) -> Result<(), Lost> {
    bus.general(units, |unit, property, value| {
        shared.change(|model| (model.apply(unit, [(property, value)].into_iter()), true));
    })
    .await?;
    let watched: Vec<&str> = units
        .iter()
        .copied()
        .filter(|unit| shared.table().model.is_watched(unit))
        .collect();
    special(bus, shared, &watched).await
}

async fn special(bus: &mut Bus, shared: &Shared, units: &[&str]) -> Result<(), Lost> {
    bus.special(units, |unit, property, value| {
        shared.change(|model| (model.apply(unit, [(property, value)].into_iter()), true));
    })
    .await
}
