//! The families of the units, under the names of node_exporter, of systemd_exporter, and one
//! of our own.

use roundsman_host::exposition::{Page, Value as Shown};
use serde::{Deserialize, Serialize};

use super::model::{Details, Model, State, Unit};

/// Under whose names the units are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// `node_systemd_*`, as node_exporter's collector `systemd` with all its options.
    Node,
    /// `systemd_*`, as systemd_exporter.
    Systemd,
}

/// Writes everything that is known.
pub fn render(page: &mut Page, model: &Model, names: &[Names]) {
    if names.contains(&Names::Node) {
        node(page, model);
    }
    if names.contains(&Names::Systemd) {
        systemd(page, model);
    }
    let mut family = page.gauge(
        "roundsman_unit_result",
        "How the last run of the unit ended: its Result= as systemd tells it; always 1.",
    );
    for (name, _, details) in shown(model) {
        if let Some(result) = &details.result {
            family.sample(&[("name", name), ("result", result)], 1_u64);
        }
    }
}

/// The units that have series: those whose files were found and whose details were read.
fn shown(model: &Model) -> impl Iterator<Item = (&str, &Unit, &Details)> {
    model.units.iter().filter_map(|(name, unit)| {
        let details = unit.details.as_deref().filter(|_| unit.loaded)?;
        Some((&**name, unit, details))
    })
}

fn kind_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn node(page: &mut Page, model: &Model) {
    let mut family = page.gauge("node_systemd_unit_state", "Systemd unit");
    for (name, unit, details) in shown(model) {
        let kind = details.kind.as_deref().unwrap_or_default();
        for state in State::SHOWN {
            let labels = [("name", name), ("state", state.label()), ("type", kind)];
            family.sample(&labels, unit.active == Some(state));
        }
    }
    let help = "Start time of the unit since unix epoch in seconds.";
    let mut family = page.gauge("node_systemd_unit_start_time_seconds", help);
    for (name, unit, details) in shown(model) {
        if let Some(usec) = started(unit, details) {
            family.sample(&[("name", name)], Shown::millionths(usec));
        }
    }
    summary(page, model);
    manager(page, model);
    counters(page, model, "node_systemd");
}

/// When the unit was started; 0 while it is not active, as both exporters have it.
fn started(unit: &Unit, details: &Details) -> Option<u64> {
    match unit.active {
        Some(State::Active) => details.active_enter,
        _ => Some(0),
    }
}

fn summary(page: &mut Page, model: &Model) {
    if model.units.is_empty() {
        return;
    }
    let mut family = page.gauge("node_systemd_units", "Summary of systemd unit states");
    let count = |state| {
        let units = model.units.values();
        units.filter(|unit| unit.active == Some(state)).count()
    };
    for state in State::SHOWN {
        family.sample(&[("state", state.label())], count(state));
    }
    for state in [State::Reloading, State::Refreshing, State::Maintenance] {
        let units = count(state);
        if units > 0 {
            family.sample(&[("state", state.label())], units);
        }
    }
}

fn manager(page: &mut Page, model: &Model) {
    let manager = &model.manager;
    if let Some(state) = &manager.system_state {
        let help = "Whether the system is operational (see 'systemctl is-system-running')";
        page.gauge("node_systemd_system_running", help)
            .value(&**state == "running");
    }
    if let Some(version) = &manager.version {
        page.gauge("node_systemd_version", "Detected systemd version")
            .sample(&[("version", version)], version_number(version));
    }
    if let Some(virtualization) = &manager.virtualization {
        let shown = if virtualization.is_empty() {
            "none"
        } else {
            virtualization
        };
        let help = "Detected virtualization technology";
        page.gauge("node_systemd_virtualization_info", help)
            .sample(&[("virtualization_type", shown)], 1_u64);
    }
}

/// The number that a version begins with: `252.39` of `252.39-1~deb12u1`, 257 of `257~rc2`.
fn version_number(version: &str) -> f64 {
    let mut points = 0;
    let end = version.find(|c: char| {
        points += u8::from(c == '.');
        !(c.is_ascii_digit() || (c == '.' && points == 1))
    });
    version[..end.unwrap_or(version.len())]
        .parse()
        .unwrap_or(0.0)
}

