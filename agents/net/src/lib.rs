//! The hardened TCP server of every agent that listens: HTTP/1 by hyper on one network thread,
//! with a deadline for everything that a client can delay and a bound on everything it can fill.
//!
//! ```
//! use std::net::TcpListener;
//! use roundsman_net::{Limits, Listener, Method, Request, Response, Server, StatusCode, answer};
//!
//! let socket = TcpListener::bind("127.0.0.1:0")?; // or one that systemd passed
//! let server = Server::builder(Limits { body_bytes: 0, ..Limits::default() })
//!     .listen(Listener::tcp(socket))
//!     .spawn(|request: Request| {
//!         answer(match request.head.path() {
//!             "/healthz" => match request.head.allow(&[Method::GET, Method::HEAD]) {
//!                 Ok(()) => Response::text(StatusCode::OK, "ok\n"),
//!                 Err(refused) => refused,
//!             },
//!             _ => Response::not_found(),
//!         })
//!     })?;
//! assert!(server.tick()); // from the main loop, before each watchdog ping
//! assert_eq!(server.stop(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//! - nothing a client sends, or does not send, ends the server, blocks it for others, or makes it
//!   hold more than [`Limits`] allows;
//! - no connection is closed for another while its answer is made, or while its client reads it;
//! - a fault that a client can cause is a counter, and at most one journal line a minute;
//! - a handler never runs on the network thread for long: slow work is a [`Worker`]'s.

mod bearer;
mod conn;
mod core;
mod counters;
mod drive;
mod error;
mod handler;
mod limits;
mod listener;
mod message;
pub mod negotiate;
mod places;
mod refusal;
mod server;
mod service;
mod stream;
mod throttle;
mod tls;
mod worker;

pub use bearer::{Bearer, TokenError};
pub use counters::{Counters, STATUSES, Snapshot};
pub use error::{Error, classify};
pub use handler::{Answer, Handler, answer};
pub use hyper::body::Bytes;
pub use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode, Uri};
pub use limits::{LimitError, Limits};
pub use listener::Listener;
pub use message::{Head, Peer, Request, Response};
pub use refusal::Refusal;
pub use server::{Builder, Server};
pub use throttle::Throttle;
pub use tls::{Tls, TlsError};
pub use worker::Worker;
