//! An access token in `Authorization: Bearer …` (RFC 6750).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use subtle::ConstantTimeEq as _;

use crate::message::{Head, Response};
use crate::throttle::Throttle;

/// Why a token cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing but white space.
    #[error("the token is empty")]
    Empty,
    /// A byte that no client can send in a header field.
    #[error("the token holds white space, a control character or a byte above 126")]
    NotPrintable,
}

/// Checks the token of a request. Clones share the token, so that one of them can replace it.
#[derive(Clone)]
pub struct Bearer(Arc<Inner>);

struct Inner {
    token: RwLock<Box<[u8]>>,
    wrong: Throttle,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(..)")
    }
}

impl Bearer {
    /// Takes the token; white space around it (a file's last newline) is not part of it.
    ///
    /// # Errors
    ///
    /// It is empty, or no client could send it.
    pub fn new(token: &[u8]) -> Result<Self, TokenError> {
        Ok(Self(Arc::new(Inner {
            token: RwLock::new(checked(token)?),
            wrong: Throttle::minutely(),
        })))
    }

    /// Replaces the token from the next request on.
    ///
    /// # Errors
    ///
    /// As [`Bearer::new`]; the old token stays.
    pub fn replace(&self, token: &[u8]) -> Result<(), TokenError> {
        let token = checked(token)?;
        *self.0.token.write().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    /// Lets a request with the token pass. The comparison takes the same time wherever two
    /// tokens of one length differ. Wrong tokens leave one journal line a minute.
    ///
    /// # Errors
    ///
    /// The 401 response with its `WWW-Authenticate` field.
    pub fn check(&self, head: &Head) -> Result<(), Response> {
        let mut fields = head.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Err(refused("Bearer realm=\"roundsman\""));
        };
        let token = self.0.token.read().unwrap_or_else(PoisonError::into_inner);
        if credentials(field.as_bytes()).is_some_and(|given| bool::from(given.ct_eq(&token))) {
            return Ok(());
        }
        if let Some(count) = self.0.wrong.note(Instant::now()) {
            log::warn!(
                "{count} request(s) with a wrong access token, the last from {}",
                head.peer
            );
        }
        Err(refused(
            "Bearer realm=\"roundsman\", error=\"invalid_token\"",
        ))
    }
}

fn checked(token: &[u8]) -> Result<Box<[u8]>, TokenError> {
    let token = token.trim_ascii();
    if token.is_empty() {
        Err(TokenError::Empty)
    } else if token.iter().all(u8::is_ascii_graphic) {
        Ok(token.into())
    } else {
        Err(TokenError::NotPrintable)
    }
}

fn credentials(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

fn refused(challenge: &'static str) -> Response {
    Response::text(StatusCode::UNAUTHORIZED, "access token missing or wrong\n").with(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Peer;
    use hyper::{HeaderMap, Method, Uri};

    fn head(fields: &[&'static str]) -> Head {
        let fields = fields
            .iter()
            .map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value)));
        Head {
            method: Method::GET,
            uri: Uri::from_static("/"),
            headers: HeaderMap::from_iter(fields),
            peer: Peer::Unix,
            deadline: Instant::now(),
        }
    }

    #[test]
    fn only_the_token_itself_passes_and_a_replaced_one_does_not() {
        let bearer = Bearer::new(b"s3cret\n").unwrap();
        for good in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            assert!(bearer.check(&head(&[good])).is_ok(), "{good}");
        }
        for bad in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer ",
            "Basic s3cret",
            "s3cret",
            "",
        ] {
            let response = bearer.check(&head(&[bad])).unwrap_err();
            assert_eq!(response.status, StatusCode::UNAUTHORIZED, "{bad}");
            assert!(response.headers.contains_key(header::WWW_AUTHENTICATE));
        }
        assert!(bearer.check(&head(&[])).is_err());
        assert!(
            bearer
                .check(&head(&["Bearer s3cret", "Bearer s3cret"]))
                .is_err()
        );

        bearer.clone().replace(b"other").unwrap();
        assert!(bearer.check(&head(&["Bearer s3cret"])).is_err());
        assert!(bearer.check(&head(&["Bearer other"])).is_ok());
    }

    #[test]
    fn a_token_that_no_client_can_send_is_refused_and_none_is_printed() {
        assert_eq!(Bearer::new(b" \n").unwrap_err(), TokenError::Empty);
        assert_eq!(Bearer::new(b"a b").unwrap_err(), TokenError::NotPrintable);
        assert_eq!(Bearer::new(b"\xff").unwrap_err(), TokenError::NotPrintable);
        assert!(!format!("{:?}", Bearer::new(b"s3cret").unwrap()).contains("s3cret"));
    }
}
