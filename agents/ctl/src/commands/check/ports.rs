//! Ports of socket units that are not listening while somebody else has the port.

use std::fs;
use std::io;

use roundsman_kit::Paths;

use super::{Part, Report, Surroundings};
use crate::systemd::Manager;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Looks at every socket unit of every agent.
pub fn check(around: &Surroundings, report: &mut Report) {
    let Some(manager) = &around.manager else {
        return;
    };
    let taken = match listening(around.host.paths()) {
        Ok(ports) => ports,
        Err(error) => {
            return report.unchecked(
                Part::Port,
                "ports of sockets",
                format!("/proc/net: {error}"),
            );
        }
    };
    let units = around.agents.iter().flat_map(|agent| &agent.units);
    for unit in units.filter(|unit| unit.name.ends_with(".socket") && unit.load == "loaded") {
        // While it is active, it is the one that listens.
        let is_ours = unit.active == "active";
        match ports(manager, &unit.name) {
            Ok(ports) => {
                for port in ports {
                    if !is_ours && taken.contains(&port) {
                        conflict(&unit.name, port, report);
                    } else {
                        report.sound(Part::Port, format!("{port} of {}", unit.name));
                    }
                }
            }
            Err(failure) => report.unchecked(Part::Port, &unit.name, format!("{failure:#}")),
        }
    }
}

fn conflict(unit: &str, port: u16, report: &mut Report) {
    report.found(
        Part::Port,
        (unit, format!("ListenStream={port}")),
        "another program listens on this port",
        format!(
            "`ss -ltnp 'sport = :{port}'` as root says which; stop it, or set ListenStream= \
             (first empty, then the new one) by `systemctl edit {unit}`"
        ),
    );
}

fn ports(manager: &Manager, unit: &str) -> anyhow::Result<Vec<u16>> {
    let listen = manager.socket(unit)?.listen;
    let streams = listen.iter().filter(|(kind, _)| kind == "Stream");
    Ok(streams
        .filter_map(|(_, address)| port_of(address))
        .collect())
}

/// The port of `[::]:9469` or `127.0.0.1:9469`; none for a path.
fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

/// Every TCP port that somebody listens on.
fn listening(paths: &Paths) -> io::Result<Vec<u16>> {
    let mut ports = parse(&fs::read_to_string(paths.at("/proc/net/tcp"))?);
    // Without IPv6 in the kernel there is no such file.
    if let Ok(table) = fs::read_to_string(paths.at("/proc/net/tcp6")) {
        ports.extend(parse(&table));
    }
    Ok(ports)
}

/// Lines of `/proc/net/tcp`: number, local address, remote address, state, all hexadecimal.
fn parse(table: &str) -> Vec<u16> {
    let rows = table.lines().skip(1);
    let ports = rows.filter_map(|row| {
        let mut fields = row.split_whitespace().skip(1);
        let (_, port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTEN).then_some(port)
    });
    ports.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_ports_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 0100007F:24FD 00000000:0000 0A 00000000:00000000 00:00000000\n\
            1: 0100007F:1F90 0100007F:24FD 01 00000000:00000000 00:00000000\n\
            2: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A\n\
            garbage\n";
        assert_eq!(parse(table), [9469, 22]);
        assert_eq!(port_of("[::]:9469"), Some(9469));
        assert_eq!(port_of("127.0.0.1:80"), Some(80));
        assert_eq!(port_of("/run/x.sock"), None);
    }
}
