//! What a client accepts (RFC 9110 §12.5), weighed by its q-values.

use hyper::header::{self, HeaderMap, HeaderName};

/// A media range of `Accept`: `text/*;q=0.5`.
struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    weight: u16,
}

/// The media type that the client likes best, by its index in `offers`; among equals the first.
/// Without an `Accept` field it is the first of all; `None` if the client accepts none of them.
///
/// An offer is written like a `Content-Type`. A parameter counts against an offer only where
/// both name it with different values: `text/plain;version=1.0.0;escaping=x` does not want
/// `text/plain; version=0.0.4`, and does want `text/plain; version=1.0.0; charset=utf-8`.
pub fn media_type(headers: &HeaderMap, offers: &[&str]) -> Option<usize> {
    let ranges: Vec<Range> = elements(headers, &header::ACCEPT)
        .filter_map(range)
        .collect();
    if ranges.is_empty() {
        return (!offers.is_empty()).then_some(0);
    }
    let weighed = offers.iter().enumerate().filter_map(|(at, offer)| {
        let offer = range(offer)?;
        let fit = ranges.iter().filter_map(|range| fit(range, &offer));
        // The most specific range that fits decides, however high a vaguer one is weighed.
        let (_, weight) = fit.max()?;
        (weight > 0).then_some((weight, at))
    });
    weighed
        .max_by(|(weight, at), (other, other_at)| weight.cmp(other).then(other_at.cmp(at)))
        .map(|(_, at)| at)
}

/// Whether to answer with gzip: the client accepts it and does not like plain bytes better.
pub fn gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for element in elements(headers, &header::ACCEPT_ENCODING) {
        let mut parts = element.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts
            .find_map(weight)
            .map_or(1000, |weight| weight.unwrap_or(0));
        match coding.as_str() {
            "gzip" | "x-gzip" => gzip = gzip.max(Some(weight)),
            "identity" => identity = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// The list elements of every field of this name, without those that are empty or not text.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// Parses a media range or type; one that is malformed counts as absent.
fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subkind) = parts.next()?.split_once('/')?;
    let mut parsed = Range {
        kind,
        subkind,
        parameters: Vec::new(),
        weight: 1000,
    };
    for part in parts.filter(|part| !part.is_empty()) {
        if let Some(weight) = weight(part) {
            parsed.weight = weight?;
        } else if let Some((name, value)) = part.split_once('=') {
            parsed
                .parameters
                .push((name.trim(), value.trim().trim_matches('"')));
        }
    }
    Some(parsed)
}

/// The thousandths of `q=0.5`: `None` for another parameter, `Some(None)` for no valid weight.
fn weight(parameter: &str) -> Option<Option<u16>> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let value: f32 = value.trim().parse().unwrap_or(-1.0);
    let valid = (0.0..=1.0).contains(&value);
    Some(valid.then_some((value * 1000.0).round() as u16))
}

/// How specifically `range` names `offer`, and its weight; `None` if it does not fit.
fn fit(range: &Range, offer: &Range) -> Option<(usize, u16)> {
    if range.kind == "*" && range.subkind == "*" {
        return Some((0, range.weight));
    }
    if !range.kind.eq_ignore_ascii_case(offer.kind) {
        return None;
    }
    if range.subkind == "*" {
        return Some((1, range.weight));
    }
    if !range.subkind.eq_ignore_ascii_case(offer.subkind) {
        return None;
    }
    let mut equal = 0;
    for (name, value) in &range.parameters {
        let offered = offer
            .parameters
            .iter()
            .find(|(offered, _)| offered.eq_ignore_ascii_case(name));
        match offered {
            Some((_, offered)) if offered.eq_ignore_ascii_case(value) => equal += 1,
            Some(_) => return None,
            None => {}
        }
    }
    Some((2 + equal, range.weight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (name.clone(), value)).collect()
    }

    fn accepted(accept: &[&'static str]) -> Option<usize> {
        media_type(&headers(header::ACCEPT, accept), &[TEXT, OPEN])
    }

    #[test]
    fn the_clients_weights_decide_between_the_offers() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (&[][..], Some(0)),
            (&[""], Some(0)),
            (&["*/*"], Some(0)),
            (&[prometheus], Some(1)),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Some(0)),
            (&["text/*;q=0.5, application/*;q=0.6"], Some(1)),
            (
                &["APPLICATION/openmetrics-TEXT; version=\"1.0.0\""],
                Some(1),
            ),
            (&["application/openmetrics-text;version=2.0.0"], None),
            (
                &["application/openmetrics-text", "text/plain;q=0.9"],
                Some(1),
            ),
            (&["text/plain;q=0, */*;q=0.1"], Some(1)),
            (&["text/plain;q=0.1, */*"], Some(1)),
            (&["image/png"], None),
            (&["text/plain;q=nonsense, application/*;q=0.1"], Some(1)),
            (&["text/plain;q=2"], Some(0)),
            (&["garbage"], Some(0)),
        ] {
            assert_eq!(accepted(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            (&[][..], false),
            (&["gzip"], true),
            (&["deflate, GZip;q=1.0, *;q=0.5"], true),
            (&["deflate", "x-gzip"], true),
            (&["*"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["gzip;q=0.5, identity;q=0.9"], false),
            (&["gzip;q=0.5, identity;q=0.5"], true),
            (&["gzip;q=x"], false),
            (&["identity"], false),
            (&["br, zstd"], false),
        ] {
            let headers = headers(header::ACCEPT_ENCODING, accept);
            assert_eq!(gzip(&headers), expected, "{accept:?}");
        }
    }
}
