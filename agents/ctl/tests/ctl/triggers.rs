//! Which events go where, as the real command tells it from herald's files and the store.

use roundsman_store::cursor::{self, Cursor};
use roundsman_store::delivery::{self, Attempt, NewDelivery};
use roundsman_store::delivery_group::{self, GroupKey, Stand};
use roundsman_store::event::{EventId, NewEvent, Severity};
use roundsman_tests::Root;
use serde_json::{Value, json};

use super::{now, publish, roundsman, said, store};

const CONFIG: &str = "\
[triggers.disks]
kinds = ['hostmetrics.*']
labels = { mount = '/h*' }
endpoints = ['ops', 'chat']
[triggers.urgent]
min_severity = 'err'
endpoints = ['ops']
[triggers.late]
endpoints = ['chat']
[triggers.broken]
message = '('
endpoints = ['ops']
[endpoints.ops]
url = 'http://ops.example/in'
[endpoints.chat]
url = 'http://chat.example/in'
";

/// Two events; the trigger "disks" has passed the first, whose delivery to "ops" is done.
fn host() -> Root {
    let root = Root::new();
    root.write("/etc/roundsman/herald.d/all.toml", CONFIG);
    let mut store = store(&root);
    for uid in ["u1", "u2"] {
        let event = NewEvent::firing(now(), "hostmetrics", "hostmetrics.disk", uid)
            .uid(uid)
            .severity(Severity::Warning)
            .subject("/home")
            .label("mount", "/home")
            .message("nearly full\u{1b}[31m");
        publish(&mut store, &event);
    }
    let new = NewDelivery {
        uid: "u1",
        endpoint: "ops",
        trigger: "disks",
        event: Some(EventId(1)),
        order_key: None,
        severity: Severity::Warning,
        now: now(),
        body: None,
    };
    let position = Cursor {
        agent: "herald".into(),
        stream: "reader:disks".into(),
        position: "1".into(),
        updated_at: now(),
    };
    let written = store.write(|tx| {
        let id = delivery::insert(tx, &new)?.unwrap();
        delivery::done(tx, id, &Attempt::at(now()))?;
        cursor::set(tx, &position)
    });
    written.unwrap();
    root
}

fn explained(root: &Root, event: &str) -> Value {
    let args = ["triggers", "explain", event, "--json"];
    serde_json::from_str(&said(roundsman(root, args), 0)).unwrap()
}

fn verdict<'v>(explained: &'v Value, trigger: &str) -> &'v Value {
    let all = explained["triggers"].as_array().unwrap();
    all.iter().find(|one| one["trigger"] == trigger).unwrap()
}

#[test]
fn the_list_shows_conditions_positions_and_what_is_left_out() {
    let root = host();
    let output = roundsman(&root, ["triggers"]).run().expect_code(0);
    for needle in [
        "disks   1           1           ops,chat   kinds=[\"hostmetrics.*\"] labels.mount=/h*",
        "late    not loaded  0           chat       every event",
        "urgent  not loaded  0           ops        min_severity=err",
        "left out: its settings cannot be used",
    ] {
        assert!(output.stdout.contains(needle), "{needle}: {output}");
    }
    assert!(
        output.stderr.contains("triggers.broken.message"),
        "{output}"
    );
    assert_eq!(
        said(roundsman(&root, ["triggers", "list"]), 0),
        output.stdout
    );
    let json = said(roundsman(&root, ["triggers", "--json"]), 0);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["conditions"]["labels"], json!({"mount": "/h*"}));
    assert_eq!(
        (&first["behind"], &first["position"]),
        (&json!(1), &json!(1))
    );
    roundsman(&root, ["triggers", "--json", "list"])
        .run()
        .expect_code(64);
}

#[test]
fn an_event_is_explained_by_number_and_by_uid() {
    let root = host();
    let told = explained(&root, "u1");
    assert_eq!(told, explained(&root, "1"));
    let disks = verdict(&told, "disks");
    assert_eq!(
        (&disks["wants"], &disks["has_passed"]),
        (&json!(true), &json!(true))
    );
    let to = |at: usize| disks["ways"][at].clone();
    assert_eq!(
        (&to(0)["endpoint"], &to(0)["state"]),
        (&json!("ops"), &json!("done"))
    );
    assert_eq!(to(0)["delivery"], 1);
    assert!(to(1)["state"].as_str().unwrap().starts_with("no delivery"));
    let urgent = verdict(&told, "urgent");
    let why = "min_severity wants Error, the event has Warning";
    assert_eq!(
        (&urgent["wants"], &urgent["why_not"]),
        (&json!(false), &json!(why))
    );
    let broken = verdict(&told, "broken")["why_not"].as_str().unwrap();
    assert!(broken.starts_with("it is left out"), "{broken}");

    let text = said(roundsman(&root, ["triggers", "explain", "2"]), 0);
    for needle in [
        "event 2 hostmetrics.disk firing warning, about /home: nearly full\\x1b[31m\n",
        "herald has not come to this event for it yet\n",
        "  to chat: not sent: herald has not loaded the trigger\n",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
}

#[test]
fn an_event_that_is_held_back_or_in_a_group_is_explained_by_that() {
    let root = host();
    let until = now().plus(std::time::Duration::from_secs(3600));
    let written = store(&root).write(|tx| {
        let new = NewDelivery {
            uid: "u2",
            endpoint: "ops",
            trigger: "disks",
            event: Some(EventId(2)),
            order_key: None,
            severity: Severity::Warning,
            now: now(),
            body: None,
        };
        let id = delivery::insert(tx, &new)?.unwrap();
        let by = "silence:disks".to_owned();
        delivery::hold(tx, id, &delivery::Hold { by, until })?;
        for (event, stand, held_by) in [(1, Stand::Told, ""), (2, Stand::Waiting, "silence:disks")]
        {
            let key = GroupKey {
                endpoint: "chat",
                trigger: "disks",
                key: "[]",
                held_by,
            };
            let mut group = delivery_group::begin(tx, key, "[]", "u")?;
            group.closes_at = (stand == Stand::Waiting).then_some(until);
            group.last_uid = (stand == Stand::Told).then(|| "d1".to_owned());
            delivery_group::set(tx, &group)?;
            delivery_group::join(tx, group.id, EventId(event), stand)?;
        }
        Ok(())
    });
    written.unwrap();
    let ways = |event: &str| {
        let told = explained(&root, event);
        let ways = verdict(&told, "disks")["ways"].as_array().unwrap().clone();
        let state = |way: &Value| way["state"].as_str().unwrap().to_owned();
        ways.iter().map(state).collect::<Vec<_>>()
    };
    let told = "told in digests, the last of which is d1";
    assert_eq!(ways("1"), ["done", told]);
    let [single, group] = ways("2").try_into().unwrap();
    let held = "held back by silence disks until ";
    assert!(single.starts_with(&format!("due, {held}")), "{single}");
    assert!(
        group.starts_with(&format!("waits for a digest, {held}")),
        "{group}"
    );
}

#[test]
fn what_is_not_there_has_its_own_code() {
    let root = host();
    for event in ["99", "nobody"] {
        let output = roundsman(&root, ["triggers", "explain", event])
            .run()
            .expect_code(1);
        assert!(output.stderr.contains(event), "{output}");
    }
    root.write("/etc/roundsman/herald.d/z.toml", "[triggers");
    let output = roundsman(&root, ["triggers"]).run().expect_code(78);
    assert!(output.stderr.contains("z.toml"), "{output}");
}
