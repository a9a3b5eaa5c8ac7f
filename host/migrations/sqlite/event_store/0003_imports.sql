-- One row while an import is under way: which export it takes over. Until it is gone the history is not whole: nothing
-- is appended and nothing activated.
CREATE TABLE imports (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    export BLOB NOT NULL CHECK (length(export) = 32)
) STRICT;
