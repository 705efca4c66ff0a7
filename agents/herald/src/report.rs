//! What the journal is told.

use std::sync::Arc;

use roundsman_kit::log::id;
use roundsman_store::delivery::DeliveryId;

use crate::plan::Turn;

/// Says what happened to endpoints, each with what was wrong.
pub fn turns(turns: &[(String, Turn, String)]) {
    for (name, turn, error) in turns {
        match turn {
            Turn::Opened => log::warn!(
                MESSAGE_ID = id::ENDPOINT_DOWN,
                "ROUNDSMAN_ENDPOINT" = name;
                "{name}: does not take deliveries, and is only probed: {error}"
            ),
            Turn::Disabled => log::error!(
                MESSAGE_ID = id::ENDPOINT_DISABLED,
                "ROUNDSMAN_ENDPOINT" = name;
                "{name}: wants no more deliveries and is disabled: {error}"
            ),
            Turn::Recovered => log::info!(
                MESSAGE_ID = id::ENDPOINT_RECOVERED,
                "ROUNDSMAN_ENDPOINT" = name;
                "{name}: takes deliveries again"
            ),
        }
    }
}

/// Names the deliveries that are not tried any more, and why.
pub fn parked(parked: &[(DeliveryId, Arc<str>, String)]) {
    for (id, endpoint, error) in parked {
        log::warn!(
            MESSAGE_ID = id::DELIVERY_PARKED,
            "ROUNDSMAN_ENDPOINT" = **endpoint,
            "ROUNDSMAN_DELIVERY" = id.0;
            "{endpoint}: delivery {} is parked: {error}", id.0
        );
    }
}

/// Counts the deliveries that have become too old: thousands of them are one line for each endpoint.
pub fn aged(aged: &[(String, Vec<DeliveryId>)]) {
    for (endpoint, ids) in aged {
        let (number, first) = (ids.len(), ids.iter().map(|id| id.0).min().unwrap_or(0));
        log::warn!(
            MESSAGE_ID = id::DELIVERY_PARKED,
            "ROUNDSMAN_ENDPOINT" = endpoint,
            "ROUNDSMAN_DELIVERY" = first,
            "ROUNDSMAN_COUNT" = number;
            "{endpoint}: {number} deliveries are older than its max_age and parked, the first is {first}"
        );
    }
}
