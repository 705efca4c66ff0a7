//! The flake, evaluated without a network against a stand-in for nixpkgs (`tests/nix/stub`), and
//! compared with `units/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use roundsman_tests::{layout, skipped};
use serde_json::Value;

use crate::agents::{agents, at, names, text};
use crate::flake::Flake;
use crate::stage::{has, run};
use crate::unit_file::UnitFile;

fn set(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter()
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect()
}

#[test]
fn every_output_evaluates() {
    let Some(flake) = Flake::copy("every_output_evaluates") else {
        return;
    };
    flake.check().expect_code(0);
    let machines = flake.nix(&[
        "eval",
        "--json",
        "#checks.x86_64-linux",
        "--apply",
        "builtins.attrNames",
    ]);
    let machines: Value = serde_json::from_str(&machines.expect_code(0).stdout).unwrap();
    for file in names("nix/tests") {
        let name = format!("machine-{}", file.trim_end_matches(".nix"));
        assert!(set(&machines).contains(&name), "{name}");
    }
}

/// What a mistake in the configuration is answered with.
#[track_caller]
fn refused(test: &str, file: &str, from: &str, to: &str, answer: &str) {
    let Some(flake) = Flake::copy(test) else {
        return;
    };
    flake.change(file, from, to);
    let output = flake.check();
    assert!(
        !output.success() && output.stderr.contains(answer),
        "{output}"
    );
}

#[test]
fn a_wrong_type_is_refused() {
    let answer = "`services.roundsman.hostmetrics.enable' is not of type `boolean'";
    let (from, to) = ("hostmetrics.enable = true", "hostmetrics.enable = \"yes\"");
    refused(
        "a_wrong_type_is_refused",
        "nix/example.nix",
        from,
        to,
        answer,
    );
    refused(
        "a_wrong_type_is_refused",
        "nix/tests/suite.nix",
        from,
        to,
        answer,
    );
}

#[test]
fn an_unknown_option_is_refused() {
    let (from, to) = ("hostmetrics.enable", "hostmetrics.enabled");
    let answer = "`services.roundsman.hostmetrics.enabled' does not exist";
    refused(
        "an_unknown_option_is_refused",
        "nix/example.nix",
        from,
        to,
        answer,
    );
}

#[test]
fn a_secret_in_the_store_is_refused() {
    let (from, to) = (
        "openFirewall = true;",
        "credentials.token = \"/nix/store/x-token\";",
    );
    let answer = "services.roundsman.exporter.credentials.token: everyone can read";
    refused(
        "a_secret_in_the_store_is_refused",
        "nix/example.nix",
        from,
        to,
        answer,
    );
}

#[test]
fn what_is_enabled_is_wanted_as_the_units_say() {
    let Some(flake) = Flake::copy("what_is_enabled_is_wanted_as_the_units_say") else {
        return;
    };
    let mut wanted = BTreeSet::new();
    for (option, suffix) in [
        ("services", "service"),
        ("sockets", "socket"),
        ("timers", "timer"),
        ("targets", "target"),
    ] {
        let wants = flake.eval(&format!(
            "builtins.mapAttrs (_: u: u.wantedBy) c.systemd.{option}"
        ));
        for (name, by) in wants.as_object().unwrap() {
            wanted.extend(
                set(by)
                    .iter()
                    .map(|by| format!("{by} wants {name}.{suffix}")),
            );
        }
    }
    let installed = UnitFile::all(&["service", "socket", "timer", "target"])
        .into_iter()
        .filter(|unit| !unit.get("WantedBy").is_empty())
        .map(|unit| format!("{} wants {}", unit.get("WantedBy"), unit.name));
    assert_eq!(wanted, installed.collect());

    // Off is off.
    flake.change(
        "nix/example.nix",
        "hostmetrics.enable = true",
        "hostmetrics.enable = false",
    );
    let timers = flake.eval("builtins.attrNames c.systemd.timers");
    assert!(!set(&timers).contains("roundsman-hostmetrics"), "{timers}");
}

