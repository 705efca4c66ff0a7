//! Whatever a mail server says before TLS: we are done with it, say no more than our two commands,
//! leave all for TLS that stands behind its last word, and tell what was wrong in a short line.

#![no_main]

use std::cell::RefCell;

use lettre::transport::smtp::extension::ClientId;
use libfuzzer_sys::fuzz_target;
use roundsman_herald::mail::starttls;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};

/// More than a server may say, and more than we do.
const PIPE: usize = 64 * 1024;

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().build().expect("a runtime"));
}

fuzz_target!(|data: &[u8]| {
    let (asked, left, said) = RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(PIPE);
            theirs.write_all(data).await.expect("room");
            theirs.shutdown().await.expect("an end");
            let hello = ClientId::Domain("web1".into());
            let asked = starttls::ask(&mut ours, &hello).await;
            let mut left = Vec::new();
            ours.read_to_end(&mut left).await.expect("the rest");
            drop(ours);
            let mut said = String::new();
            theirs.read_to_string(&mut said).await.expect("text");
            (asked, left, said)
        })
    });
    let ours = "EHLO web1\r\nSTARTTLS\r\n";
    assert!(ours.starts_with(&said), "{said:?}");
    let heard = &data[..data.len() - left.len()];
    match asked {
        Ok(()) => {
            assert_eq!(said, ours);
            let lines: Vec<&[u8]> = heard.split_inclusive(|byte| *byte == b'\n').collect();
            assert!(
                lines
                    .last()
                    .is_some_and(|line| line.starts_with(b"220") && line.ends_with(b"\n"))
            );
            let offers = |line: &&[u8]| {
                line.to_ascii_uppercase()
                    .windows(8)
                    .any(|word| word == b"STARTTLS")
            };
            assert!(lines.iter().any(offers));
        }
        Err(fault) => {
            let told = fault.to_string();
            assert!(!told.is_empty() && told.len() < 1024, "{told:?}");
            assert!(!told.contains(char::is_control), "{told:?}");
        }
    }
});
