-- Marks a batch as committed, in the batch's own transaction. By the primary key.
INSERT INTO writers (writer_id, batch)
VALUES (?1, ?2)
ON CONFLICT (writer_id) DO UPDATE SET batch = excluded.batch;
