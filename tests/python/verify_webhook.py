"""Verifies a request as a receiver does that follows the documents of Standard Webhooks.

Reads {"secret", "headers", "body"}; prints the payload, or why the library refuses it (exit 1).
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

given = json.load(sys.stdin)
try:
    payload = Webhook(given["secret"]).verify(given["body"], given["headers"])
except WebhookVerificationError as refusal:
    print(f"refused: {refusal}")
    sys.exit(1)
print(json.dumps(payload))
