-- Marks a batch as committed, in the batch's own transaction. By the primary key. The row
-- is replaced, not updated, so that it comes last: a program that has been open for
-- months must not be the first to be forgotten while it settles its newest batch.
INSERT OR REPLACE INTO writers (writer_id, batch)
VALUES (?1, ?2);
