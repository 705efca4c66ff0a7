use super::*;

const NOW: Timestamp = Timestamp(1_795_197_600_000);

fn terms() -> Terms {
    Terms {
        schedule: [5, 300, 1800].map(Duration::from_secs).to_vec(),
        tries_if_refused: 3,
        max_retry_after: Duration::from_secs(3600),
    }
}

fn answered(status: u16) -> Reply {
    Reply::Answered {
        status,
        retry_after: None,
    }
}

fn gone() -> Reply {
    Reply::Unreachable {
        error: "connection refused".into(),
    }
}

fn one(reply: &Reply, attempts: u32, endpoint: &mut Endpoint) -> (Fate, Option<Turn>) {
    judge(reply, attempts, endpoint, &terms(), NOW, 0.5)
}

fn after(fate: &Fate) -> Option<u64> {
    match fate {
        Fate::Retry { at, .. } => Some(at.since(NOW).as_secs()),
        _ => None,
    }
}

#[test]
fn every_status_has_its_consequence() {
    let fresh = || Endpoint::new("ops", "f");
    for status in [200, 201, 204, 299] {
        let mut endpoint = fresh();
        assert_eq!(one(&answered(status), 0, &mut endpoint).0, Fate::Done);
        assert_eq!(endpoint.last_success, Some(NOW));
    }
    for (status, attempts, pause) in [
        (301, 0, Some(5)),
        (429, 0, Some(5)),
        (500, 1, Some(300)),
        (503, 2, Some(1800)),
        (401, 0, Some(300)),
        (403, 0, Some(300)),
        (404, 2, Some(1800)),
        (400, 0, Some(5)),
        (422, 1, Some(300)),
        (422, 2, None),
        (413, 2, None),
        (418, 3, None),
    ] {
        let mut endpoint = fresh();
        let (fate, _) = one(&answered(status), attempts, &mut endpoint);
        assert_eq!(after(&fate), pause, "{status} {fate:?}");
        let is_its_own = status == 429 || status >= 500;
        assert_eq!(endpoint.failures, u32::from(is_its_own), "{status}");
    }
}

#[test]
fn gone_disables_the_endpoint_and_keeps_the_delivery() {
    let mut endpoint = Endpoint::new("ops", "f");
    let (fate, turn) = one(&answered(410), 0, &mut endpoint);
    assert!(matches!(fate, Fate::Retry { .. }), "{fate:?}");
    assert_eq!(turn, Some(Turn::Disabled));
    assert_eq!(gate(&endpoint, NOW), Gate::Shut);
    // One that was under way too does not pay either, at the end of its schedule, and is no news.
    let (fate, turn) = one(&answered(410), 3, &mut endpoint);
    assert!(
        matches!(fate, Fate::Retry { counts: false, .. }),
        "{fate:?}"
    );
    assert_eq!(turn, None);
}

#[test]
fn faults_in_a_row_open_the_circuit_and_one_answer_closes_it() {
    let mut endpoint = Endpoint::new("ops", "f");
    for attempt in 0..4 {
        let (fate, turn) = one(&gone(), attempt.min(2), &mut endpoint);
        assert!(matches!(fate, Fate::Retry { counts: true, .. }), "{fate:?}");
        assert_eq!((turn, gate(&endpoint, NOW)), (None, Gate::Open));
    }
    let (fate, turn) = one(&gone(), 2, &mut endpoint);
    assert_eq!(turn, Some(Turn::Opened));
    assert!(
        matches!(fate, Fate::Retry { counts: false, .. }),
        "{fate:?}"
    );
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let Gate::Until(at) = gate(&endpoint, NOW) else {
            panic!("{endpoint:?}");
        };
        pauses.push(at.since(NOW).as_millis());
        assert_eq!(gate(&endpoint, at), Gate::Probe);
        // However often a probe fails, the delivery does not pay for it.
        let (fate, turn) = one(&gone(), 2, &mut endpoint);
        assert!(
            matches!(fate, Fate::Retry { counts: false, .. }),
            "{fate:?}"
        );
        assert_eq!(turn, None);
    }
    assert_eq!(pauses[..5], [3750, 7500, 15_000, 30_000, 45_000]);
    let (_, turn) = one(&answered(204), 2, &mut endpoint);
    assert_eq!(turn, Some(Turn::Recovered));
    assert_eq!((gate(&endpoint, NOW), endpoint.failures), (Gate::Open, 0));
}

#[test]
fn an_endpoint_that_asks_for_no_pause_gets_the_usual_ones() {
    let mut endpoint = Endpoint::new("ops", "f");
    let now = Reply::Answered {
        status: 429,
        retry_after: Some(Duration::ZERO),
    };
    for _ in 0..5 {
        one(&now, 0, &mut endpoint);
    }
    let pause = endpoint.not_before.unwrap().since(NOW);
    assert!(pause >= Duration::from_secs(2), "{pause:?}");
}

#[test]
fn an_endpoint_gets_the_pause_it_asks_for_within_reason() {
    for (asked, granted) in [(0, 0), (7, 7), (1_000_000_000, 3600)] {
        let mut endpoint = Endpoint::new("ops", "f");
        let reply = Reply::Answered {
            status: 429,
            retry_after: Some(Duration::from_secs(asked)),
        };
        one(&reply, 0, &mut endpoint);
        let granted = (granted > 0).then(|| NOW.plus(Duration::from_secs(granted)));
        assert_eq!(endpoint.not_before, granted);
        let expected = granted.map_or(Gate::Open, Gate::Until);
        assert_eq!(gate(&endpoint, NOW), expected);
        // An answer to what was under way before does not end the pause.
        one(&answered(204), 0, &mut endpoint);
        assert_eq!(gate(&endpoint, NOW), expected);
    }
}

#[test]
fn what_cannot_be_made_is_parked_and_a_missing_credential_is_the_endpoints_fault() {
    let mut endpoint = Endpoint::new("ops", "f");
    let unsendable = |by_endpoint| Reply::Unsendable {
        error: "template: undefined value".into(),
        by_endpoint,
    };
    let (fate, _) = one(&unsendable(false), 0, &mut endpoint);
    assert!(matches!(fate, Fate::Park { .. }));
    assert_eq!(endpoint.failures, 0);
    let (fate, _) = one(&unsendable(true), 0, &mut endpoint);
    assert!(matches!(fate, Fate::Retry { .. }));
    assert_eq!(endpoint.failures, 1);
}

#[test]
fn jitter_is_a_fifth_each_way() {
    let mut endpoint = Endpoint::new("ops", "f");
    for (dice, millis) in [(0.0, 4000), (1.0, 6000)] {
        let (fate, _) = judge(&answered(500), 0, &mut endpoint, &terms(), NOW, dice);
        let Fate::Retry { at, .. } = fate else {
            panic!("{fate:?}");
        };
        assert_eq!(at.since(NOW).as_millis(), millis);
    }
}

#[test]
fn a_clock_that_steps_back_does_not_shut_an_endpoint_for_the_step() {
    let mut endpoint = Endpoint::new("ops", "f");
    let reply = Reply::Answered {
        status: 429,
        retry_after: Some(Duration::from_secs(30)),
    };
    one(&reply, 0, &mut endpoint);
    assert!(matches!(gate(&endpoint, NOW), Gate::Until(_)));
    let an_hour_before = Timestamp(NOW.as_millis() - 3_600_000);
    assert_eq!(gate(&endpoint, an_hour_before), Gate::Open);
}
