//! What the files of a chip mean: `temp1_crit` is the sensor `temp1`, and its figure is shown in
//! degrees as `node_hwmon_temp_crit_celsius`. The names are node_exporter's, odd ones too.

use crate::exposition::Kind;

/// Kinds of sensors that are known.
const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// The parts of a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) kind: &'a str,
    pub(super) sensor: String,
    pub(super) property: &'a str,
}

/// Takes a file's name apart; `None` for one that belongs to no sensor.
pub(super) fn parts(file: &str) -> Option<Name<'_>> {
    let stem = file
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(file.len());
    let (kind, rest) = file.split_at(stem);
    if !KINDS.contains(&kind) {
        return None;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(digits);
    let number: u32 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let property = match rest {
        "" => "",
        rest => rest
            .strip_prefix('_')
            .filter(|property| !property.is_empty())?,
    };
    Some(Name {
        kind,
        sensor: format!("{kind}{number}"),
        property,
    })
}

/// How the number in the file becomes the one that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    One,
    Milli,
    Micro,
    /// 1 if the file says 1, else 0.
    IsOne,
}

/// How one file is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) family: String,
    pub(super) kind: Kind,
    pub(super) scale: Scale,
    /// The label `sensor`, where it is not the sensor's own name.
    pub(super) sensor: Option<String>,
}

/// How a property of a sensor of that kind is shown. `plain_too` says that the sensor also has
/// a file without a property, which then has the family's name; `label` is what the driver
/// calls the sensor.
pub(super) fn metric(
    kind: &str,
    property: &str,
    plain_too: bool,
    label: Option<&str>,
) -> Option<Metric> {
    let of_chip = match kind {
        "beep_enable" => Some(("beep_enabled", Scale::IsOne)),
        "vrm" => Some(("voltage_regulator_version", Scale::One)),
        "update_interval" => Some(("update_interval_seconds", Scale::Milli)),
        _ => None,
    };
    if let Some((name, scale)) = of_chip {
        return (property.is_empty()).then(|| gauge(format!("node_hwmon_{name}"), scale));
    }
    let stem = match property {
        "" => format!("node_hwmon_{kind}"),
        "input" if !plain_too => format!("node_hwmon_{kind}"),
        other => format!("node_hwmon_{kind}_{}", clean(other)),
    };
    if kind == "freq" && property == "input" {
        return label.map(|label| Metric {
            sensor: Some(clean(label)),
            ..gauge(format!("{stem}_freq_mhz"), Scale::Micro)
        });
    }
    let (unit, scale) = unit(kind, property);
    Some(Metric {
        kind: if kind == "energy" && unit == "_joule_total" {
            Kind::Counter
        } else {
            Kind::Gauge
        },
        ..gauge(format!("{stem}{unit}"), scale)
    })
}

fn gauge(family: String, scale: Scale) -> Metric {
    Metric {
        family,
        kind: Kind::Gauge,
        scale,
        sensor: None,
    }
}

/// The end of the family's name, and the scale.
fn unit(kind: &str, property: &str) -> (&'static str, Scale) {
    match (kind, property) {
        (_, "fault" | "alarm") => ("", Scale::One),
        (_, "beep") => ("_enabled", Scale::One),
        ("in" | "cpu", _) => ("_volts", Scale::Milli),
        ("temp", "type") => ("", Scale::One),
        ("temp", _) => ("_celsius", Scale::Milli),
        ("curr", _) => ("_amps", Scale::Milli),
        ("energy", _) => ("_joule_total", Scale::Micro),
        ("power", "accuracy") => ("", Scale::Micro),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", Scale::Milli)
        }
        ("power", _) => ("_watt", Scale::Micro),
        ("humidity", _) => ("", Scale::Micro),
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", Scale::One),
        _ => ("", Scale::One),
    }
}

/// A name as it is used in names of metrics and chips.
pub(super) fn clean(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_');
    let cleaned: String = name
        .to_lowercase()
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    cleaned.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let shown = |file| parts(file).map(|name| (name.kind, name.sensor, name.property));
        assert_eq!(
            shown("temp1_input"),
            Some(("temp", "temp1".into(), "input"))
        );
        assert_eq!(shown("pwm2"), Some(("pwm", "pwm2".into(), "")));
        assert_eq!(
            shown("pwm1_auto_point1_pwm"),
            Some(("pwm", "pwm1".into(), "auto_point1_pwm"))
        );
        assert_eq!(
            shown("update_interval"),
            Some(("update_interval", "update_interval0".into(), ""))
        );
        for none in [
            "name",
            "uevent",
            "temp1x",
            "temp1_",
            "in_foo",
            "temp99999999999_input",
        ] {
            assert_eq!(shown(none), None, "{none}");
        }
    }

    /// Kind, property, whether there is a plain file too, family, scale.
    const FAMILIES: &[(&str, &str, bool, &str, Scale)] = &[
        (
            "temp",
            "input",
            false,
            "node_hwmon_temp_celsius",
            Scale::Milli,
        ),
        (
            "temp",
            "crit_alarm",
            false,
            "node_hwmon_temp_crit_alarm_celsius",
            Scale::Milli,
        ),
        ("temp", "alarm", false, "node_hwmon_temp_alarm", Scale::One),
        ("temp", "type", false, "node_hwmon_temp_type", Scale::One),
        ("in", "input", false, "node_hwmon_in_volts", Scale::Milli),
        (
            "in",
            "beep",
            false,
            "node_hwmon_in_beep_enabled",
            Scale::One,
        ),
        ("fan", "input", false, "node_hwmon_fan_rpm", Scale::One),
        ("fan", "input", true, "node_hwmon_fan_input_rpm", Scale::One),
        ("fan", "div", false, "node_hwmon_fan_div", Scale::One),
        ("pwm", "", false, "node_hwmon_pwm", Scale::One),
        (
            "power",
            "average",
            false,
            "node_hwmon_power_average_watt",
            Scale::Micro,
        ),
        (
            "power",
            "average_interval",
            false,
            "node_hwmon_power_average_interval_seconds",
            Scale::Milli,
        ),
        (
            "energy",
            "input",
            false,
            "node_hwmon_energy_joule_total",
            Scale::Micro,
        ),
        (
            "curr",
            "max",
            false,
            "node_hwmon_curr_max_amps",
            Scale::Milli,
        ),
        (
            "update_interval",
            "",
            true,
            "node_hwmon_update_interval_seconds",
            Scale::Milli,
        ),
    ];

    #[test]
    fn families_are_those_of_node_exporter() {
        let family = |kind, property, plain| {
            let metric = metric(kind, property, plain, None).unwrap();
            (metric.family, metric.scale)
        };
        for (kind, property, plain, expected, scale) in FAMILIES {
            assert_eq!(
                family(kind, property, *plain),
                (expected.to_string(), *scale)
            );
        }
        assert_eq!(
            metric("energy", "input", false, None).unwrap().kind,
            Kind::Counter
        );
        assert_eq!(metric("freq", "input", false, None), None);
        let freq = metric("freq", "input", false, Some("SCLK 1")).unwrap();
        assert_eq!(freq.family, "node_hwmon_freq_freq_mhz");
        assert_eq!(freq.sensor.as_deref(), Some("sclk_1"));
    }

    #[test]
    fn chips_keep_their_colons() {
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("pci0000:00"), "pci0000:00");
        assert_eq!(clean("Coretemp.0 "), "coretemp_0");
    }
}
