-- What holds a delivery back, and until when that was. A frozen group has no event to make the
-- header fields of its format from, so they are kept. `owed_at` is when it was first allowed to go
-- (its age counts from there); NULL is when it was made.
ALTER TABLE delivery ADD COLUMN headers TEXT
    CHECK (json_valid(headers) AND json_type(headers) = 'object');
ALTER TABLE delivery ADD COLUMN held_by TEXT CHECK (held_by <> '');
ALTER TABLE delivery ADD COLUMN owed_at INTEGER;
-- A digest that carries an event of the agent that delivers: what comes of it is no event.
ALTER TABLE delivery ADD COLUMN own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));

CREATE INDEX delivery_held ON delivery (held_by, trigger, next_at)
    WHERE state = 'due' AND held_by IS NOT NULL;

-- Events that are told together. `closes_at` is when those that wait are told, `repeats_at` when
-- those that still hold are told again; `n` counts the digests. A silence has groups of its own.
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

-- The events of a group: those that wait, and those of the last digest that may be told again.
CREATE TABLE delivery_member (
    group_id INTEGER NOT NULL REFERENCES delivery_group (id) ON DELETE CASCADE,
    event_id INTEGER NOT NULL,
    told     INTEGER NOT NULL CHECK (told IN (0, 1)),
    PRIMARY KEY (group_id, told, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_member_event ON delivery_member (event_id);
