-- How far followers outside the store have come, such as the relay to a broker. May be emptied: they then begin anew.
CREATE TABLE cursors (
    follower TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    event_id BLOB NOT NULL CHECK (length(event_id) = 16)
) STRICT, WITHOUT ROWID;
