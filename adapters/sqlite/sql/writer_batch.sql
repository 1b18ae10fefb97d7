-- The last batch of one writer that was committed, by the primary key.
SELECT batch
FROM writers
WHERE writer_id = ?1;
