//! Time that tasks ran and waited, by processor: `/proc/schedstat`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::Value;
use crate::file::File;
use crate::text::{Text, printable};

struct Row {
    cpu: String,
    running_nanos: u64,
    waiting_nanos: u64,
    timeslices: u64,
}

fn parse(text: Text<'_>) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.bytes().strip_prefix(b"cpu") else {
            continue;
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut fields = line.fields();
        for _ in 0..7 {
            fields.word("time of a processor")?;
        }
        rows.push(Row {
            cpu: printable(&rest[..digits]).into_owned(),
            running_nanos: fields.number("running time")?,
            waiting_nanos: fields.number("waiting time")?,
            timeslices: fields.number("count of time slices")?,
        });
    }
    Ok(rows)
}

pub(crate) struct SchedstatCollector(File);

impl SchedstatCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self(File::listing(&host.root, host.root.proc("schedstat"))))
    }
}

impl Collector for SchedstatCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.0.read(scrape.buffer);
        let rows = parse(text.map_err(|error| error.or_no_data("scheduler statistics"))?)?;
        let mut family = scrape.page.counter(
            "node_schedstat_running_seconds_total",
            "Time that tasks ran on the processor, in seconds.",
        );
        for row in &rows {
            family.sample(&[("cpu", &*row.cpu)], Value::billionths(row.running_nanos));
        }
        let mut family = scrape.page.counter(
            "node_schedstat_waiting_seconds_total",
            "Time that tasks waited for the processor, in seconds.",
        );
        for row in &rows {
            family.sample(&[("cpu", &*row.cpu)], Value::billionths(row.waiting_nanos));
        }
        let mut family = scrape.page.counter(
            "node_schedstat_timeslices_total",
            "Time slices that tasks were given on the processor.",
        );
        for row in &rows {
            family.sample(&[("cpu", &*row.cpu)], row.timeslices);
        }
        Ok(())
    }
}
