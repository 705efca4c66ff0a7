-- What is owed to an endpoint: one event, or one group of events whose body is frozen. `id` is the
-- order of one endpoint. A row with an order key waits (`blocked`) while an earlier one of the same
-- endpoint and key is due.
CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          TEXT    NOT NULL CHECK (uid <> ''),
    endpoint     TEXT    NOT NULL CHECK (endpoint <> ''),
    trigger      TEXT    NOT NULL CHECK (trigger <> ''),
    event_id     INTEGER,
    order_key    TEXT,
    severity     INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 7),
    state        TEXT    NOT NULL CHECK (state IN ('due', 'done', 'parked')),
    blocked      INTEGER NOT NULL CHECK (blocked IN (0, 1)),
    created_at   INTEGER NOT NULL,
    next_at      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    redelivered  INTEGER NOT NULL,
    content_type TEXT,
    body         BLOB,
    last_at      INTEGER,
    last_status  INTEGER,
    last_error   TEXT,
    last_answer  TEXT,
    UNIQUE (endpoint, uid),
    CHECK (event_id IS NOT NULL OR body IS NOT NULL)
) STRICT;

CREATE INDEX delivery_due ON delivery (endpoint, next_at, id) WHERE state = 'due' AND blocked = 0;
CREATE INDEX delivery_key ON delivery (endpoint, order_key, id)
    WHERE state = 'due' AND order_key IS NOT NULL;
CREATE INDEX delivery_age ON delivery (state, created_at);
CREATE INDEX delivery_event ON delivery (event_id) WHERE event_id IS NOT NULL;

-- How many deliveries there are, so that gauges need not count them.
CREATE TABLE delivery_count (
    endpoint TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    total    INTEGER NOT NULL,
    PRIMARY KEY (endpoint, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER delivery_added AFTER INSERT ON delivery
BEGIN
    INSERT INTO delivery_count (endpoint, state, total) VALUES (NEW.endpoint, NEW.state, 1)
    ON CONFLICT (endpoint, state) DO UPDATE SET total = total + 1;
END;

CREATE TRIGGER delivery_moved AFTER UPDATE OF state ON delivery WHEN OLD.state <> NEW.state
BEGIN
    UPDATE delivery_count SET total = total - 1
    WHERE endpoint = OLD.endpoint AND state = OLD.state;
    INSERT INTO delivery_count (endpoint, state, total) VALUES (NEW.endpoint, NEW.state, 1)
    ON CONFLICT (endpoint, state) DO UPDATE SET total = total + 1;
END;

CREATE TRIGGER delivery_removed AFTER DELETE ON delivery
BEGIN
    UPDATE delivery_count SET total = total - 1
    WHERE endpoint = OLD.endpoint AND state = OLD.state;
END;

-- What is known of an endpoint, so that a restart forgets nothing.
CREATE TABLE endpoint (
    name            TEXT    NOT NULL PRIMARY KEY CHECK (name <> ''),
    fingerprint     TEXT    NOT NULL,
    failures        INTEGER NOT NULL,
    opened_at       INTEGER,
    not_before      INTEGER,
    disabled_at     INTEGER,
    disabled_reason TEXT,
    gone_at         INTEGER,
    last_success    INTEGER,
    last_failure    INTEGER,
    last_error      TEXT,
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
) STRICT, WITHOUT ROWID;
