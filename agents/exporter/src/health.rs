//! Which sources are broken: said once in the journal when it begins and once when it ends.

use std::collections::BTreeMap;

use roundsman_kit::log::id;

/// The broken sources, by name, with what is wrong with them.
#[derive(Debug, Default)]
pub struct Health {
    broken: BTreeMap<String, Broken>,
}

#[derive(Debug)]
struct Broken {
    fault: String,
    seen: bool,
}

impl Broken {
    /// A fault that only counts on, as a file's age, is not told again.
    fn is_same_but_for_numbers(&self, fault: &str) -> bool {
        let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        words(&self.fault) == words(fault)
    }
}

fn tell(source: &str, fault: &str) {
    log::warn!(MESSAGE_ID = id::COLLECTOR_FAILED, "ROUNDSMAN_TARGET" = source; "{source}: {fault}");
}

impl Health {
    /// Begins a round of notes: a source that is not noted in it is gone, not mended.
    pub fn begin(&mut self) {
        self.broken
            .values_mut()
            .for_each(|broken| broken.seen = false);
    }

    /// Notes a source that works.
    pub fn sound(&mut self, source: &str) {
        if self.broken.remove(source).is_some() {
            log::info!(MESSAGE_ID = id::COLLECTOR_RECOVERED, "ROUNDSMAN_TARGET" = source; "{source}: can be read again");
        }
    }

    /// Notes a source that does not.
    pub fn broken(&mut self, source: &str, fault: String) {
        match self.broken.get_mut(source) {
            Some(known) => {
                known.seen = true;
                if known.fault != fault && !known.is_same_but_for_numbers(&fault) {
                    tell(source, &fault);
                }
                known.fault = fault;
            }
            None => {
                tell(source, &fault);
                self.broken
                    .insert(source.to_owned(), Broken { fault, seen: true });
            }
        }
    }

    /// Notes how a source fared.
    pub fn note(&mut self, source: &str, fault: Option<&String>) {
        match fault {
            Some(fault) => self.broken(source, fault.clone()),
            None => self.sound(source),
        }
    }

    /// Ends the round: forgets what was not noted in it.
    pub fn end(&mut self) {
        self.broken.retain(|_, broken| broken.seen);
    }

    /// The names of the broken sources.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.broken.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_broken_until_it_is_sound_or_gone() {
        let mut health = Health::default();
        let names = |health: &Health| health.names().map(str::to_owned).collect::<Vec<_>>();
        health.begin();
        health.broken("a", "is late".into());
        health.broken("b", "is gone".into());
        health.sound("c");
        health.end();
        assert_eq!(names(&health), ["a", "b"]);
        health.begin();
        health.sound("a");
        health.note("c", Some(&"is garbled".into()));
        health.end();
        assert_eq!(names(&health), ["c"], "b was not noted any more");
    }
}
