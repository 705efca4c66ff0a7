//! Counters of the network protocols: `/proc/net/{netstat,snmp,snmp6}`.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::Page;
use crate::file::File;
use crate::text::{Line, Text, signed_decimal};

/// The counters that node_exporter shows by default, and `Tcp_MaxConn`, which the dashboard
/// "Node Exporter Full" asks for.
fn is_shown(protocol: &[u8], name: &[u8]) -> bool {
    let starts = |start: &[u8]| name.starts_with(start);
    if matches!(name, b"InErrors" | b"InErrs") {
        return true;
    }
    match protocol {
        b"Ip" => name == b"Forwarding",
        b"Ip6" | b"IpExt" => matches!(name, b"InOctets" | b"OutOctets"),
        b"Icmp" | b"Icmp6" => matches!(name, b"InMsgs" | b"OutMsgs"),
        b"TcpExt" => {
            starts(b"Listen")
                || starts(b"Syncookies")
                || matches!(
                    name,
                    b"TCPSynRetrans" | b"TCPTimeouts" | b"TCPOFOQueue" | b"TCPRcvQDrop"
                )
        }
        b"Tcp" => matches!(
            name,
            b"ActiveOpens"
                | b"InSegs"
                | b"OutSegs"
                | b"OutRsts"
                | b"PassiveOpens"
                | b"RetransSegs"
                | b"CurrEstab"
                | b"MaxConn"
        ),
        b"Udp" | b"Udp6" => matches!(
            name,
            b"InDatagrams" | b"OutDatagrams" | b"NoPorts" | b"RcvbufErrors" | b"SndbufErrors"
        ),
        _ => false,
    }
}

/// A line of names and the columns of it that are shown. The names never change while the
/// kernel runs, so they are looked at once.
#[derive(Debug, Default)]
struct Header {
    line: Vec<u8>,
    /// Column, counted from the one after the protocol, and family.
    shown: Vec<(usize, String)>,
}

impl Header {
    fn learn(&mut self, line: Line<'_>) -> Result<(), Error> {
        if self.line == line.bytes() {
            return Ok(());
        }
        let (protocol, names) = line.split(b':', "protocol")?;
        let plain = |name: &[u8]| name.iter().all(u8::is_ascii_alphanumeric);
        if protocol.is_empty() || !plain(protocol) || names.clone().any(|name| !plain(name)) {
            return Err(line.malformed("name of a counter"));
        }
        self.shown = names
            .enumerate()
            .filter(|(_, name)| is_shown(protocol, name))
            .map(|(at, name)| (at, family(protocol, name)))
            .collect();
        self.line = line.bytes().to_owned();
        Ok(())
    }
}

fn family(protocol: &[u8], name: &[u8]) -> String {
    format!(
        "node_netstat_{}_{}",
        String::from_utf8_lossy(protocol),
        String::from_utf8_lossy(name)
    )
}

const HELP: &str = "A counter of a network protocol.";

/// Writes the counters of a file in which a line of names goes before each line of values.
fn write_pairs(text: Text<'_>, headers: &mut Vec<Header>, page: &mut Page) -> Result<(), Error> {
    let mut lines = text.lines();
    let mut n = 0;
    while let Some(names) = lines.next() {
        let values = lines
            .next()
            .ok_or_else(|| names.malformed("line of values"))?;
        if n == headers.len() {
            headers.push(Header::default());
        }
        let header = &mut headers[n];
        header.learn(names)?;
        n += 1;
        let (protocol, mut fields) = values.split(b':', "protocol")?;
        if !header.line.starts_with(protocol) {
            return Err(values.malformed("line of values"));
        }
        let mut taken = 0;
        for (column, family) in &header.shown {
            let word = fields
                .nth(column - taken)
                .ok_or_else(|| values.malformed("counter"))?;
            taken = column + 1;
            let value = signed_decimal(word).ok_or_else(|| values.malformed("counter"))?;
            page.untyped(family, HELP).value(value);
        }
    }
    Ok(())
}

