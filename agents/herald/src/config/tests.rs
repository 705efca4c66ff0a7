use super::*;

#[test]
fn the_shipped_file_shows_every_key_at_its_default() {
    let text = include_str!("../../../../config/herald.toml");
    roundsman_tests::assert_shipped_config(text, &Settings::default());
}

#[test]
fn a_time_that_could_not_be_written_again_is_refused() {
    let time = "2026-11-20T08:00:00.000Z".to_owned();
    let start = Start::try_from(time.clone()).unwrap();
    assert_eq!(String::from(start), time);
    let refused = Start::try_from("-009999-01-02T01:59:59Z".to_owned());
    assert!(refused.unwrap_err().contains("nor a time"));
}

/// A line of the examples without its comment sign; what is prose is none.
fn example(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('#')?.trim_start();
    let key = inner.split_once(" = ").map(|(key, _)| key);
    let is_key = key.is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    (is_key || inner.starts_with('[')).then_some(inner)
}

#[test]
fn the_examples_of_the_shipped_file_are_accepted_as_they_stand() {
    let text = include_str!("../../../../config/herald.toml");
    let text: Vec<_> = text.lines().filter_map(example).collect();
    // Not every host has a database of zones.
    let text = text.join("\n").replace("Europe/Berlin", "UTC");
    let settings: Settings = toml::from_str(&text).unwrap();
    assert_eq!(settings.validate(), []);
    assert_eq!(settings.triggers["urgent"].quiet.len(), 2);
    assert!(settings.endpoints["ops"].heartbeat.is_some());
    assert!(settings.endpoints["people"].mail.is_some());
}
