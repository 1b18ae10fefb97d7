-- Read models kept in this file. Their rows are in tables of their own, view_<name>_<version>.

-- One row per generation. The hash is that of the definition that made the rows: the
-- same generation with another hash is refused.
CREATE TABLE read_models (
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    hash    TEXT    NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- How far each generation has applied the log of each source store. A checkpoint moves
-- in the transaction that writes the rows, by compare-and-set.
CREATE TABLE checkpoints (
    name        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    store_id    BLOB    NOT NULL,
    incarnation INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    anchor_id   BLOB    NOT NULL, -- the event at the position; zero at position 0
    fence       INTEGER NOT NULL,
    PRIMARY KEY (name, version, store_id)
) STRICT, WITHOUT ROWID;
