//! Silences. The clock of a tree begins at 2026-11-20T18:00:00Z.

use std::time::Duration;

use roundsman_store::delivery::{self, HeldCount};
use roundsman_store::event::Severity;

use crate::groups::{put, seen, wait_taken};
use crate::receiver::{Answer, Receiver};
use crate::support::{START, World, trigger};

const HOUR: Duration = Duration::from_secs(3600);

fn silence(world: &World, name: &str, text: &str) {
    let path = format!("/etc/roundsman/silences.d/{name}.toml");
    std::fs::create_dir_all(world.root.at("/etc/roundsman/silences.d")).unwrap();
    std::fs::write(world.root.at(path), text).unwrap();
}

fn until(hour: u32, more: &str) -> String {
    format!("until = '2026-11-20T{hour}:00:00Z'\nreason = 'new disks'\n{more}")
}

fn held(world: &World) -> Vec<HeldCount> {
    let now = world.now();
    world.store().read(|tx| delivery::held(tx, now)).unwrap()
}

fn one_held() -> Vec<HeldCount> {
    let reason = "silence:disks".to_owned();
    vec![HeldCount { reason, count: 1 }]
}

#[test]
fn a_silence_holds_back_until_it_ends_is_shortened_or_removed() {
    let ops = Receiver::kind();
    let world = World::with_clock(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "")));
    silence(&world, "disks", &until(22, "message = '^quiet'\n"));
    silence(&world, "broken", "until = 3\nreason = 'x'\n");
    let herald = world.start();
    put(&world, seen(&world, "quiet1", Severity::Error));
    put(&world, seen(&world, "quiet-urgent", Severity::Critical));
    put(&world, seen(&world, "loud", Severity::Info));
    ops.wait_for(2);
    let row = world.delivery("quiet1").unwrap();
    assert_eq!(row.held_by.as_deref(), Some("silence:disks"));
    assert_eq!(row.next_at.as_millis(), START + 4 * 3_600_000);
    assert_eq!(held(&world), one_held());

    silence(&world, "disks", &until(19, "message = '^quiet'\n"));
    herald.reload();
    let row = world.delivery("quiet1").unwrap();
    assert_eq!(row.next_at.as_millis(), START + 3_600_000);
    assert_eq!(row.owed_at, Some(row.next_at));
    world.advance(HOUR);
    world.wait_done("quiet1");
    assert_eq!(held(&world), []);

    silence(
        &world,
        "disks",
        &until(22, "message = '^quiet'\nurgent = true\n"),
    );
    herald.reload();
    put(&world, seen(&world, "quiet2", Severity::Alert));
    world.wait("delivery", |world| world.delivery("quiet2").is_some());
    assert_eq!(held(&world), one_held());
    // One that cannot be read lets nothing go.
    silence(&world, "disks", "until = 'soon'\n");
    herald.reload();
    assert_eq!(held(&world), one_held());
    std::fs::remove_file(world.root.at("/etc/roundsman/silences.d/disks.toml")).unwrap();
    herald.reload();
    world.wait_done("quiet2");
    let output = herald.stop();
    assert!(output.stderr.contains("broken.toml: until: "), "{output}");
    assert_eq!(ops.arrivals().len(), 4);
}

#[test]
fn what_is_silenced_waits_in_a_group_of_its_own() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + "group_by = []\n" + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    silence(&world, "disks", &until(19, "message = '^quiet'\n"));
    let herald = world.start();
    put(&world, seen(&world, "quiet", Severity::Error));
    put(&world, seen(&world, "loud", Severity::Info));
    wait_taken(&world, "2");
    world.advance(Duration::from_secs(30));
    let arrivals = ops.wait_for(1);
    let text = String::from_utf8(arrivals[0].body.clone()).unwrap();
    assert!(text.contains("loud") && !text.contains("quiet"), "{text}");
    assert_eq!(held(&world), one_held());
    world.advance(HOUR);
    let arrivals = ops.wait_for(2);
    herald.stop();
    let text = String::from_utf8(arrivals[1].body.clone()).unwrap();
    assert!(text.contains("quiet"), "{text}");
}

fn held_by(world: &World, uid: &str) -> Option<String> {
    world.delivery(uid).unwrap().held_by
}

