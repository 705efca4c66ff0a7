use super::*;
use roundsman_kit::Config as _;

fn found(config: &Config) -> Vec<String> {
    let found = config.validate().into_iter();
    found.map(|found| found.key).collect()
}

#[test]
fn what_would_remove_everything_is_refused() {
    let mut config = Config::default();
    assert!(found(&config).is_empty());
    config.events.keep = Span::secs(0);
    config.events.size = Size::mib(1);
    config.backup.keep = 0;
    let keep = Span::secs(0);
    config.events.kinds.insert("a.*".into(), Kind { keep });
    let expected = [
        "events.kinds.a.*.keep",
        "events.keep",
        "events.size",
        "backup.keep",
    ];
    assert_eq!(found(&config), expected);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let mut config = Config {
        night: 24,
        ..Config::default()
    };
    config.samples.keep = Span::secs(60);
    config.backup.directory = "backups".into();
    config.storage.volume.warning = f64::NAN;
    config.storage.wal.hysteresis = config.storage.wal.warning;
    let expected = [
        "night",
        "samples.raw",
        "backup.directory",
        "storage.volume",
        "storage.wal",
    ];
    assert_eq!(found(&config), expected);
}

#[test]
fn the_shipped_file_shows_every_key_at_its_default() {
    let text = include_str!("../../../../config/janitor.toml");
    roundsman_tests::assert_shipped_config(text, &Config::default());
}
