//! Making what the exporter is built of: threads, sockets, secrets.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use roundsman_host::exposition::parse::Limits;
use roundsman_kit::listen::{self, Listener as Socket};
use roundsman_kit::secret::{CredentialRef, Secret};
use roundsman_kit::{Class, Context, ResultExt};
use roundsman_net::{Bearer, Builder, Listener, Tls};
use roundsman_store::Location;

use crate::config::{Address, Settings, TlsKeys};
use crate::cycles::Cycles;
use crate::family::{self, Family};
use crate::units::{Plan, Units};
use roundsman_kit::Knock;

/// Who may connect to a unix socket that is bound here: our group.
const SOCKET_MODE: u32 = 0o660;

/// The thread of the units, unless it is switched off.
///
/// # Errors
/// The system refuses a thread.
pub fn units(ctx: &Context, settings: &Settings, knock: &Knock) -> anyhow::Result<Option<Units>> {
    if !settings.units.enabled {
        return Ok(None);
    }
    let units = Units::spawn(plan(ctx, settings)?, knock.clone());
    let units = units.fault(Class::Unavailable, || "starting the thread of the units")?;
    Ok(Some(units))
}

/// What the thread of the units goes by.
///
/// # Errors
/// A pattern that the validation has let through.
pub fn plan(ctx: &Context, settings: &Settings) -> anyhow::Result<Plan> {
    Ok(Plan {
        socket: ctx.paths().at("/run/dbus/system_bus_socket"),
        filter: settings.units.filter().fault(Class::Config, || "[units]")?,
        resync: settings.units.resync.0,
    })
}

/// The thread of the store, unless it is switched off.
///
/// # Errors
/// The system refuses a thread.
pub fn cycles(ctx: &Context, settings: &Settings, knock: &Knock) -> anyhow::Result<Option<Cycles>> {
    if !settings.cycles.enabled {
        return Ok(None);
    }
    let location = Location::new(ctx.paths(), &ctx.common().store);
    let cycles = Cycles::spawn(location, knock.clone());
    let cycles = cycles.fault(Class::Unavailable, || "starting the thread of the store")?;
    Ok(Some(cycles))
}

/// What every agent says of itself; it does not change while this one runs.
///
/// # Errors
/// A family that is not as it should be.
pub fn own_families(ctx: &Context) -> anyhow::Result<Vec<Family>> {
    let text = ctx.metrics().text().context("encoding the own registry")?;
    family::read(text.as_bytes(), &Limits::default()).context("reading the own registry")
}

/// The access token, if one is wanted.
///
/// # Errors
/// The credential cannot be read, or is no token.
pub fn token(ctx: &Context, settings: &Settings) -> anyhow::Result<Option<Bearer>> {
    let Some(reference) = &settings.token else {
        return Ok(None);
    };
    let bearer = Bearer::new(secret(ctx, reference)?.expose());
    let bearer = bearer.fault(Class::Config, || named(reference))?;
    Ok(Some(bearer))
}

/// Certificate and key, if TLS is wanted.
///
/// # Errors
/// A credential cannot be read, or they do not go together.
pub fn tls(ctx: &Context, settings: &Settings) -> anyhow::Result<Option<Tls>> {
    let Some(keys) = &settings.tls else {
        return Ok(None);
    };
    let (chain, key) = pair(ctx, keys)?;
    let tls = Tls::from_pem(chain.expose(), key.expose());
    Ok(Some(tls.fault(Class::Config, || "[tls]")?))
}

/// Serves another certificate from the next handshake on.
///
/// # Errors
/// As [`tls`]; the old certificate stays.
pub fn renew(ctx: &Context, tls: &Tls, keys: &TlsKeys) -> anyhow::Result<()> {
    let (chain, key) = pair(ctx, keys)?;
    tls.replace(chain.expose(), key.expose())
        .fault(Class::Config, || "[tls]")
}

fn pair(ctx: &Context, keys: &TlsKeys) -> anyhow::Result<(Secret, Secret)> {
    Ok((secret(ctx, &keys.certificate)?, secret(ctx, &keys.key)?))
}

fn secret(ctx: &Context, reference: &CredentialRef) -> anyhow::Result<Secret> {
    let secret = ctx.credentials().read(reference);
    secret.fault(Class::Config, || named(reference))
}

fn named(reference: &CredentialRef) -> String {
    format!("credential \"{}\"", reference.credential)
}

/// Adds the sockets that systemd passed, or else those of the configuration. Also returns them
/// in words.
///
/// # Errors
/// A socket that cannot be used or bound.
pub fn listen(
    ctx: &Context,
    mut builder: Builder,
    settings: &Settings,
    tls: Option<&Tls>,
) -> anyhow::Result<(Builder, String)> {
    let passed = listen::passed().fault(Class::Config, || "the sockets that systemd passed")?;
    let sockets = if passed.is_empty() {
        let addresses = settings.listen.iter();
        let bound: anyhow::Result<Vec<Socket>> = addresses.map(|at| bind(ctx, at)).collect();
        bound?
    } else {
        passed
    };
    let mut places = String::from("on ");
    for (number, socket) in sockets.into_iter().enumerate() {
        if number > 0 {
            places.push_str(", ");
        }
        let listener = match socket {
            Socket::Tcp(socket) => {
                let address = socket.local_addr().context("a socket without an address")?;
                // Writing to a string does not fail.
                let _ = write!(places, "{address}");
                let listener = Listener::tcp(socket);
                match tls {
                    Some(tls) => listener.with_tls(tls.clone()),
                    None => listener,
                }
            }
            Socket::Unix(socket) => {
                let address = socket.local_addr().context("a socket without an address")?;
                let path = address.as_pathname().map_or_else(PathBuf::new, Into::into);
                let _ = write!(places, "{}", path.display());
                Listener::unix(socket)
            }
        };
        builder = builder.listen(listener);
    }
    Ok((builder, places))
}

fn bind(ctx: &Context, address: &Address) -> anyhow::Result<Socket> {
    let bound = match address {
        Address::Tcp(address) => listen::bind_tcp(*address),
        Address::Unix(path) => {
            listen::bind_unix(&ctx.paths().at(path), SOCKET_MODE).map(Socket::Unix)
        }
    };
    bound.fault(Class::Unavailable, || format!("listening on {address}"))
}
