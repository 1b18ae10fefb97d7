-- The event store. Small columns stand before the blobs: a scan that stops at type or
-- tags never follows the overflow pages of a large payload.

CREATE TABLE store (
	only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
	id          BLOB    NOT NULL,
	incarnation INTEGER NOT NULL,
	inline_set  INTEGER NOT NULL DEFAULT 0, -- names the projections that appends must apply; 0: none
	prunable    INTEGER NOT NULL DEFAULT 0  -- command ids of earlier positions may be removed, in the transaction that prunes them; else 0
) STRICT;

CREATE TABLE events (
	position       INTEGER PRIMARY KEY,
	stream_id      TEXT    NOT NULL,
	version        INTEGER NOT NULL,
	slice          INTEGER NOT NULL,
	event_id       BLOB    NOT NULL,
	type           TEXT    NOT NULL,
	schema_version INTEGER NOT NULL,
	recorded_at    INTEGER NOT NULL, -- microseconds since 1970, UTC
	tags           TEXT,             -- in the order given, one a line; NULL: none
	metadata       BLOB,             -- NULL: none
	data           BLOB    NOT NULL,
	UNIQUE (stream_id, version)
) STRICT;

-- The log only grows. Both triggers cost nothing where they do not fire.
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only: an event cannot be changed'); END;

CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only: an event cannot be removed'); END;

-- A row for each tag of an event, none for an event without tags. The primary key
-- answers "which events carry the tag, from this position on".
CREATE TABLE event_tags (
	tag      TEXT    NOT NULL,
	position INTEGER NOT NULL,
	PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

-- The first receipt of every command, until an operator prunes it. versions is a JSON object.
CREATE TABLE commands (
	command_id  BLOB    PRIMARY KEY,
	hash        BLOB    NOT NULL,
	position    INTEGER NOT NULL,
	versions    TEXT    NOT NULL,
	recorded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last batch that each open store has committed; see settle.go. The implicit rowid
-- tells the order in which they committed last, for pruning.
CREATE TABLE writers (
	writer_id BLOB    PRIMARY KEY,
	batch     INTEGER NOT NULL
) STRICT;

-- Saved states of aggregates, a cache: any row may be removed at any time, as those of folds that no
-- program has any more. With a rowid, because a state may be large.
CREATE TABLE snapshots (
	store_id    BLOB    NOT NULL,
	stream_id   TEXT    NOT NULL,
	shape       BLOB    NOT NULL, -- of the fold
	incarnation INTEGER NOT NULL,
	version     INTEGER NOT NULL, -- of the last event that is in the state
	event_id    BLOB    NOT NULL, -- its id
	taken_at    INTEGER NOT NULL, -- microseconds since 1970, UTC
	state       BLOB    NOT NULL,
	PRIMARY KEY (store_id, stream_id, shape)
) STRICT;

-- Nothing is forgotten either. A handler that writes its own tables into this file has
-- the right to write these; the triggers stop it from doing so by mistake.
CREATE TRIGGER commands_are_not_changed BEFORE UPDATE ON commands
BEGIN SELECT RAISE(ABORT, 'commands are remembered for ever: a receipt cannot be changed'); END;

CREATE TRIGGER commands_are_not_removed BEFORE DELETE ON commands
WHEN OLD.position >= coalesce((SELECT prunable FROM store), 0)
BEGIN SELECT RAISE(ABORT, 'commands are remembered for ever: a receipt cannot be removed'); END;

CREATE TRIGGER event_tags_are_not_changed BEFORE UPDATE ON event_tags
BEGIN SELECT RAISE(ABORT, 'events are append-only: a tag cannot be changed'); END;

CREATE TRIGGER event_tags_are_not_removed BEFORE DELETE ON event_tags
BEGIN SELECT RAISE(ABORT, 'events are append-only: a tag cannot be removed'); END;
