//! TCP connections by state: `/proc/net/{tcp,tcp6}`.
//!
//! Off unless asked for: the kernel walks its whole table of connections to make these files,
//! which costs more than the rest of the page together (milliseconds on a host with much
//! memory, however few connections there are).

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::File;
use crate::text::{Text, hexadecimal};
use crate::udp::queues;

/// The states by their number in the file, which counts from 1.
const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

#[derive(Default)]
struct Sums {
    states: [u64; STATES.len()],
    sent: u64,
    received: u64,
}

fn add(text: Text<'_>, sums: &mut Sums) -> Result<(), Error> {
    for line in text.table("local_address", "table of sockets")? {
        let mut fields = line.fields().skip(3);
        let (Some(state), Some(waiting)) = (fields.next(), fields.next()) else {
            return Err(line.malformed("state of a connection"));
        };
        let number = hexadecimal(state).ok_or_else(|| line.malformed("state of a connection"))?;
        // What a newer kernel adds (12: a request not yet answered) counts for its queues only.
        let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        if let Some(count) = sums.states.get_mut(at) {
            *count += 1;
        }
        let (sent, received) = queues(line, waiting)?;
        sums.sent = sums.sent.saturating_add(sent);
        sums.received = sums.received.saturating_add(received);
    }
    Ok(())
}

pub(crate) struct TcpCollector([File; 2]);

impl TcpCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let file = |name| File::listing(&host.root, host.root.net(name));
        Box::new(Self([file("tcp"), file("tcp6")]))
    }
}

impl Collector for TcpCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut sums = Sums::default();
        let [v4, v6] = &mut self.0;
        let text = v4.read(scrape.buffer);
        let no_tcp = |error: Error| error.or_no_data("TCP socket");
        add(text.map_err(no_tcp)?, &mut sums)?;
        match v6.read(scrape.buffer) {
            Ok(text) => add(text, &mut sums)?,
            // IPv6 is switched off.
            Err(error) if error.is_missing_file() => {}
            Err(error) => return Err(error),
        }
        let mut family = scrape.page.gauge(
            "node_tcp_connection_states",
            "TCP connections in each state, and bytes that wait in their queues.",
        );
        for (state, count) in STATES.into_iter().zip(sums.states) {
            family.sample(&[("state", state)], count);
        }
        family.sample(&[("state", "rx_queued_bytes")], sums.received);
        family.sample(&[("state", "tx_queued_bytes")], sums.sent);
        Ok(())
    }
}
