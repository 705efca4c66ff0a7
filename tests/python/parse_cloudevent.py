"""Reads {"headers", "body"} as the SDK of CloudEvents does; prints what it understood."""

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

given = json.load(sys.stdin)
message = HTTPMessage(headers=given["headers"], body=given["body"].encode())
event = from_structured(message, JSONFormat())
attributes = {name: str(value) for name, value in event.get_attributes().items()}
print(json.dumps({"attributes": attributes, "data": event.get_data()}))
