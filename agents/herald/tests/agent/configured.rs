//! What herald says about its configuration, and about the files beside it.

use roundsman_herald::silence;
use roundsman_store::{ReadTx, cursor};
use serde_json::Value;

use crate::support::World;

/// The findings of a run with these arguments, as `file key`.
fn found(world: &World, option: &str, code: i32) -> Vec<String> {
    let run = world.root.agent("herald").args([option, "--json"]).run();
    let said: Value = serde_json::from_str(&run.expect_code(code).stdout).unwrap();
    let findings = said["findings"].as_array().unwrap().iter();
    let place = |one: &Value| {
        let file = one["file"].as_str().unwrap().rsplit('/').next().unwrap();
        assert!(one["remedy"].as_str().is_some_and(|text| !text.is_empty()));
        format!("{file} {}", one["key"].as_str().unwrap())
    };
    findings.map(place).collect()
}

#[test]
fn which_silences_are_in_force_is_seen_from_outside() {
    let world = World::new("");
    let wanted = || {
        let (all, _) = silence::load(&world.root.at(silence::DIRECTORY));
        silence::fingerprint(&all)
    };
    let shown = || {
        let read = |tx: &ReadTx<'_>| cursor::get(tx, "herald", silence::STREAM);
        world.store().read(read).unwrap().unwrap().position
    };
    let herald = world.start();
    assert_eq!(shown(), wanted());
    let text = "kinds = ['*']\nuntil = '2026-11-21T08:00:00Z'\nreason = 'new disks'\n";
    world
        .root
        .write("/etc/roundsman/silences.d/disks.toml", text);
    assert_ne!(shown(), wanted());
    herald.reload();
    assert_eq!(shown(), wanted());
    herald.stop();
}

#[test]
fn broken_items_and_silences_are_found_by_whoever_asks() {
    let world = World::new("");
    let wrong = "[endpoints.wrong]\nurl = 'ftp://nowhere'\n";
    world
        .root
        .write("/etc/roundsman/herald.d/wrong.toml", wrong);
    let endpoint = "wrong.toml endpoints.wrong.url";
    assert_eq!(found(&world, "--check-config", 78), [endpoint]);
    let endless = "reason = 'new disks'\nkinds = ['x.*']\n";
    world
        .root
        .write("/etc/roundsman/silences.d/disks.toml", endless);
    let both = [endpoint, "disks.toml until"];
    assert_eq!(found(&world, "--check-config", 78), both);
    assert_eq!(found(&world, "--dump-config", 0), both);

    std::fs::remove_file(world.root.at("/etc/roundsman/herald.d/wrong.toml")).unwrap();
    assert_eq!(found(&world, "--check-config", 78), ["disks.toml until"]);
    std::fs::remove_file(world.root.at("/etc/roundsman/silences.d/disks.toml")).unwrap();
    assert_eq!(found(&world, "--check-config", 0), [""; 0]);
}
