use super::*;
use roundsman_kit::Config as _;

fn found(config: &Config) -> Vec<String> {
    let found = config.validate().into_iter();
    found.map(|found| found.key).collect()
}

fn levels(warning: Option<f64>, critical: Option<f64>) -> Levels {
    Levels {
        enabled: None,
        warning,
        critical,
    }
}

#[test]
fn levels_out_of_order_are_found_per_subject() {
    let mut config = Config::default();
    assert!(config.validate().is_empty());
    config.thresholds.disk.warning = 99.0;
    let tight = levels(None, Some(f64::NAN));
    let subjects = &mut config.thresholds.temperature.subjects;
    subjects.insert("cpu".into(), tight);
    let expected = ["thresholds.disk", "thresholds.temperature.subjects.cpu"];
    assert_eq!(found(&config), expected);
}

#[test]
fn a_hysteresis_must_let_every_warning_clear() {
    let mut config = Config::default();
    config.thresholds.memory.hysteresis = 90.0;
    let low = levels(Some(2.0), None);
    config.thresholds.disk.subjects.insert("/low".into(), low);
    config.thresholds.load.hysteresis = -1.0;
    config.thresholds.swap.hysteresis = f64::NAN;
    let expected = [
        "thresholds.disk.subjects./low",
        "thresholds.memory",
        "thresholds.swap.hysteresis",
        "thresholds.load.hysteresis",
    ];
    assert_eq!(found(&config), expected);
    let negative = config.validate().pop().unwrap();
    assert_eq!(negative.reason, "-1 is not a distance");
}

#[test]
fn what_would_leave_out_everything_or_nothing_is_refused() {
    let mut config = Config::default();
    for (mount, interface) in [("", ""), ("boot", "ve*th"), ("/", "**")] {
        config.measure.exclude_mounts = vec![mount.into()];
        config.measure.exclude_interfaces = vec![interface.into()];
        let expected = ["measure.exclude_mounts", "measure.exclude_interfaces"];
        assert_eq!(found(&config), expected, "{mount:?} {interface:?}");
    }
}

#[test]
fn mounts_are_left_out_by_directory_and_interfaces_by_name_or_beginning() {
    let measure = Config::default().measure;
    for (mount, expected) in [
        ("/boot", false),
        ("/boot/efi", false),
        ("/bootstrap", true),
        ("/", true),
    ] {
        assert_eq!(measure.keeps_mount(mount), expected, "{mount}");
    }
    for (name, expected) in [
        ("lo", false),
        ("lora0", true),
        ("docker0", false),
        ("veth12ab", false),
        ("br-1f", false),
        ("br0", true),
        ("eth0", true),
    ] {
        assert_eq!(measure.keeps_interface(name), expected, "{name}");
    }
}

#[test]
fn the_shipped_file_shows_every_key_at_its_default() {
    let text = include_str!("../../../../config/hostmetrics.toml");
    roundsman_tests::assert_shipped_config(text, &Config::default());
}
