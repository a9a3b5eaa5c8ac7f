-- The event store. UUIDs and digests are blobs, times are microseconds since 1970, JSON is canonical text.
-- Append-only file: a change of the schema is a new file with the next number.

-- One row: which store this is. A cursor from another store is worth nothing here.
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    created_at INTEGER NOT NULL
) STRICT;

-- `position` is the rowid, so that appends go to the right edge of the tree and `max(position)` is one step.
-- The index of (stream, version) refuses a second event at one version, finds a stream's head and reads its events.
CREATE TABLE events (
    position INTEGER PRIMARY KEY CHECK (position > 0),
    event_id BLOB NOT NULL UNIQUE CHECK (length(event_id) = 16),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- The digest of the plugin that decided it.
    plugin BLOB NOT NULL CHECK (length(plugin) = 32),
    metadata TEXT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (stream, version)
) STRICT;

-- Also keeps `INSERT OR REPLACE` from taking the place of an event, which fires no trigger of DELETE.
CREATE TRIGGER events_are_only_added BEFORE INSERT ON events
WHEN NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM events)
    OR NEW.version <> (SELECT coalesce(max(version), 0) + 1 FROM events WHERE stream = NEW.stream)
BEGIN
    SELECT RAISE(ABORT, 'positions and versions are dense');
END;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are insert-only');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are insert-only');
END;

-- Accepted commands: for idempotency, for audit, and to decide them again with another plugin version.
-- A table with a rowid, since the payloads then go to the right edge and only the small keys are scattered.
CREATE TABLE commands (
    number INTEGER PRIMARY KEY,
    actor TEXT NOT NULL,
    command_id TEXT NOT NULL,
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    -- Tells the same command from another one under the same id.
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    -- The stream's version before and after; the same for a command without events.
    before_version INTEGER NOT NULL,
    after_version INTEGER NOT NULL,
    -- Of its last event, or of the stream's last event when it has none.
    position INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (actor, command_id)
) STRICT;

-- Which event types occur in which schema version: what a plugin must be able to read before it may be active.
CREATE TABLE census (
    category TEXT NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    PRIMARY KEY (category, type, schema_version)
) STRICT, WITHOUT ROWID;

-- Aggregate states, usable only by the plugin version that wrote them. May be emptied at any time.
CREATE TABLE snapshots (
    number INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    plugin BLOB NOT NULL CHECK (length(plugin) = 32),
    version INTEGER NOT NULL,
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    recorded_at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (stream, plugin)
) STRICT;

-- Every plugin version ever installed. `bytes` comes last, so that reading the rest never touches its pages.
CREATE TABLE plugins (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    aggregate TEXT,
    installed_at INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- The active version of each name. Two names never decide for one aggregate: the database refuses it.
CREATE TABLE active_plugins (
    name TEXT PRIMARY KEY,
    digest BLOB NOT NULL REFERENCES plugins (digest),
    aggregate TEXT UNIQUE,
    activated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
