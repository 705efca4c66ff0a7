//! What an agent gives the server: a handler that never blocks the network thread.

use std::future::Future;
use std::pin::Pin;

use crate::message::{Head, Request, Response};

/// An answer on its way. It is polled on the network thread and must not block there; slow work
/// belongs in a [`crate::Worker`].
pub type Answer = Pin<Box<dyn Future<Output = Response>>>;

/// An answer that is ready.
pub fn answer(response: Response) -> Answer {
    Box::pin(std::future::ready(response))
}

/// Answers requests. A plain `Fn(Request) -> Answer` is one that admits every head.
///
/// A panic costs the one request 500.
pub trait Handler: Send + 'static {
    /// Decides at the head, before any byte of the body is read: method, path, token, signature
    /// field. Runs on the network thread.
    ///
    /// # Errors
    ///
    /// The response that refuses the request; its body, if there is one, is not read.
    fn admit(&self, head: &Head) -> Result<(), Response> {
        let _ = head;
        Ok(())
    }

    /// Answers an admitted request.
    fn answer(&self, request: Request) -> Answer;
}

impl<F: Fn(Request) -> Answer + Send + 'static> Handler for F {
    fn answer(&self, request: Request) -> Answer {
        self(request)
    }
}
