//! Network interfaces.

use roundsman_host::{Error, network as net};
use serde_json::Map;

use super::{Gathering, put};
use crate::previous::rate;

pub(super) fn network(gathering: &mut Gathering<'_>) -> Result<(), Error> {
    let measure = gathering.measure;
    let interfaces = net::read(gathering.host)?.into_iter();
    let measured = interfaces.filter(|interface| measure.keeps_interface(&interface.name));
    for interface in measured {
        let bytes = [interface.rx_bytes, interface.tx_bytes];
        let mut payload = Map::new();
        for (key, value) in [
            ("rx_bytes", interface.rx_bytes),
            ("tx_bytes", interface.tx_bytes),
            ("rx_errors", interface.rx_errors),
            ("tx_errors", interface.tx_errors),
        ] {
            payload.insert(key.into(), value.into());
        }
        let before = gathering
            .before
            .and_then(|(before, seconds)| Some((before.interfaces.get(&interface.name)?, seconds)));
        if let Some((before, seconds)) = before {
            let keys = ["rx_bytes_per_second", "tx_bytes_per_second"];
            for (at, key) in keys.into_iter().enumerate() {
                put(&mut payload, key, rate(before[at], bytes[at], seconds));
            }
        }
        gathering
            .counters
            .interfaces
            .insert(interface.name.clone(), bytes);
        gathering
            .sample("network")
            .insert(interface.name, payload.into());
    }
    Ok(())
}
