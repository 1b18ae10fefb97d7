-- Forgets all but the 1000 writers that committed last, by rowid: mark_batch.sql gives a
-- writer a new one each time. A row is needed only while its batch is being settled, and
-- no clock is asked, because clocks jump.
DELETE FROM writers
WHERE rowid NOT IN (SELECT rowid FROM writers ORDER BY rowid DESC LIMIT 1000);