#[test]
fn users_files_and_units_are_those_of_the_package() {
    let Some(flake) = Flake::copy("users_files_and_units_are_those_of_the_package") else {
        return;
    };
    let users = flake.eval("builtins.mapAttrs (_: u: u.group) c.users.users");
    for file in names("units/sysusers.d") {
        for line in text(format!("units/sysusers.d/{file}")).lines() {
            let mut fields = line.split_whitespace();
            match (fields.next(), fields.next()) {
                (Some("u"), Some(user)) => assert_eq!(users[user], "roundsman", "{user}"),
                (Some("g"), Some(group)) => {
                    assert!(set(&flake.eval("builtins.attrNames c.users.groups")).contains(group));
                }
                _ => {}
            }
        }
    }
    assert_eq!(users.as_object().unwrap().len(), agents().len());

    let package = flake.eval("\"${c.services.roundsman.package}\"");
    for option in [
        "systemd.packages",
        "systemd.tmpfiles.packages",
        "environment.systemPackages",
    ] {
        let packages = flake.eval(&format!("map (p: \"${{p}}\") c.{option}"));
        assert_eq!(packages, Value::Array(vec![package.clone()]), "{option}");
    }
    let etc = set(&flake.eval("builtins.attrNames c.environment.etc"));
    let mut expected: BTreeSet<String> = agents()
        .iter()
        .map(|agent| format!("roundsman/{agent}.toml"))
        .collect();
    expected.insert("roundsman/common.toml".to_owned());
    expected.insert("systemd/catalog/roundsman.catalog".to_owned());
    assert_eq!(etc, expected);

    let reloads = "builtins.mapAttrs (_: s: builtins.length s.reloadTriggers) c.systemd.services";
    let reloads = flake.eval(reloads);
    for unit in UnitFile::all(&["service"]) {
        let found = reloads[unit.name.trim_end_matches(".service")]
            .as_u64()
            .unwrap_or(0);
        assert_eq!(
            found > 0,
            !unit.list("ExecReload").is_empty(),
            "{}",
            unit.name
        );
    }
}

#[test]
fn credentials_reach_the_service() {
    let Some(flake) = Flake::copy("credentials_reach_the_service") else {
        return;
    };
    flake.change(
        "nix/example.nix",
        "openFirewall = true;",
        "credentials.token = \"/run/keys/t\";",
    );
    let service = flake.eval("c.systemd.services.roundsman-exporter.serviceConfig");
    assert_eq!(
        service["LoadCredential"],
        serde_json::json!(["token:/run/keys/t"])
    );
    assert_eq!(
        flake.eval("c.networking.firewall.allowedTCPPorts"),
        serde_json::json!([])
    );
}

#[test]
fn a_setting_that_the_program_refuses_fails_the_build() {
    let test = "a_setting_that_the_program_refuses_fails_the_build";
    let Some(flake) = Flake::copy(test) else {
        return;
    };
    let programs = flake.project().join("built/libexec/roundsman");
    fs::create_dir_all(&programs).unwrap();
    fs::copy(
        layout::program("roundsman-failure"),
        programs.join("roundsman-failure"),
    )
    .unwrap();
    let package = "enable = true;\n    package.outPath = \"${../built}\";";
    flake.change("nix/example.nix", "enable = true;", package);
    let file =
        "#nixosConfigurations.example.config.environment.etc.\"roundsman/failure.toml\".source";
    let build = ["build", "--no-link", "--print-build-logs", file];

    let good = flake.nix(&build);
    if !good.success() && !good.stderr.contains("roundsman-failure.toml>") {
        return skipped::test(test, "nix cannot build in a sandbox here (not root?)");
    }
    good.expect_code(0);
    let off = "failure.enable = true;";
    flake.change(
        "nix/example.nix",
        off,
        "failure.settings.journal_lines = 1000;",
    );
    let bad = flake.nix(&build);
    assert!(
        !bad.success() && bad.stderr.contains("failure.toml: journal_lines: "),
        "{bad}"
    );
}

#[test]
fn the_flake_is_short_and_locked_to_nixpkgs_alone() {
    assert!(text("flake.nix").lines().count() <= 60);
    let lock: Value = serde_json::from_str(&text("flake.lock")).unwrap();
    let nodes: BTreeSet<&String> = lock["nodes"].as_object().unwrap().keys().collect();
    assert_eq!(nodes.into_iter().collect::<Vec<_>>(), ["nixpkgs", "root"]);
    let locked = &lock["nodes"]["nixpkgs"]["locked"];
    assert_eq!(locked["rev"].as_str().map(str::len), Some(40));
    let branch = lock["nodes"]["nixpkgs"]["original"]["ref"]
        .as_str()
        .unwrap();
    assert!(text("flake.nix").contains(&format!("github:NixOS/nixpkgs/{branch}")));
}

#[test]
fn every_nix_file_parses() {
    if !has("nix-instantiate") {
        return skipped::test(
            "every_nix_file_parses",
            "nix is not installed (Debian: nix-bin)",
        );
    }
    let mut seen = 0;
    for directory in ["nix", "nix/tests", "tests/nix/stub"] {
        for name in names(directory)
            .iter()
            .filter(|name| name.ends_with(".nix"))
        {
            let path = at(Path::new(directory).join(name));
            run(Command::new("nix-instantiate").arg("--parse").arg(path)).expect_code(0);
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}
