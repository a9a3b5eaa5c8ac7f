-- The read store's bookkeeping; the documents themselves are in one table per generation and collection, made on demand.
-- UUIDs and digests are blobs, times are microseconds since 1970.
-- Append-only file: a change of the schema is a new file with the next number.

-- The last number given to a generation of a projection, kept after it is dropped so that none is used again.
CREATE TABLE projections (
    name TEXT PRIMARY KEY,
    last_number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    projection TEXT NOT NULL,
    number INTEGER NOT NULL,
    store BLOB NOT NULL CHECK (length(store) = 16),
    plugin BLOB NOT NULL CHECK (length(plugin) = 32),
    -- The checkpoint: it moves in the same transaction as the documents.
    position INTEGER NOT NULL DEFAULT 0,
    event_id BLOB NOT NULL CHECK (length(event_id) = 16),
    -- Moves by one with each commit; a former owner's commit finds another one and is refused.
    sequence INTEGER NOT NULL DEFAULT 0,
    deviates INTEGER NOT NULL DEFAULT 0 CHECK (deviates IN (0, 1)),
    live INTEGER NOT NULL DEFAULT 0 CHECK (live IN (0, 1)),
    retired_at INTEGER,
    UNIQUE (projection, number)
) STRICT;

-- At most one generation of a projection is live.
CREATE UNIQUE INDEX live_generations ON generations (projection) WHERE live = 1;

-- `documents` is the name of the table that holds the collection's documents.
-- `keys` is a JSON array of the indexed paths, one per column `key_0`, `key_1`, … of that table.
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    generation INTEGER NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    documents TEXT NOT NULL UNIQUE,
    keys TEXT NOT NULL,
    UNIQUE (generation, name)
) STRICT;

-- Events set aside: the failing ones with their error, the later ones of their streams without.
CREATE TABLE parked (
    generation INTEGER NOT NULL REFERENCES generations (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    stream TEXT NOT NULL,
    full_type TEXT NOT NULL,
    error TEXT,
    parked_at INTEGER NOT NULL,
    PRIMARY KEY (generation, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX parked_streams ON parked (generation, stream);
