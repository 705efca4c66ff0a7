use super::*;

fn findings(toml: &str) -> Vec<String> {
    let settings: Settings = toml::from_str(toml).unwrap();
    let findings = settings.validate().into_iter();
    let told =
        findings.map(|finding| format!("{}: {} ({})", finding.key, finding.reason, finding.remedy));
    told.collect()
}

#[test]
fn the_shipped_file_holds_every_key_at_its_default() {
    let shipped = include_str!("../../../../config/exporter.toml");
    roundsman_tests::assert_shipped_config(shipped, &Settings::default());
    assert!(Settings::default().validate().is_empty());
}

#[test]
fn every_value_out_of_range_is_found_in_one_run() {
    let found = findings(
        "listen = []\nconnections = 0\ndeadline = '0s'\n\
         [collectors]\nenable = ['cpu', 'gpu']\ndisable = ['x']\nmount_deadline = '1ms'\n\
         [units]\ninclude = ['a', '(b']\nexclude = ['c)|(d']\nresync = '1s'\n\
         [cycles]\ndeadline = '2m'\n\
         [registries]\ndeadline = '1ms'\nsize = '1B'\n\
         [textfiles]\ndirectories = ['relative']\nmax_age = '1s'\nsize = '1GiB'\n",
    );
    let keys: Vec<_> = found
        .iter()
        .map(|text| text.split(':').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "listen",
            "connections",
            "textfiles.directories",
            "collectors.enable",
            "collectors.disable",
            "deadline",
            "collectors.mount_deadline",
            "units.resync",
            "cycles.deadline",
            "registries.deadline",
            "textfiles.max_age",
            "registries.size",
            "textfiles.size",
            "units.include",
            "units.exclude",
        ],
        "{found:#?}"
    );
    assert!(
        found[3].starts_with("collectors.enable: there is no collector \"gpu\" (choose from arp, ")
    );
    assert_eq!(found[5], "deadline: is 0s (write 1s to 5m)");
    assert_eq!(found[11], "registries.size: is 1B (write 1KiB to 64MiB)");
}

#[test]
fn an_address_is_a_port_or_a_path() {
    let settings: Settings =
        toml::from_str("listen = ['127.0.0.1:1', '[::1]:2', '/run/x.sock']").unwrap();
    let written: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
    assert_eq!(written, ["127.0.0.1:1", "[::1]:2", "/run/x.sock"]);
    for wrong in ["localhost:1", "9469", "run/x.sock", ""] {
        let error = toml::from_str::<Settings>(&format!("listen = ['{wrong}']")).unwrap_err();
        assert!(
            error.to_string().contains("neither \"address:port\""),
            "{error}"
        );
    }
}

#[test]
fn every_credential_is_named() {
    let settings: Settings = toml::from_str(
        "token = { credential = 't' }\n[tls]\ncertificate = { credential = 'c' }\n\
         key = { credential = 'k' }",
    )
    .unwrap();
    let names: Vec<_> = settings
        .credentials()
        .iter()
        .map(|named| named.credential.as_str())
        .collect();
    assert_eq!(names, ["t", "c", "k"]);
}
