-- Times are milliseconds since 1970 in UTC; enumerations are text with a CHECK.

-- The bus. `id` follows the order of commits and is never used again, so a reader that keeps the
-- last one it saw misses nothing.
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

CREATE UNIQUE INDEX event_dedup_key ON event (dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX event_at ON event (at);
CREATE INDEX event_correlation ON event (correlation, id) WHERE correlation IS NOT NULL;

-- How many events there have ever been; deleting old events does not lower it.
CREATE TABLE event_count (
    agent    TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    severity INTEGER NOT NULL,
    total    INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    PRIMARY KEY (agent, kind, severity)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_counted AFTER INSERT ON event
BEGIN
    INSERT INTO event_count (agent, kind, severity, total, last_at)
    VALUES (NEW.agent, NEW.kind, NEW.severity, 1, NEW.at)
    ON CONFLICT (agent, kind, severity) DO UPDATE
    SET total = total + 1, last_at = max(last_at, excluded.last_at);
END;

-- A position in a stream outside: a journal cursor, a resourceVersion, a stream id.
CREATE TABLE cursor (
    agent      TEXT    NOT NULL CHECK (agent <> ''),
    stream     TEXT    NOT NULL CHECK (stream <> ''),
    position   TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (agent, stream)
) STRICT, WITHOUT ROWID;

-- Figures of a host at one instant, one row per kind; a second run for the same instant adds none.
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

-- The last cycle of each unit (`hostmetrics`, `beacon@prod`), and counters that outlive restarts.
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
