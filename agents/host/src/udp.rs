//! Bytes that wait in UDP sockets: `/proc/net/{udp,udp6}`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::file::File;
use crate::text::{Line, Text, hexadecimal};

/// The queues of one socket: the field `tx:rx` of the tables of sockets.
pub(crate) fn queues(line: Line<'_>, field: &[u8]) -> Result<(u64, u64), Error> {
    field
        .iter()
        .position(|byte| *byte == b':')
        .and_then(|colon| {
            let sent = hexadecimal(&field[..colon])?;
            let received = hexadecimal(&field[colon + 1..])?;
            Some((sent, received))
        })
        .ok_or_else(|| line.malformed("queues of a socket"))
}

fn sum(text: Text<'_>) -> Result<(u64, u64), Error> {
    let mut all = (0_u64, 0_u64);
    for line in text.table("local_address", "table of sockets")? {
        let field = line.fields().nth(4);
        let field = field.ok_or_else(|| line.malformed("queues of a socket"))?;
        let (sent, received) = queues(line, field)?;
        all.0 = all.0.saturating_add(sent);
        all.1 = all.1.saturating_add(received);
    }
    Ok(all)
}

pub(crate) struct UdpCollector([(File, &'static str); 2]);

impl UdpCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let file = |name| File::listing(&host.root, host.root.net(name));
        Box::new(Self([(file("udp"), "v4"), (file("udp6"), "v6")]))
    }
}

impl Collector for UdpCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let mut found = [None; 2];
        let mut absent = 0;
        for ((file, _), found) in self.0.iter_mut().zip(&mut found) {
            match file.read(scrape.buffer).and_then(sum) {
                Ok(queues) => *found = Some(queues),
                Err(error) if error.is_missing_file() => absent += 1,
                Err(error) => scrape.failed(error),
            }
        }
        if absent == found.len() {
            return Err(Error::NoData { what: "UDP socket" });
        }
        let mut family = scrape.page.gauge(
            "node_udp_queues",
            "Bytes that wait in UDP sockets, by direction and version of IP.",
        );
        for ((_, version), found) in self.0.iter().zip(found) {
            if let Some((sent, received)) = found {
                family.sample(&[("queue", "tx"), ("ip", version)], sent);
                family.sample(&[("queue", "rx"), ("ip", version)], received);
            }
        }
        Ok(())
    }
}
