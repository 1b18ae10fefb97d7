-- The leases of consumers of Kinesis. counter is what writes are compared by.
CREATE TABLE IF NOT EXISTS leftfold_shard_leases (
	consumer text   NOT NULL,
	shard    text   NOT NULL,
	owner    text   NOT NULL,
	wanted   text   NOT NULL,
	counter  bigint NOT NULL,
	PRIMARY KEY (consumer, shard)
)