/// Writes the counters of a file with one name and value on each line (`snmp6`).
fn write_single(text: Text<'_>, name: &mut String, page: &mut Page) -> Result<(), Error> {
    for line in text.lines() {
        let mut fields = line.fields();
        let key = fields.word("name of a counter")?;
        let Some(six) = memchr::memchr(b'6', key) else {
            continue;
        };
        let (protocol, counter) = key.split_at(six + 1);
        if !is_shown(protocol, counter) || !protocol.iter().all(u8::is_ascii_alphanumeric) {
            continue;
        }
        name.clear();
        name.push_str("node_netstat_");
        name.extend(protocol.iter().map(|byte| char::from(*byte)));
        name.push('_');
        name.extend(counter.iter().map(|byte| char::from(*byte)));
        page.untyped(name, HELP).value(fields.number("counter")?);
    }
    Ok(())
}

pub(crate) struct NetstatCollector {
    netstat: (File, Vec<Header>),
    snmp: (File, Vec<Header>),
    snmp6: (File, String),
}

impl NetstatCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        let file = |name| File::listing(&host.root, host.root.net(name));
        Box::new(Self {
            netstat: (file("netstat"), Vec::new()),
            snmp: (file("snmp"), Vec::new()),
            snmp6: (file("snmp6"), String::new()),
        })
    }
}

impl Collector for NetstatCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        for (file, headers) in [&mut self.netstat, &mut self.snmp] {
            let mark = scrape.page.mark();
            let done = file
                .read(scrape.buffer)
                .and_then(|text| write_pairs(text, headers, scrape.page));
            if let Err(error) = done {
                scrape.page.rewind(mark);
                scrape.failed(error);
            }
        }
        let mark = scrape.page.mark();
        let (file, name) = &mut self.snmp6;
        let done = file
            .read(scrape.buffer)
            .and_then(|text| write_single(text, name, scrape.page));
        match done {
            // Without IPv6 there is no such file.
            Err(error) if error.is_missing_file() => {}
            Err(error) => {
                scrape.page.rewind(mark);
                scrape.failed(error);
            }
            Ok(()) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Format;
    use std::path::Path;

    fn written(text: &str, headers: &mut Vec<Header>) -> Result<String, Error> {
        let mut page = Page::new(Format::Text);
        let text = Text::new(Path::new("/proc/net/snmp"), text.as_bytes());
        write_pairs(text, headers, &mut page)?;
        let text = String::from_utf8_lossy(page.finish()).into_owned();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        Ok(samples.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn columns_are_found_by_name_even_when_they_move() {
        let mut headers = Vec::new();
        let first = "Tcp: MaxConn Other InErrs\nTcp: -1 5 7\nUdp: NoPorts\nUdp: 3\n";
        let expected =
            "node_netstat_Tcp_MaxConn -1,node_netstat_Tcp_InErrs 7,node_netstat_Udp_NoPorts 3";
        assert_eq!(written(first, &mut headers).unwrap(), expected);
        assert_eq!(written(first, &mut headers).unwrap(), expected);
        let moved = "Udp: X NoPorts\nUdp: 1 4\n";
        assert_eq!(
            written(moved, &mut headers).unwrap(),
            "node_netstat_Udp_NoPorts 4"
        );
    }

    #[test]
    fn values_without_names_are_refused() {
        for wrong in [
            "Tcp: InErrs\n",
            "Tcp: InErrs\nUdp: 1\n",
            "Tcp: InErrs\nTcp:\n",
            "Tcp: InErrs\nTcp: x\n",
            "Tcp InErrs\nTcp 1\n",
            "Tcp: In}Errs\nTcp: 1\n",
        ] {
            assert!(written(wrong, &mut Vec::new()).is_err(), "{wrong:?}");
        }
    }
}
