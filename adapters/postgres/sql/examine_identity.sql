-- Which life of which cluster the log was last opened on, and which it is on now; see leftfold.adopt. On a standby
-- the second is NULL.
SELECT s.incarnation, coalesce(s.cluster, ''), CASE WHEN NOT pg_is_in_recovery() THEN
	(SELECT c.system_identifier FROM pg_control_system() c) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) END
FROM leftfold.store s;
