//! Herald's own figures.

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts};
use roundsman_kit::Context;
use roundsman_store::delivery::{Count, HeldCount, State};
use roundsman_store::endpoint::Endpoint;

use crate::engine::Totals;

/// The registered figures.
pub struct Figures {
    done: IntCounter,
    failed: IntCounter,
    parked: IntCounter,
    looped: IntCounter,
    untold: IntCounter,
    held: IntGaugeVec,
    under_way: IntGauge,
    deliveries: IntGaugeVec,
    up: IntGaugeVec,
}

impl Figures {
    /// Registers them, each once.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn register(ctx: &Context) -> anyhow::Result<Self> {
        let registry = ctx.metrics().registry();
        let counter = |name: &str, help: &str| -> anyhow::Result<IntCounter> {
            let counter = IntCounter::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> anyhow::Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let under_way = IntGauge::new(
            "roundsman_herald_requests_in_flight",
            "Requests that are under way now.",
        )?;
        registry.register(Box::new(under_way.clone()))?;
        Ok(Self {
            done: counter(
                "roundsman_herald_delivered_total",
                "Deliveries that reached their endpoint.",
            )?,
            failed: counter(
                "roundsman_herald_failed_attempts_total",
                "Attempts that did not reach their endpoint.",
            )?,
            parked: counter(
                "roundsman_herald_parked_total",
                "Deliveries that are not tried any more.",
            )?,
            looped: counter(
                "roundsman_herald_looped_total",
                "Events that have passed this host before and are not sent again.",
            )?,
            untold: counter(
                "roundsman_herald_untold_total",
                "Changes of endpoints that came of herald's own events, and are no events.",
            )?,
            held: gauges(
                "roundsman_herald_held",
                "Deliveries and events that wait, by what holds them back.",
                &["by"],
            )?,
            under_way,
            deliveries: gauges(
                "roundsman_herald_deliveries",
                "Deliveries in the store by endpoint and state.",
                &["endpoint", "state"],
            )?,
            up: gauges(
                "roundsman_herald_endpoint_up",
                "1 if the endpoint takes deliveries, 0 if it is down or disabled.",
                &["endpoint"],
            )?,
        })
    }

    /// What is known without asking the store.
    pub fn update(&self, totals: &Totals, under_way: usize) {
        let raise = |counter: &IntCounter, to: u64| {
            counter.inc_by(to.saturating_sub(counter.get()));
        };
        raise(&self.done, totals.done);
        raise(&self.failed, totals.failed);
        raise(&self.parked, totals.parked);
        raise(&self.looped, totals.looped);
        raise(&self.untold, totals.untold);
        self.under_way
            .set(i64::try_from(under_way).unwrap_or(i64::MAX));
    }

    /// What is held back now; all silences are one.
    pub fn hold(&self, held: &[HeldCount]) {
        let by = |reason: &str| match reason {
            "quiet" => "quiet",
            "group" => "group",
            _ => "silence",
        };
        for one in ["quiet", "silence", "group"] {
            let counts = held.iter().filter(|held| by(&held.reason) == one);
            let total: u64 = counts.map(|held| held.count).sum();
            let total = i64::try_from(total).unwrap_or(i64::MAX);
            self.held.with_label_values(&[one]).set(total);
        }
    }

    /// What the store has counted.
    pub fn count<'e>(&self, counts: &[Count], endpoints: impl Iterator<Item = &'e Endpoint>) {
        self.deliveries.reset();
        self.up.reset();
        for endpoint in endpoints {
            if endpoint.gone_at.is_some() {
                continue; // Of deliveries without an endpoint only their number is of interest.
            }
            let is_up = endpoint.opened_at.is_none() && endpoint.disabled_at.is_none();
            self.up
                .with_label_values(&[&endpoint.name])
                .set(is_up.into());
            for state in [State::Due, State::Done, State::Parked] {
                let labels = [endpoint.name.as_str(), state.as_str()];
                self.deliveries.with_label_values(&labels).set(0);
            }
        }
        for Count {
            endpoint,
            state,
            total,
        } in counts
        {
            let labels = [endpoint.as_str(), state.as_str()];
            let total = i64::try_from(*total).unwrap_or(i64::MAX);
            self.deliveries.with_label_values(&labels).set(total);
        }
    }
}
