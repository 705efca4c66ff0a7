//! Silences. The clock of a tree begins at 2026-11-20T18:00:00Z.

use std::time::Duration;

use roundsman_store::delivery::{self, HeldCount};
use roundsman_store::event::Severity;

use crate::groups::{put, seen, wait_taken};
use crate::receiver::Receiver;
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
