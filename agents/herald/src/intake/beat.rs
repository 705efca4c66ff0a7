//! Signs of life, given to the endpoints that want them.

use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, NewDelivery};
use roundsman_store::event::Event;
use roundsman_store::{Result, WriteTx};

use super::Intake;
use crate::compose::Content;
use crate::heartbeat;

impl Intake {
    /// Gives every endpoint that wants one the sign of life of this slot.
    pub(super) fn beat(&self, tx: &WriteTx<'_>, now: Timestamp) -> Result<usize> {
        let mut made = 0;
        for (endpoint, target) in &self.endpoints {
            let Some(every) = target.settings.heartbeat.map(|span| span.0) else {
                continue;
            };
            let slot = heartbeat::slot(every, now);
            let is_beaten = |at: Timestamp| at <= now && heartbeat::slot(every, at) == slot;
            if self.beaten_at.is_some_and(is_beaten) {
                continue;
            }
            let sign = |turn| {
                let host = &self.around.host;
                heartbeat::event(self.agent, endpoint, host, every, (slot, turn))
            };
            let mut event = sign(0);
            // Whoever begins may have been here before a restart. Later a slot that has its sign
            // has come again, with a clock that stepped back.
            let turns = 1..heartbeat::TURNS;
            for turn in turns.take_while(|_| self.beaten_at.is_some()) {
                if !delivery::is_known(tx, endpoint, &event.uid)? {
                    break;
                }
                event = sign(turn);
            }
            let composer = &target.post.composer;
            let rendered = composer.render(&event, &[], heartbeat::TRIGGER, &event.uid);
            let rendered = match rendered {
                Ok(rendered) => rendered,
                Err(reply) => {
                    let error = reply.error();
                    log::warn!("{endpoint}: there is no sign of life: {error}");
                    continue;
                }
            };
            made += beat_once(tx, endpoint, &event, rendered, now)?;
        }
        Ok(made)
    }

    /// When the next sign of life is due.
    pub(super) fn next_beat(&self, now: Timestamp) -> Option<Timestamp> {
        let spans = self
            .endpoints
            .values()
            .filter_map(|one| one.settings.heartbeat);
        let nexts = spans.map(|span| heartbeat::begin(span.0, heartbeat::slot(span.0, now) + 1));
        nexts.min()
    }
}

fn beat_once(
    tx: &WriteTx<'_>,
    endpoint: &str,
    event: &Event,
    content: Content,
    now: Timestamp,
) -> Result<usize> {
    let new = NewDelivery {
        uid: &event.uid,
        endpoint,
        trigger: heartbeat::TRIGGER,
        event: None,
        order_key: None,
        severity: event.severity,
        now,
        body: Some(&content.body),
    };
    delivery::replace(tx, endpoint, heartbeat::TRIGGER, &event.uid)?;
    let Some(id) = delivery::insert(tx, &new)? else {
        return Ok(0);
    };
    delivery::dress(tx, id, &content.headers)?;
    Ok(1)
}
