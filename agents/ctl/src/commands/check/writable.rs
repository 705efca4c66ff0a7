//! Whether the sandbox of each agent lets it write where its store is configured to lie.

use std::path::Path;

use serde_json::Value;

use super::agents::Values;
use super::units::STATE;
use super::{Part, Report, Surroundings};
use crate::agents::service_of;
use crate::systemd::Service;

/// What applies to every agent of the suite, instances included.
const DROP_IN: &str = "/etc/systemd/system/roundsman-.service.d/50-store.conf";

/// Compares `store` of each agent's own configuration with the effective `ReadWritePaths=` of
/// its unit. (That the shipped place can be written is looked at with the unit.)
pub fn check(around: &Surroundings, configured: &Values, report: &mut Report) {
    let Some(manager) = &around.manager else {
        return;
    };
    let instances = configured.iter().filter(|(name, _)| !name.ends_with('@'));
    for (name, values) in instances {
        let (Some(directory), Ok(service)) =
            (directory(values), manager.service(&service_of(name)))
        else {
            continue;
        };
        if let Some((reason, remedy)) = finding(&directory, &service) {
            let key = "ReadWritePaths";
            report.found(Part::Unit, (service_of(name), key), reason, remedy);
        }
    }
}

/// The directory that the store is configured to lie in.
fn directory(values: &Value) -> Option<String> {
    let store = Path::new(values["store"].as_str()?);
    Some(store.parent()?.display().to_string())
}

fn finding(directory: &str, service: &Service) -> Option<(String, String)> {
    if directory == STATE || service.can_write_below(directory) {
        return None;
    }
    Some((
        format!(
            "`store` in common.toml lies in {directory}, where its sandbox does not let it write"
        ),
        format!(
            "put \"[Service]\" and \"ReadWritePaths={directory}\" into {DROP_IN}; \
             systemctl daemon-reload; systemctl restart roundsman.target"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_elsewhere_needs_a_path_in_the_sandbox() {
        let values = serde_json::json!({"store": "/srv/rm/other.db"});
        let directory = directory(&values).unwrap();
        let with = |paths: &[&str]| Service {
            protect_system: "strict".into(),
            read_write_paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            ..Service::default()
        };
        let (reason, remedy) = finding(&directory, &with(&[STATE, "/srv/rm2"])).unwrap();
        assert!(reason.contains("/srv/rm,"), "{reason}");
        assert!(remedy.contains("ReadWritePaths=/srv/rm\""), "{remedy}");
        assert!(remedy.contains(DROP_IN) && remedy.contains("daemon-reload"));
        for paths in [&["-/srv/rm/"][..], &["+/srv"], &["/"]] {
            assert_eq!(finding(&directory, &with(paths)), None, "{paths:?}");
        }
        assert_eq!(finding(STATE, &with(&[])), None, "said with the unit");
        assert_eq!(finding(&directory, &Service::default()), None);
    }
}
