-- The index of a Kinesis stream, beside the store that its events are in. The word leftfold stands
-- for the schema.

-- Of several programs that make the tables one does it at a time.
SELECT pg_advisory_xact_lock(hashtextextended('leftfold.kinesis_index', 0));

-- One row: which stream, and which index of it.
CREATE TABLE IF NOT EXISTS leftfold.kinesis_index (
	only_row    bigint  NOT NULL PRIMARY KEY CHECK (only_row = 1),
	store_id    bytea   NOT NULL, -- the same in every index of the stream
	stream      text    NOT NULL, -- its ARN and when it was created
	incarnation bigint  NOT NULL  -- of the first life of the database under this index
);

-- How far each shard has been taken in. It moves in the transaction that takes the records in.
CREATE TABLE IF NOT EXISTS leftfold.kinesis_shards (
	shard    text COLLATE "C" NOT NULL PRIMARY KEY,
	sequence text    NOT NULL, -- of the last record; '': none
	ended    bigint  NOT NULL, -- 1: the shard is finished
	beat     bigint  NOT NULL, -- when its indexer last gave a sign of life, microseconds since 1970
	seen     bigint  NOT NULL  -- what arrived before this time is taken in, seconds since 1970; 0: none
);

-- One row for each accepted record.
CREATE TABLE IF NOT EXISTS leftfold.kinesis_commits (
	stream   text COLLATE "C" NOT NULL,
	version  bigint  NOT NULL, -- of its first event
	last     bigint  NOT NULL, -- of its last event
	position bigint  NOT NULL, -- of its last event, in this index
	deletes  bigint  NOT NULL, -- 1: it ended the stream
	commit_id  bytea NOT NULL,
	command_id bytea,          -- NULL: none
	hash       bytea,
	PRIMARY KEY (stream, version)
);

CREATE INDEX IF NOT EXISTS kinesis_commits_by_commit ON leftfold.kinesis_commits (commit_id);
CREATE INDEX IF NOT EXISTS kinesis_commits_by_command ON leftfold.kinesis_commits (command_id, stream) WHERE command_id IS NOT NULL;
