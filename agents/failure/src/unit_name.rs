//! What may be the name of a unit: it becomes a file's name and a question to systemd.

/// Every type of unit that systemd has (systemd.unit(5)).
const TYPES: [&str; 11] = [
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];

/// systemd.unit(5): at most 255 characters, a name and a type.
pub fn is_unit_name(unit: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let Some((name, kind)) = unit.rsplit_once('.') else {
        return false;
    };
    // A leading dot is what the temporary files beside the markers have.
    unit.len() <= 255
        && !name.is_empty()
        && !name.starts_with('.')
        && name.chars().all(allowed)
        && TYPES.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::is_unit_name;

    #[test]
    fn a_unit_name_has_a_type_of_systemd_and_cannot_leave_the_markers_directory() {
        for good in [
            "nginx.service",
            "foo@bar.service",
            "-.mount",
            "-.slice",
            "dev-disk-by\\x2duuid-1.swap",
        ] {
            assert!(is_unit_name(good), "{good}");
        }
        for bad in [
            "",
            "nginx",
            ".service",
            "nginx.conf",
            "../x.service",
            "..service",
            ".x.service",
            "a/b.service",
            "a b.service",
        ] {
            assert!(!is_unit_name(bad), "{bad}");
        }
    }
}
