//! Format `cloudevents`, read by the SDK.

use roundsman_tests::{Python, Receiver, python, skipped};
use serde_json::{Value, json};

use crate::sender::{Sender, awkward, long};

#[test]
fn the_sdk_reads_a_structured_event_with_all_of_its_attributes() {
    let python = match Python::with(python::CLOUDEVENTS) {
        Ok(python) => python,
        Err(reason) => return skipped::test("receivers: the SDK of CloudEvents", &reason),
    };
    let receiver = Receiver::local().unwrap();
    let endpoint = format!("url = '{}'\nformat = 'cloudevents'", receiver.url());
    let sender = Sender::new(&endpoint, &[]);
    for (number, event) in [awkward(), long()].iter().enumerate() {
        sender.publish(event);
        let arrival = receiver.next_after(number).unwrap();
        assert_eq!(
            arrival.headers["content-type"],
            "application/cloudevents+json"
        );
        let input = json!({"headers": arrival.headers, "body": arrival.body});
        let output = python.run("parse_cloudevent.py", &input).unwrap();
        let read: Value = serde_json::from_str(&output.expect_code(0).stdout).unwrap();
        let sent = arrival.json().unwrap();
        let attributes = &read["attributes"];
        for name in ["specversion", "id", "source", "type", "datacontenttype"] {
            assert_eq!(attributes[name], sent[name], "{name}");
        }
        for extension in ["severity", "sequence"] {
            assert_eq!(attributes[extension], sent[extension], "{extension}");
        }
        assert_eq!(attributes["id"], arrival.headers["webhook-id"].as_str());
        assert_eq!(attributes["type"], "io.roundsman.test.thing");
        assert_eq!(read["data"], sent["data"]);
    }
}
