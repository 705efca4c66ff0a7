use super::*;

fn filter() -> Filter {
    Filter::new(&[".+".into()], &[r".+\.(device|slice)".into()]).unwrap()
}

fn listed<'a>(name: &'a str, active: &'a str) -> Listed<'a> {
    Listed {
        name,
        load: "loaded",
        active,
    }
}

#[test]
fn a_listing_replaces_the_table_and_asks_only_for_what_is_unsure() {
    let (mut model, filter) = (Model::default(), filter());
    let first = [
        listed("a.service", "active"),
        listed("b.timer", "active"),
        listed("x.device", "active"),
        Listed {
            name: "gone.service",
            load: "not-found",
            active: "inactive",
        },
    ];
    let unsure = model.replace(first.into_iter(), &filter);
    assert_eq!(unsure, ["a.service".into(), "b.timer".into()]);
    for name in &unsure {
        let read = [("Result", Value::Text("success"))];
        assert_eq!(model.apply(name, read.into_iter()), Applied::Shown);
    }
    let second = [listed("a.service", "failed"), listed("b.timer", "active")];
    let unsure = model.replace(second.into_iter(), &filter);
    assert_eq!(unsure, ["a.service".into()], "only the drifted one");
    assert_eq!(model.units.len(), 2);
}

#[test]
fn changes_of_unwatched_units_count_for_their_state_alone() {
    let (mut model, filter) = (Model::default(), filter());
    model.insert("x.device", &filter);
    let changes = [("NRestarts", Value::Number(3))];
    assert_eq!(
        model.apply("x.device", changes.into_iter()),
        Applied::Nothing
    );
    assert!(model.units["x.device"].details.is_none());
    let changes = [("ActiveState", Value::Text("active"))];
    assert_eq!(model.apply("x.device", changes.into_iter()), Applied::Shown);
    assert_eq!(
        model.apply("y.device", changes.into_iter()),
        Applied::Nothing
    );
}

#[test]
fn failing_and_recovering_concern_the_whole_system() {
    let (mut model, filter) = (Model::default(), filter());
    model.insert("a.service", &filter);
    let mut become_ = |state| {
        let changes = [("ActiveState", Value::Text(state))];
        model.apply("a.service", changes.into_iter())
    };
    assert_eq!(become_("failed"), Applied::Failure);
    assert_eq!(become_("failed"), Applied::Shown);
    assert_eq!(become_("active"), Applied::Failure);
    assert_eq!(become_("a-state-of-2030"), Applied::Shown);
    assert_eq!(model.units["a.service"].active, None);
}

#[test]
fn an_instance_belongs_to_the_socket_of_its_template() {
    let (mut model, filter) = (Model::default(), filter());
    model.insert("sshd.socket", &filter);
    let of = |model: &Model, name| model.socket_of_instance(name);
    assert_eq!(
        of(&model, "sshd@1-10.0.0.1:22.service").as_deref(),
        Some("sshd.socket")
    );
    assert_eq!(of(&model, "other@1.service"), None);
    assert_eq!(of(&model, "sshd.service"), None);
}

#[test]
fn the_stages_of_the_boot_are_those_with_both_stamps() {
    let mut manager = Manager::default();
    manager.apply("UserspaceTimestamp", Value::Number(5));
    manager.apply("UserspaceTimestampMonotonic", Value::Number(3));
    manager.apply("WatchdogLastPingTimestamp", Value::Number(7));
    manager.apply("Version", Value::Text("252.39"));
    assert_eq!(
        manager.stages.into_iter().collect::<Vec<_>>(),
        [("Userspace".into(), (5, 3))]
    );
    assert_eq!(manager.version.as_deref(), Some("252.39"));
}
