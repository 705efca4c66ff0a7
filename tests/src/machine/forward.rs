//! A port of this machine that leads to a port inside: no interface, no firewall rule, gone with
//! the process.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::Machine;
use super::http::Network;

impl Machine {
    /// Lets `port` of this machine's loopback (another, where it is taken) lead to the same
    /// port of the machine's; gives the address to connect to. Lasts as long as this process.
    pub fn forward(&self, port: u16) -> Result<SocketAddr> {
        let network = Arc::new(self.network()?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("listening on the loopback")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let network = Arc::clone(&network);
                std::thread::spawn(move || {
                    // A client that goes away, a port where nobody listens: its own affair.
                    drop(relay(&client, &network, port));
                });
            }
        });
        Ok(address)
    }
}

/// Carries bytes both ways until both sides have finished.
fn relay(client: &TcpStream, network: &Network, port: u16) -> Result<()> {
    let server = network.connect(port)?;
    std::thread::scope(|scope| {
        scope.spawn(|| carry(client, &server));
        carry(&server, client)
    })?;
    Ok(())
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
