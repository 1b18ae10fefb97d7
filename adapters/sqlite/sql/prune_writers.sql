-- Forgets all but the newest 1000 writers, by rowid. A row is needed only while its
-- batch is being settled, and no clock is asked, because clocks jump.
DELETE FROM writers
WHERE rowid <= (SELECT max(rowid) FROM writers) - 1000;
