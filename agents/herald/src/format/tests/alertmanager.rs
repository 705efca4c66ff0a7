//! What Alertmanager is told.

use super::*;

#[test]
fn alertmanager() {
    assert_eq!(
        text(Format::Alertmanager, &single(&event())),
        r#"[{"labels":{"agent":"hostmetrics","alertname":"hostmetrics.disk","correlation":"disk:/home:7","host":"web1","role":"db","severity":"warning","subject":"/home"},"annotations":{"event":"0a9133f9-a747-5993-ad1c-48c885e59ccf","summary":"/home is 91 % full"},"startsAt":"2026-11-20T18:00:00.123Z"}]"#
    );
    assert_eq!(
        text(Format::Alertmanager, &single(&resolved())),
        r#"[{"labels":{"agent":"hostmetrics","alertname":"hostmetrics.disk","correlation":"disk:/home:7","host":"web1","role":"db","severity":"notice","subject":"/home"},"annotations":{"event":"second","summary":"/home is well again"},"startsAt":"2026-11-20T18:01:00.123Z","endsAt":"2026-11-20T18:01:00.123Z"}]"#
    );
    assert_eq!(
        text(Format::Alertmanager, &single(&bare())),
        r#"[{"labels":{"agent":"hostmetrics","alertname":"hostmetrics.disk","host":"web1","severity":"info"},"annotations":{"event":"bare","summary":"hostmetrics.disk"},"startsAt":"2026-11-20T18:00:00.123Z"}]"#
    );
}

/// Severity and end of each alert.
fn holds(members: &[Event]) -> Vec<(String, bool)> {
    let lead = event();
    let alerts = value(Format::Alertmanager, &group(&lead, members));
    let alerts = alerts.as_array().unwrap().iter();
    alerts
        .map(|alert| {
            let severity = alert["labels"]["severity"].as_str().unwrap();
            (severity.to_owned(), alert.get("endsAt").is_some())
        })
        .collect()
}

#[test]
fn the_end_of_a_condition_ends_the_alerts_that_fired() {
    let warning = event();
    let critical = Event {
        severity: Severity::Critical,
        ..event()
    };
    let other = Event {
        correlation: Some("disk:/srv:7".to_owned()),
        ..event()
    };
    let alert = |severity: &str, ended| (severity.to_owned(), ended);
    let [warning_over, critical_over] = ["warning", "crit"].map(|word| alert(word, true));
    let worse = [warning.clone(), critical.clone()];
    assert_eq!(holds(&worse), [warning_over.clone(), alert("crit", false)]);
    let over = [warning.clone(), critical.clone(), resolved()];
    assert_eq!(holds(&over), [warning_over, critical_over.clone()]);
    let better = [warning.clone(), critical, warning.clone()];
    assert_eq!(holds(&better), [alert("warning", false), critical_over]);
    let two = [warning, other, resolved()];
    assert_eq!(
        holds(&two),
        [alert("warning", true), alert("warning", false)]
    );
    assert_eq!(holds(&[resolved()]), [alert("notice", true)]);
}

#[test]
fn labels_have_names_that_alertmanager_takes_and_never_replace_ours() {
    let labels = [
        ("severity", "page"),
        ("exported_severity", "x"),
        ("a.b/c", "1"),
        ("a-b-c", "2"),
        ("9lives", "3"),
        ("__name__", "4"),
        ("", "5"),
        ("ä", "6"),
        ("empty", ""),
    ];
    let event = Event {
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        correlation: None,
        ..event()
    };
    let alerts = value(Format::Alertmanager, &single(&event));
    assert_eq!(
        alerts[0]["labels"],
        json!({
            "agent": "hostmetrics", "alertname": "hostmetrics.disk", "host": "web1",
            "severity": "warning", "subject": "/home",
            "exported_severity": "x", "exported_exported_severity": "page",
            "a_b_c": "2", "exported_a_b_c": "1",
            "label_9lives": "3", "label___name__": "4", "label_": "5", "_": "6",
        })
    );
}