#[test]
fn what_another_silence_fits_waits_for_that_and_what_none_fits_goes() {
    let ops = Receiver::kind();
    let world = World::with_clock(&(trigger("all", &["ops"]) + &ops.endpoint("ops", "")));
    silence(&world, "long", &until(22, "message = '^quiet'\n"));
    silence(&world, "short", &until(20, "message = 'both$'\n"));
    let herald = world.start();
    for uid in ["quiet-both", "quiet"] {
        put(&world, seen(&world, uid, Severity::Error));
    }
    wait_taken(&world, "2");
    assert_eq!(
        held_by(&world, "quiet-both").as_deref(),
        Some("silence:long")
    );
    std::fs::remove_file(world.root.at("/etc/roundsman/silences.d/long.toml")).unwrap();
    herald.reload();
    world.wait_done("quiet");
    let row = world.delivery("quiet-both").unwrap();
    assert_eq!(row.held_by.as_deref(), Some("silence:short"));
    assert_eq!(row.next_at.as_millis(), START + 2 * 3_600_000);
    // It does not fit any more.
    silence(&world, "short", &until(20, "message = '^other$'\n"));
    herald.reload();
    world.wait_done("quiet-both");
    herald.stop();
}

#[test]
fn events_of_groups_follow_their_silences_too() {
    let ops = Receiver::kind();
    let more = "group_by = []\ngroup_wait = '10m'\n";
    let toml = trigger("all", &["ops"]) + more + &ops.endpoint("ops", "");
    let world = World::with_clock(&toml);
    silence(&world, "long", &until(22, "message = '^quiet'\n"));
    silence(&world, "short", &until(20, "message = 'both$'\n"));
    let herald = world.start();
    for uid in ["quiet-both", "quiet", "plain", "new"] {
        put(&world, seen(&world, uid, Severity::Error));
    }
    wait_taken(&world, "4");
    let text = |at: usize| String::from_utf8(ops.wait_for(at)[at - 1].body.clone()).unwrap();
    let has = |text: &str, uids: &[&str]| {
        let all = ["quiet-both", "quiet", "plain", "new"];
        let found = all.map(|uid| text.contains(&format!("\"uid\":\"{uid}\"")));
        assert_eq!(found, all.map(|uid| uids.contains(&uid)), "{text}");
    };
    // A new silence holds what waits already; what has lost its silence goes with the rest.
    std::fs::remove_file(world.root.at("/etc/roundsman/silences.d/long.toml")).unwrap();
    silence(&world, "third", &until(21, "message = '^new'\n"));
    herald.reload();
    has(&text(1), &["quiet", "plain"]);
    world.advance(2 * HOUR);
    has(&text(2), &["quiet-both"]);
    world.advance(HOUR);
    has(&text(3), &["new"]);
    herald.stop();
    assert_eq!(ops.arrivals().len(), 3);
    let uids: std::collections::BTreeSet<_> =
        world.deliveries().into_iter().map(|one| one.uid).collect();
    assert_eq!(uids.len(), 3);
}

#[test]
fn a_new_silence_holds_what_is_owed_already_but_nothing_before_what_is_urgent() {
    let ops = Receiver::new(|_| Answer::Status(503));
    let endpoint = ops.endpoint("ops", "schedule = ['1h']");
    let world = World::with_clock(&(trigger("all", &["ops"]) + &endpoint));
    let herald = world.start();
    put(&world, seen(&world, "one", Severity::Error).order_key("a"));
    put(&world, seen(&world, "next", Severity::Error).order_key("a"));
    put(
        &world,
        seen(&world, "before", Severity::Error).order_key("b"),
    );
    put(
        &world,
        seen(&world, "urgent", Severity::Critical).order_key("b"),
    );
    world.wait("failures", |world| {
        let tried = ["one", "before"].map(|uid| world.delivery(uid));
        tried
            .iter()
            .all(|one| one.as_ref().is_some_and(|one| one.last_status.is_some()))
    });
    silence(&world, "disks", &until(22, "message = '^(one|before)$'\n"));
    herald.reload();
    herald.stop();
    for uid in ["one", "next"] {
        assert_eq!(held_by(&world, uid).as_deref(), Some("silence:disks"));
        let row = world.delivery(uid).unwrap();
        assert_eq!(row.next_at.as_millis(), START + 4 * 3_600_000);
    }
    assert_eq!(held_by(&world, "before"), None);
    assert_eq!(held_by(&world, "urgent"), None);
}