/// The families that both exporters have under the same second half of their names.
fn counters(page: &mut Page, model: &Model, prefix: &str) {
    type Get = fn(&Details) -> Option<u64>;
    let mut each = |is_counter: bool, name: &str, help: &str, get: Get| {
        let name = format!("{prefix}_{name}");
        let mut family = if is_counter {
            page.counter(&name, help)
        } else {
            page.gauge(&name, help)
        };
        for (unit, _, details) in shown(model) {
            if let Some(value) = get(details) {
                family.sample(&[("name", unit)], value);
            }
        }
    };
    let help = "Service unit count of Restart triggers";
    each(true, "service_restart_total", help, |unit| unit.restarts);
    let help = "Total number of accepted socket connections";
    each(true, "socket_accepted_connections_total", help, |unit| {
        unit.accepted
    });
    let help = "Current number of socket connections";
    each(false, "socket_current_connections", help, |unit| {
        unit.connections
    });
    let help = "Total number of refused socket connections";
    each(true, "socket_refused_connections_total", help, |unit| {
        unit.refused
    });

    let name = format!("{prefix}_timer_last_trigger_seconds");
    let mut family = page.gauge(&name, "Seconds since epoch of last trigger.");
    for (unit, _, details) in shown(model) {
        if let Some(usec) = details.last_trigger {
            family.sample(&[("name", unit)], Shown::millionths(usec));
        }
    }
}

fn systemd(page: &mut Page, model: &Model) {
    let mut family = page.gauge("systemd_unit_state", "Systemd unit");
    for (name, unit, _) in shown(model) {
        for state in State::SHOWN {
            let labels = [
                ("name", name),
                ("type", kind_of(name)),
                ("state", state.label()),
            ];
            family.sample(&labels, unit.active == Some(state));
        }
    }
    let mut family = page.gauge(
        "systemd_unit_info",
        "Mostly-static metadata for all unit types",
    );
    for (name, _, details) in shown(model) {
        let own = details.kind.as_deref();
        let (mount, service) = match kind_of(name) {
            "mount" => (own, Some("")),
            "service" => (Some(""), own),
            _ => continue,
        };
        if let (Some(mount), Some(service)) = (mount, service) {
            let labels = [
                ("name", name),
                ("type", kind_of(name)),
                ("mount_type", mount),
                ("service_type", service),
            ];
            family.sample(&labels, 1_u64);
        }
    }
    stamps(page, model);
    counters(page, model, "systemd");
    boot(page, model);
}

fn stamps(page: &mut Page, model: &Model) {
    type Get = fn(&Unit, &Details) -> Option<u64>;
    let mut each = |name: &str, help: &str, get: Get| {
        let mut family = page.gauge(name, help);
        for (name, unit, details) in shown(model) {
            if let Some(usec) = get(unit, details) {
                let labels = [("name", name), ("type", kind_of(name))];
                family.sample(&labels, Shown::millionths(usec));
            }
        }
    };
    each(
        "systemd_unit_start_time_seconds",
        "Start time of the unit since unix epoch in seconds.",
        started,
    );
    each(
        "systemd_unit_active_enter_time_seconds",
        "Last time the unit transitioned into the active state",
        |_, unit| unit.active_enter,
    );
    each(
        "systemd_unit_active_exit_time_seconds",
        "Last time the unit transitioned out of the active state",
        |_, unit| unit.active_exit,
    );
    each(
        "systemd_unit_inactive_enter_time_seconds",
        "Last time the unit transitioned into the inactive state",
        |_, unit| unit.inactive_enter,
    );
    each(
        "systemd_unit_inactive_exit_time_seconds",
        "Last time the unit transitioned out of the inactive state",
        |_, unit| unit.inactive_exit,
    );
}

