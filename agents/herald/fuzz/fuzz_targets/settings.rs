//! A file of triggers and endpoints is refused with reasons, or it can be used: each trigger that
//! validates has a matcher, each endpoint a renderer, an address and networks that parse.

#![no_main]

use hyper::Uri;
use libfuzzer_sys::{Corpus, fuzz_target};
use roundsman_herald::config::{Settings, mailbox};
use roundsman_herald::format::{Options, Renderer};
use roundsman_herald::guard::{Host, Net};
use roundsman_herald::matching::Matcher;
use roundsman_kit::config::Config;

fuzz_target!(|text: &str| -> Corpus {
    let Ok(settings) = toml::from_str::<Settings>(text) else {
        return Corpus::Keep;
    };
    let findings = settings.validate();
    for finding in &findings {
        assert!(!finding.key.is_empty() && !finding.reason.is_empty());
    }
    if !findings.is_empty() {
        return Corpus::Keep;
    }
    for trigger in settings.triggers.values() {
        assert!(Matcher::new(trigger).is_ok());
    }
    for endpoint in settings.endpoints.values() {
        match &endpoint.mail {
            Some(mail) => {
                let boxes = mail.to.iter().chain([&mail.from]);
                assert!(boxes.into_iter().all(|name| mailbox(name).is_ok()));
                assert!(Host::parse(&mail.server).is_ok() && mail.port() != 0);
            }
            None => {
                let uri: Result<Uri, _> = endpoint.url.parse();
                assert!(uri.is_ok_and(|uri| uri.host().is_some()));
            }
        }
        assert!(endpoint.allow.iter().all(|net| net.parse::<Net>().is_ok()));
        let options = Options {
            topic: endpoint.topic.as_deref(),
            template: endpoint.template.as_deref(),
            content_type: endpoint.content_type.as_deref(),
            source_prefix: endpoint.source_prefix.as_deref(),
            type_prefix: endpoint.type_prefix.as_deref(),
        };
        assert!(Renderer::new(endpoint.format, &options).is_ok());
    }
    // What is written is read again as the same.
    if let Ok(written) = toml::to_string(&settings) {
        assert_eq!(toml::from_str::<Settings>(&written).ok(), Some(settings));
    }
    Corpus::Keep
});
