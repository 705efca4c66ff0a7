-- One request that a person asked for, to see whether an endpoint answers. It is no delivery:
-- nothing is owed, and nothing of it counts for or against the endpoint. Herald fills in the rest
-- (`begun_at` when it has taken it up, all others when it is over).
CREATE TABLE trial (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT    NOT NULL CHECK (endpoint <> ''),
    at       INTEGER NOT NULL,
    event_id INTEGER,
    trigger  TEXT,
    begun_at INTEGER,
    done_at  INTEGER,
    url      TEXT,
    status   INTEGER,
    error    TEXT,
    took_ms  INTEGER,
    request  TEXT,
    answer   TEXT
) STRICT;

CREATE INDEX trial_open ON trial (id) WHERE done_at IS NULL;
