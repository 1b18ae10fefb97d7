-- Read models kept in this file. Their rows are in tables of their own, view_<name>_<version>, and
-- the SQL view live_<name> shows those of the one that is live.

-- One row per generation. The hash is that of the definition that made the rows: the
-- same generation with another hash is refused. Of a name exactly one is live.
CREATE TABLE read_models (
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    hash    TEXT    NOT NULL,
    stage   TEXT    NOT NULL, -- building, live or kept
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX one_is_live ON read_models (name) WHERE stage = 'live';

-- How far each generation has applied the log of each source store, a row for each segment of
-- its keys. The checkpoint in it moves in the transaction that writes the rows, by
-- compare-and-set. Times are microseconds since 1970.
CREATE TABLE segments (
    name        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    store_id    BLOB    NOT NULL,
    first_slice INTEGER NOT NULL,
    end_slice   INTEGER NOT NULL, -- not one of them
    incarnation INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    anchor_id   BLOB    NOT NULL, -- the event at the position; zero at position 0
    fence       INTEGER NOT NULL,
    parks       INTEGER NOT NULL, -- changes to what is parked
    holder      TEXT    NOT NULL, -- of the lease
    held_until  INTEGER NOT NULL,
    report      TEXT    NOT NULL, -- of the holder, as JSON
    PRIMARY KEY (name, version, store_id, first_slice)
) STRICT, WITHOUT ROWID;

-- The workers of each generation, and until when each is there.
CREATE TABLE workers (
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    store_id BLOB    NOT NULL,
    worker   TEXT    NOT NULL,
    until    INTEGER NOT NULL,
    PRIMARY KEY (name, version, store_id, worker)
) STRICT, WITHOUT ROWID;

-- Keys that are left alone from an event on, because their rows could not be made.
CREATE TABLE parked (
    name     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    store_id BLOB    NOT NULL,
    key      TEXT    NOT NULL,
    position INTEGER NOT NULL, -- of the first event that is not applied
    event_id BLOB    NOT NULL,
    type     TEXT    NOT NULL,
    cause    TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (name, version, store_id, key)
) STRICT, WITHOUT ROWID;
