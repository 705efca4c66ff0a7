//! As much of HTTP/1 as the answer of a registry needs.

use super::Fault;

/// In HTTP/1.0, so that the answer ends with the connection and is never chunked.
pub const QUESTION: &[u8] = b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\
    Accept: text/plain;version=0.0.4\r\nConnection: close\r\n\r\n";

/// The most that a head may have.
const HEAD: usize = 8 * 1024;

struct Head {
    status: u16,
    length: Option<usize>,
    /// Where the body begins.
    end: usize,
}

/// Whether all of the answer has come, so that the end of the connection need not be awaited.
pub fn is_whole(answer: &[u8], most: usize) -> Result<bool, Fault> {
    let Some(head) = head(answer)? else {
        return Ok(false);
    };
    let came = answer.len() - head.end;
    if came.max(head.length.unwrap_or(0)) > most {
        return Err(Fault::TooLarge(most));
    }
    Ok(head.length.is_some_and(|length| came >= length))
}

/// The body of an answer that has ended.
pub fn body(answer: &[u8], most: usize) -> Result<&[u8], Fault> {
    let head = head(answer)?.ok_or(Fault::NotHttp("it ends in its head"))?;
    let body = &answer[head.end..];
    let body = match head.length {
        Some(length) if length > most => return Err(Fault::TooLarge(most)),
        Some(length) => body
            .get(..length)
            .ok_or(Fault::NotHttp("it ends before its announced length"))?,
        None => body,
    };
    if head.status != 200 {
        return Err(Fault::Status(head.status));
    }
    Ok(body)
}

/// The head, once all of it has come.
fn head(answer: &[u8]) -> Result<Option<Head>, Fault> {
    let until = answer.len().min(HEAD);
    let end = answer[..until]
        .windows(4)
        .position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        if answer.len() >= HEAD {
            return Err(Fault::NotHttp("its head does not end"));
        }
        return Ok(None);
    };
    let text = std::str::from_utf8(&answer[..end]);
    let text = text.map_err(|_| Fault::NotHttp("its head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(status);
    let mut head = Head {
        status: status.ok_or(Fault::NotHttp("it has no status"))?,
        length: None,
        end: end + 4,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().ok();
            head.length = Some(length.ok_or(Fault::NotHttp("its length is not a number"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding")
            || name.eq_ignore_ascii_case("content-encoding")
        {
            return Err(Fault::NotHttp("it is encoded, which was not asked for"));
        }
    }
    Ok(Some(head))
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &str) -> String {
        match body(answer.as_bytes(), 10) {
            Ok(body) => String::from_utf8(body.to_vec()).unwrap(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn an_answer_ends_with_its_length_or_its_connection() {
        let sized = "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert!(is_whole(sized.as_bytes(), 10).unwrap());
        assert!(!is_whole(&sized.as_bytes()[..sized.len() - 1], 10).unwrap());
        assert!(!is_whole(b"HTTP/1.0 200 OK\r\n\r\nabc", 10).unwrap());
        assert_eq!(told(sized), "abc");
        assert_eq!(told("HTTP/1.1 200 OK\r\n\r\nabc"), "abc");
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for (answer, fault) in [
            ("HTTP/1.0 500 Oops\r\n\r\n", "answers with the status 500"),
            (
                "garbage\r\n\r\n",
                "the answer is not HTTP: it has no status",
            ),
            (
                "HTTP/1.0 200 OK\r\n",
                "the answer is not HTTP: it ends in its head",
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabc",
                "the answer is not HTTP: it ends before its announced length",
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 11\r\n\r\n",
                "the answer is larger than 10 bytes",
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
                "the answer is not HTTP: its length is not a number",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "the answer is not HTTP: it is encoded, which was not asked for",
            ),
        ] {
            assert_eq!(told(answer), fault, "{answer}");
        }
        let endless = "HTTP/1.0 200 OK\r\nX: ".to_owned() + &"x".repeat(HEAD);
        assert!(is_whole(endless.as_bytes(), 10).is_err());
        assert!(is_whole(b"HTTP/1.0 200 OK\r\n\r\n01234567890", 10).is_err());
    }
}
