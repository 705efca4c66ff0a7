//! `roundsman deliveries show`: everything that is known of one delivery.

use std::io::Write;
use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use roundsman_kit::clock::Timestamp;
use roundsman_store::delivery::{self, Body, DeliveryId};
use roundsman_store::event::Event;
use serde::Serialize;

use super::row::{self, Row};
use super::{delivery_id, no_delivery, refuse};
use crate::flat;
use crate::host::Host;
use crate::moment;
use crate::terminal::{HEAD, Out, escape};

/// Which delivery to show.
#[derive(Debug, Args)]
pub struct Show {
    /// The number that the list shows
    #[arg(value_parser = delivery_id)]
    id: DeliveryId,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    row: row::Json<'a>,
    last_answer: Option<&'a str>,
    body: Option<JsonBody<'a>>,
    event: Option<&'a Event>,
}

#[derive(Serialize)]
struct JsonBody<'a> {
    content_type: &'a str,
    bytes: usize,
    text: std::borrow::Cow<'a, str>,
}

impl<'a> JsonBody<'a> {
    fn of(body: &'a Body) -> Self {
        Self {
            content_type: &body.content_type,
            bytes: body.bytes.len(),
            text: String::from_utf8_lossy(&body.bytes),
        }
    }
}

impl Show {
    /// Shows it.
    pub fn run(self, host: &Host, out: &mut Out) -> anyhow::Result<ExitCode> {
        let found = host.store()?.read(|tx| {
            let found = delivery::get(tx, self.id)?;
            Row::of(tx, found.into_iter().collect())
        })?;
        let Some(row) = found.first() else {
            return Ok(refuse(&[no_delivery(self.id)]));
        };
        if self.json {
            out.json_line(&Json {
                row: row.json(),
                last_answer: row.delivery.last_answer.as_deref(),
                body: row.delivery.body.as_ref().map(JsonBody::of),
                event: row.event.as_ref(),
            })?;
        } else {
            text(row, out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(row: &Row, out: &mut Out) -> anyhow::Result<()> {
    let now = moment::now();
    let at = |at: Timestamp| format!("{} ({})", moment::show(at), moment::relative(at, now));
    let delivery = &row.delivery;
    let (state, style) = row.state();
    let head = out.paint(HEAD, &format!("delivery {}", delivery.id.0));
    writeln!(out, "{head} to {}", escape(&delivery.endpoint))?;
    let status = delivery.last_status.map(|status| status.to_string());
    let fields = [
        ("state", Some(state.to_owned())),
        ("uid", Some(delivery.uid.clone())),
        ("trigger", Some(delivery.trigger.clone())),
        ("severity", Some(delivery.severity.to_string())),
        ("order key", delivery.order_key.clone()),
        ("made", Some(at(delivery.created_at))),
        ("tries", Some(delivery.attempts.to_string())),
        ("put back", Some(delivery.redelivered.to_string())),
        ("next try", Some(row.next(now))),
        ("last try", delivery.last_at.map(at)),
        ("status", status),
        ("error", delivery.last_error.clone()),
        ("answer", delivery.last_answer.clone()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            let style = if name == "state" { style } else { Style::new() };
            writeln!(out, "  {name:<9}  {}", out.paint(style, &value))?;
        }
    }
    event(row, out)?;
    if let Some(body) = &delivery.body {
        let size = body.bytes.len();
        let title = out.paint(HEAD, "body");
        writeln!(out, "{title} {}, {size} bytes", escape(&body.content_type))?;
        let text = String::from_utf8_lossy(&body.bytes);
        writeln!(out, "  {}", escape(&text))?;
    }
    Ok(())
}

fn event(row: &Row, out: &mut Out) -> anyhow::Result<()> {
    let title = out.paint(HEAD, "event");
    let Some(event) = &row.event else {
        if let Some(id) = row.delivery.event {
            writeln!(out, "{title} {}, which is no longer in the store", id.0)?;
        }
        return Ok(());
    };
    writeln!(out, "{title} {}", event.id.0)?;
    let fields = [
        ("at", Some(moment::show(event.at))),
        ("agent", Some(event.agent.clone())),
        ("kind", Some(event.kind.clone())),
        ("state", Some(event.state.to_string())),
        ("subject", event.subject.clone()),
        ("message", Some(event.message.clone())),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            writeln!(out, "  {name:<9}  {}", escape(&value))?;
        }
    }
    for (name, value) in &event.labels {
        writeln!(out, "  labels.{}={}", escape(name), escape(value))?;
    }
    for (name, value) in flat::pairs(&event.data) {
        writeln!(out, "  data.{}={}", escape(&name), escape(&value))?;
    }
    Ok(())
}
