//! Standard Webhooks 1.0.0: `{type, timestamp, data}`.
//!
//! Everything of the event is in `data`. A body that would reach [`fit::BODY_BYTES`] is cut: the
//! longest strings of data and labels first, to 4096 bytes, 1024, 256, 64, each with an ellipsis
//! at its end; then data and labels are left out, then members of a group, then the other strings
//! are cut. An event that lost anything says `"truncated": true`, a group how many it `omitted`.

use serde::Serialize;

use super::fit::{self, Data};
use super::{Body, Notice, RenderError, rfc3339, text};

#[derive(Serialize)]
struct Payload<'a> {
    r#type: String,
    timestamp: String,
    data: Data<'a>,
}

pub fn render(notice: &Notice<'_>) -> Result<Body, RenderError> {
    let bytes = fit::json(|cut| Payload {
        r#type: text::cut(notice.kind(), cut.others),
        timestamp: rfc3339(notice.at()),
        data: Data::new(notice, cut),
    })?;
    Ok(Body::json(bytes))
}
