-- The process that has taken a generation over last; no other one may commit to it.
ALTER TABLE generations ADD COLUMN owner BLOB CHECK (length(owner) = 16);
