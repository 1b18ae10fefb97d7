-- How far consumers have taken in the shards of their streams. seen is in seconds since 1970.
CREATE TABLE IF NOT EXISTS leftfold_shard_checkpoints (
	consumer text    NOT NULL,
	shard    text    NOT NULL,
	sequence text    NOT NULL,
	ended    boolean NOT NULL,
	seen     bigint  NOT NULL,
	PRIMARY KEY (consumer, shard)
)
