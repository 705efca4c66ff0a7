//! Putting back and dropping.

use roundsman_kit::Paths;
use roundsman_store::delivery::{self, DeliveryId, NewDelivery, State};
use roundsman_store::endpoint::Endpoint;
use roundsman_store::event::{EventId, Severity};
use roundsman_store::{Doorbell, Location, WriteTx};
use roundsman_tests::Root;

use super::{ago, failed, owe, roundsman, row, said, set, six, state};

#[test]
fn named_ones_are_put_back_whatever_becomes_of_the_others() {
    let root = Root::new();
    let mut store = six(&root);
    let paths = Paths::under(root.path());
    let location = Location::new(&paths, "/var/lib/roundsman/roundsman.db");
    let mut doorbell = Doorbell::open(&location).unwrap();

    let args = ["deliveries", "retry", "99", "2", "3", "4", "1", "2"];
    let output = roundsman(&root, args).run().expect_code(1);
    for needle in [
        "there is no delivery 99",
        "delivery 3 is due already; next try: in 1h",
        "delivery 4 is due already (waiting)",
    ] {
        assert!(output.stderr.contains(needle), "{output}");
    }
    for needle in [
        "2 deliveries put back, due now\n",
        "They go out of their order, as you asked",
    ] {
        assert!(output.stdout.contains(needle), "{output}");
    }
    for id in [1, 2] {
        let row = row(&mut store, id).unwrap();
        let found = (row.state, row.attempts, row.redelivered);
        assert_eq!(found, (State::Due, 0, 1), "{id}");
    }
    assert!(doorbell.drain().unwrap(), "herald is woken");
}

#[test]
fn all_parked_ones_are_put_back_by_endpoint_and_time() {
    let root = Root::new();
    let mut store = six(&root);
    let park = |tx: &WriteTx<'_>| delivery::park(tx, DeliveryId(6), &failed("too old"), false);
    assert!(store.write(park).unwrap());
    let retry = |args: &[&str], code: i32| {
        let command = root.ctl().args(["deliveries", "retry", "--parked"]);
        said(command.args(args), code)
    };
    assert_eq!(
        retry(&["--since", "-30min"], 0),
        "no such delivery is parked\n"
    );
    retry(&["--endpoint", "nowhere"], 1);
    let text = retry(&["--dry-run"], 0);
    assert!(text.contains("2 deliveries would be put back"), "{text}");
    assert_eq!(state(&mut store, 2), State::Parked);
    assert_eq!(state(&mut store, 6), State::Parked);

    let text = retry(&["--endpoint", "old", "--since", "-2h"], 0);
    assert!(text.contains("1 delivery put back"), "{text}");
    assert!(text.contains("old has left the configuration"), "{text}");
    assert_eq!(state(&mut store, 2), State::Parked);
    assert_eq!(state(&mut store, 6), State::Due);

    let disabled = Endpoint {
        disabled_at: Some(ago(1)),
        disabled_reason: Some("by hand".into()),
        ..Endpoint::new("ops", "f1")
    };
    set(&mut store, &disabled);
    let text = retry(&[], 0);
    assert!(text.contains("roundsman endpoints enable ops"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(state(&mut store, 2), State::Due);
}

#[test]
fn very_many_are_put_back_in_several_runs() {
    let root = Root::new();
    let mut store = six(&root);
    let park_many = |tx: &WriteTx<'_>| {
        for n in 0..5000 {
            let id = owe(tx, "ops", &format!("many-{n}"), None);
            delivery::park(tx, id, &failed("answered 422"), true)?;
        }
        Ok(())
    };
    store.write(park_many).unwrap();
    let retry = || said(roundsman(&root, ["deliveries", "retry", "--parked"]), 0);
    let text = retry();
    assert!(text.contains("5000 deliveries put back"), "{text}");
    assert!(text.contains("run it again"), "{text}");
    assert_eq!(state(&mut store, 2), State::Parked, "the oldest one");
    let text = retry();
    assert!(text.contains("1 delivery put back"), "{text}");
    assert!(!text.contains("run it again"), "{text}");
    assert_eq!(state(&mut store, 2), State::Due);
}

#[test]
fn what_nothing_is_left_of_is_not_put_back() {
    let root = Root::new();
    let mut store = six(&root);
    let lost = |tx: &WriteTx<'_>| {
        let new = NewDelivery {
            uid: "u7",
            endpoint: "ops",
            trigger: "all",
            event: Some(EventId(70)),
            order_key: None,
            severity: Severity::Info,
            now: ago(5),
            body: None,
        };
        let id = delivery::insert(tx, &new)?.unwrap();
        delivery::park(tx, id, &failed("its event is gone"), false)
    };
    assert!(store.write(lost).unwrap());
    let output = roundsman(&root, ["deliveries", "retry", "--parked"]).run();
    let output = output.expect_code(1);
    let needle = "delivery 7 cannot be made again";
    assert!(output.stderr.contains(needle), "{output}");
    assert_eq!(state(&mut store, 7), State::Parked);
    assert_eq!(state(&mut store, 2), State::Due);
}

#[test]
fn dropped_ones_are_gone_and_let_go_of_their_key() {
    let root = Root::new();
    let mut store = six(&root);
    let text = said(
        roundsman(&root, ["deliveries", "drop", "--parked", "--dry-run"]),
        0,
    );
    assert!(text.contains("1 delivery would be dropped\n"), "{text}");
    assert!(row(&mut store, 2).is_some());

    let output = roundsman(&root, ["deliveries", "drop", "1", "3", "99"]).run();
    let output = output.expect_code(1);
    assert_eq!(
        output.stdout,
        "3 to ops: due, nginx.service, u3 (answered 503)\n1 delivery dropped\n"
    );
    for needle in ["no delivery 99", "delivery 1 is done"] {
        assert!(output.stderr.contains(needle), "{output}");
    }
    assert!(row(&mut store, 3).is_none());
    assert_eq!(state(&mut store, 1), State::Done);
    assert!(!row(&mut store, 4).unwrap().is_blocked, "the next may go");

    let drop_parked = ["deliveries", "drop", "--parked", "--endpoint"];
    let drop_of = |endpoint| said(root.ctl().args(drop_parked).args([endpoint]), 0);
    assert_eq!(drop_of("old"), "no such delivery is parked\n");
    assert!(drop_of("ops").ends_with("1 delivery dropped\n"));
    assert!(row(&mut store, 2).is_none());
}
