-- The index of a Kinesis stream, beside the store that its events are in.

-- One row: which stream, and which index of it.
CREATE TABLE IF NOT EXISTS kinesis_index (
	only_row    INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
	store_id    BLOB   NOT NULL, -- the same in every index of the stream
	stream      TEXT    NOT NULL, -- its ARN and when it was created
	incarnation INTEGER NOT NULL  -- of the first life of the database under this index
) STRICT;

-- How far each shard has been taken in. It moves in the transaction that takes the records in.
CREATE TABLE IF NOT EXISTS kinesis_shards (
	shard    TEXT NOT NULL PRIMARY KEY,
	sequence TEXT    NOT NULL, -- of the last record; '': none
	ended    INTEGER NOT NULL, -- 1: the shard is finished
	beat     INTEGER NOT NULL, -- when its indexer last gave a sign of life, microseconds since 1970
	seen     INTEGER NOT NULL  -- what arrived before this time is taken in, seconds since 1970; 0: none
) STRICT;

-- One row for each accepted record.
CREATE TABLE IF NOT EXISTS kinesis_commits (
	stream   TEXT NOT NULL,
	version  INTEGER NOT NULL, -- of its first event
	last     INTEGER NOT NULL, -- of its last event
	position INTEGER NOT NULL, -- of its last event, in this index
	deletes  INTEGER NOT NULL, -- 1: it ended the stream
	commit_id  BLOB NOT NULL,
	command_id BLOB,          -- NULL: none
	hash       BLOB,
	PRIMARY KEY (stream, version)
) STRICT;

CREATE INDEX IF NOT EXISTS kinesis_commits_by_commit ON kinesis_commits (commit_id);
CREATE INDEX IF NOT EXISTS kinesis_commits_by_command ON kinesis_commits (command_id, stream) WHERE command_id IS NOT NULL;