fn boot(page: &mut Page, model: &Model) {
    let manager = &model.manager;
    type Get = fn(&(u64, u64)) -> u64;
    let mut each = |name: &str, help: &str, get: Get| {
        let mut family = page.gauge(name, help);
        for (stage, at) in &manager.stages {
            // A stage that this boot did not have: no firmware in a container.
            if get(at) > 0 {
                family.sample(&[("stage", stage)], Shown::millionths(get(at)));
            }
        }
    };
    each(
        "systemd_boot_monotonic_seconds",
        "Systemd boot stage monotonic timestamps",
        |at| at.1,
    );
    each(
        "systemd_boot_time_seconds",
        "Systemd boot stage timestamps",
        |at| at.0,
    );
    if let Some(device) = &manager.watchdog_device {
        page.gauge("systemd_watchdog_enabled", "systemd watchdog enabled")
            .value(!device.is_empty());
        if let Some(usec) = manager.watchdog_usec.filter(|_| !device.is_empty()) {
            let help = "systemd watchdog runtime seconds";
            page.gauge("systemd_watchdog_runtime_seconds", help)
                .sample(&[("device", device)], Shown::millionths(usec));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::Filter;
    use super::super::model::{Listed, Value};
    use super::*;
    use roundsman_host::exposition::Format;

    fn model() -> Model {
        let filter = Filter::new(&[".+".into()], &[r".+\.device".into()]).unwrap();
        let mut model = Model::default();
        let units = [
            ("a.service", "failed", "loaded"),
            ("b.timer", "active", "loaded"),
            ("c.socket", "active", "loaded"),
            ("x.device", "active", "loaded"),
            ("y.service", "inactive", "not-found"),
            ("z.service", "reloading", "loaded"),
        ];
        let listed = units
            .iter()
            .map(|(name, active, load)| Listed { name, load, active });
        model.replace(listed, &filter);
        let (text, number) = (Value::Text, Value::Number);
        let mut apply = |unit, property, value| {
            model.apply(unit, [(property, value)].into_iter());
        };
        apply("a.service", "Type", text("oneshot"));
        apply("a.service", "Result", text("exit-code"));
        apply("a.service", "NRestarts", number(3));
        apply("a.service", "ActiveEnterTimestamp", number(1_500_000));
        apply("b.timer", "LastTriggerUSec", number(1_795_197_600_250_000));
        apply("c.socket", "NAccepted", number(7));
        apply("z.service", "ActiveEnterTimestamp", number(2_000_000));
        model.manager.apply("Version", text("252.39-1~deb12u1"));
        model.manager.apply("SystemState", text("degraded"));
        model.manager.apply("Virtualization", text(""));
        model
    }

    fn page(names: &[Names]) -> String {
        let mut page = Page::new(Format::Text);
        render(&mut page, &model(), names);
        String::from_utf8(page.finish().to_vec()).unwrap()
    }

    #[test]
    fn units_are_shown_under_the_names_of_node_exporter() {
        let page = page(&[Names::Node]);
        for line in [
            "node_systemd_unit_state{name=\"a.service\",state=\"failed\",type=\"oneshot\"} 1",
            "node_systemd_unit_state{name=\"a.service\",state=\"active\",type=\"oneshot\"} 0",
            "node_systemd_unit_state{name=\"b.timer\",state=\"active\",type=\"\"} 1",
            "node_systemd_unit_state{name=\"z.service\",state=\"active\",type=\"\"} 0",
            "node_systemd_units{state=\"active\"} 3",
            "node_systemd_units{state=\"inactive\"} 1",
            "node_systemd_units{state=\"reloading\"} 1",
            "node_systemd_service_restart_total{name=\"a.service\"} 3",
            "node_systemd_timer_last_trigger_seconds{name=\"b.timer\"} 1795197600.25",
            "node_systemd_socket_accepted_connections_total{name=\"c.socket\"} 7",
            "node_systemd_unit_start_time_seconds{name=\"a.service\"} 0",
            "node_systemd_system_running 0",
            "node_systemd_version{version=\"252.39-1~deb12u1\"} 252.39",
            "node_systemd_virtualization_info{virtualization_type=\"none\"} 1",
            "roundsman_unit_result{name=\"a.service\",result=\"exit-code\"} 1",
        ] {
            assert!(page.contains(&format!("{line}\n")), "{line}\n{page}");
        }
        for absent in ["x.device", "y.service", "socket_refused", "\nsystemd_"] {
            assert!(!page.contains(absent), "{absent}\n{page}");
        }
    }

    #[test]
    fn units_are_shown_under_the_names_of_systemd_exporter() {
        let page = page(&[Names::Systemd]);
        for line in [
            "systemd_unit_state{name=\"a.service\",type=\"service\",state=\"failed\"} 1",
            "systemd_unit_info{name=\"a.service\",type=\"service\",mount_type=\"\",service_type=\"oneshot\"} 1",
            "systemd_unit_active_enter_time_seconds{name=\"a.service\",type=\"service\"} 1.5",
            "systemd_unit_start_time_seconds{name=\"a.service\",type=\"service\"} 0",
            "systemd_service_restart_total{name=\"a.service\"} 3",
            "systemd_timer_last_trigger_seconds{name=\"b.timer\"} 1795197600.25",
        ] {
            assert!(page.contains(&format!("{line}\n")), "{line}\n{page}");
        }
        assert!(!page.contains("node_systemd"), "{page}");
    }

    #[test]
    fn a_version_is_the_number_it_begins_with() {
        for (version, number) in [
            ("257~rc2", 257.0),
            ("252.39-1", 252.39),
            ("258.1.2", 258.1),
            ("v260", 0.0),
        ] {
            assert_eq!(version_number(version), number, "{version}");
        }
    }
}
