//! The units of this host, over D-Bus.
//!
//! One thread owns one connection. After a first listing it lives on the manager's signals, so
//! that a quiet host costs no call at all; a listing every few minutes mends whatever a signal
//! did not tell. A scrape only looks at the table. While the bus is away the last state is shown,
//! with the time at which it was current.

mod bus;
pub mod filter;
mod model;
mod render;
mod session;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use roundsman_host::exposition::{Format, Page};
use roundsman_kit::clock::{Clock, SystemClock, Timestamp};
use zruntime::mpmc;

use self::filter::Filter;
use self::model::Model;
pub use self::render::Names;
use roundsman_kit::Knock;

/// What the thread goes by; a reload brings another.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The socket of the system bus.
    pub socket: PathBuf,
    /// Which units are shown.
    pub filter: Filter,
    /// The pause between two whole listings.
    pub resync: Duration,
}

/// How far the table can be trusted.
#[derive(Debug, Clone)]
pub struct Standing {
    /// When the table was last known to be current; `None` if it never was.
    pub as_of: Option<Timestamp>,
    /// Why it is not current any more.
    pub fault: Option<String>,
}

/// The table and the thread that keeps it.
#[derive(Debug)]
pub struct Units {
    shared: Arc<Shared>,
    plans: mpmc::Sender<Plan>,
    page: Page,
    drawn: Option<(u64, Format, Vec<Names>)>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    first: Knock,
}

#[derive(Debug, Default)]
struct Table {
    model: Model,
    /// Grows with each change of something that is shown.
    generation: u64,
    /// When the bus was lost, if it was ever there.
    lost_at: Option<Timestamp>,
    fault: Option<String>,
    /// Whether a first listing succeeded or failed.
    tried: bool,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the table, and counts the change if it shows.
    fn change<T>(&self, work: impl FnOnce(&mut Model) -> (T, bool)) -> T {
        let mut table = self.table();
        let (value, shows) = work(&mut table.model);
        table.generation += u64::from(shows);
        value
    }

    fn current(&self) {
        let mut table = self.table();
        table.fault = None;
        table.lost_at = None;
        self.tried(&mut table);
    }

    fn lost(&self, fault: String) {
        let mut table = self.table();
        if table.fault.is_none() && table.tried {
            table.lost_at = Some(SystemClock.now());
        }
        table.fault = Some(fault);
        self.tried(&mut table);
    }

    fn tried(&self, table: &mut Table) {
        if !std::mem::replace(&mut table.tried, true) {
            self.first.knock();
        }
    }
}

impl Units {
    /// Starts the thread; it knocks when the first listing has succeeded or failed.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn spawn(plan: Plan, first: Knock) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            first,
        });
        let (plans, inbox) = mpmc::unbounded();
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("units".into())
            .spawn(move || session::run(&own, &inbox, plan))?;
        Ok(Self {
            shared,
            plans,
            page: Page::default(),
            drawn: None,
        })
    }

    /// Has the thread go by another plan.
    pub fn follow(&self, plan: Plan) {
        // The thread ends only with this sender.
        let _ = self.plans.try_send(plan);
    }

    /// Whether the first listing has succeeded or failed.
    pub fn tried(&self) -> bool {
        self.shared.table().tried
    }

    /// Brings the page up to date and says how far it can be trusted.
    pub fn draw(&mut self, format: Format, names: &[Names]) -> Standing {
        let table = self.shared.table();
        let is_drawn = self.drawn.as_ref().is_some_and(|(generation, drawn, by)| {
            (*generation, *drawn, by.as_slice()) == (table.generation, format, names)
        });
        if !is_drawn {
            self.page.start(format);
            render::render(&mut self.page, &table.model, names);
            self.drawn = Some((table.generation, format, names.to_vec()));
        }
        let as_of = match &table.fault {
            None if table.tried => Some(SystemClock.now()),
            _ => table.lost_at,
        };
        Standing {
            as_of,
            fault: table.fault.clone(),
        }
    }

    /// What [`Units::draw`] has drawn last.
    pub fn page(&self) -> &Page {
        &self.page
    }
}
