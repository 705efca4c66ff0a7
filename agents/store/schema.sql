-- What the migrations make; generated, see src/migrate/tests.rs. Not run by anything.
PRAGMA application_id = 0x7264736d;
PRAGMA user_version = 4;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;

CREATE TABLE cursor (
    agent      TEXT    NOT NULL CHECK (agent <> ''),
    stream     TEXT    NOT NULL CHECK (stream <> ''),
    position   TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (agent, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE cycle (
    unit                 TEXT    NOT NULL PRIMARY KEY CHECK (unit <> ''),
    started              INTEGER NOT NULL,
    finished             INTEGER NOT NULL,
    outcome              TEXT    NOT NULL CHECK (outcome IN ('ok', 'degraded', 'failed')),
    class                TEXT    CHECK (class IN ('config', 'unavailable', 'rejected', 'incompatible', 'bug', 'no_data')),
    sentence             TEXT    NOT NULL,
    figures              TEXT    NOT NULL CHECK (json_valid(figures) AND json_type(figures) = 'object'),
    runs_total           INTEGER NOT NULL,
    failures_total       INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    last_success         INTEGER,
    CHECK (outcome <> 'failed' OR class IS NOT NULL)
) STRICT, WITHOUT ROWID;

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
    last_answer  TEXT, headers TEXT
    CHECK (json_valid(headers) AND json_type(headers) = 'object'), held_by TEXT CHECK (held_by <> ''), owed_at INTEGER, own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1)),
    UNIQUE (endpoint, uid),
    CHECK (event_id IS NOT NULL OR body IS NOT NULL)
) STRICT;

CREATE TRIGGER delivery_added AFTER INSERT ON delivery
BEGIN
    INSERT INTO delivery_count (endpoint, state, total) VALUES (NEW.endpoint, NEW.state, 1)
    ON CONFLICT (endpoint, state) DO UPDATE SET total = total + 1;
END;

CREATE INDEX delivery_age ON delivery (state, created_at);

CREATE INDEX delivery_due ON delivery (endpoint, next_at, id) WHERE state = 'due' AND blocked = 0;

CREATE INDEX delivery_event ON delivery (event_id) WHERE event_id IS NOT NULL;

CREATE INDEX delivery_held ON delivery (held_by, trigger, next_at)
    WHERE state = 'due' AND held_by IS NOT NULL;

CREATE INDEX delivery_key ON delivery (endpoint, order_key, id)
    WHERE state = 'due' AND order_key IS NOT NULL;

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

CREATE TABLE delivery_count (
    endpoint TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    total    INTEGER NOT NULL,
    PRIMARY KEY (endpoint, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery_group (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint   TEXT    NOT NULL CHECK (endpoint <> ''),
    trigger    TEXT    NOT NULL CHECK (trigger <> ''),
    key        TEXT    NOT NULL,
    held_by    TEXT    NOT NULL,
    order_key  TEXT    NOT NULL,
    first_uid  TEXT    NOT NULL,
    n          INTEGER NOT NULL,
    closes_at  INTEGER,
    repeats_at INTEGER,
    last_uid   TEXT,
    UNIQUE (endpoint, trigger, key, held_by)
) STRICT;

CREATE INDEX delivery_group_closes ON delivery_group (closes_at) WHERE closes_at IS NOT NULL;

CREATE INDEX delivery_group_repeats ON delivery_group (repeats_at) WHERE repeats_at IS NOT NULL;

CREATE TABLE delivery_member (
    group_id INTEGER NOT NULL REFERENCES delivery_group (id) ON DELETE CASCADE,
    event_id INTEGER NOT NULL,
    told     INTEGER NOT NULL CHECK (told IN (0, 1)),
    PRIMARY KEY (group_id, told, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_member_event ON delivery_member (event_id);

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

CREATE TABLE event (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         TEXT    NOT NULL UNIQUE,
    at          INTEGER NOT NULL,
    agent       TEXT    NOT NULL CHECK (agent <> ''),
    kind        TEXT    NOT NULL CHECK (kind <> ''),
    state       TEXT    NOT NULL CHECK (state IN ('occurred', 'firing', 'resolved')),
    correlation TEXT,
    severity    INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 7),
    subject     TEXT,
    order_key   TEXT,
    labels      TEXT    NOT NULL CHECK (json_valid(labels) AND json_type(labels) = 'object'),
    data        TEXT    NOT NULL CHECK (json_valid(data) AND json_type(data) = 'object'),
    message     TEXT    NOT NULL CHECK (octet_length(message) <= 500),
    dedup_key   TEXT,
    CHECK (state = 'occurred' OR correlation IS NOT NULL)
) STRICT;

CREATE INDEX event_at ON event (at);

CREATE INDEX event_correlation ON event (correlation, id) WHERE correlation IS NOT NULL;

CREATE TRIGGER event_counted AFTER INSERT ON event
BEGIN
    INSERT INTO event_count (agent, kind, severity, total, last_at)
    VALUES (NEW.agent, NEW.kind, NEW.severity, 1, NEW.at)
    ON CONFLICT (agent, kind, severity) DO UPDATE
    SET total = total + 1, last_at = max(last_at, excluded.last_at);
END;

CREATE UNIQUE INDEX event_dedup_key ON event (dedup_key) WHERE dedup_key IS NOT NULL;

CREATE TABLE event_count (
    agent    TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    severity INTEGER NOT NULL,
    total    INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    PRIMARY KEY (agent, kind, severity)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    host    TEXT    NOT NULL CHECK (host <> ''),
    os      TEXT    NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind <> ''),
    payload TEXT    NOT NULL CHECK (json_valid(payload) AND json_type(payload) = 'object'),
    UNIQUE (kind, host, at)
) STRICT;

CREATE INDEX sample_at ON sample (at);

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
