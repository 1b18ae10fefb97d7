-- How far a server is: whether it is a standby, up to where it has replayed or flushed what is
-- written (NULL: nowhere yet), and the timeline of that (NULL: it does not tell). Fails where the
-- schema is not there.
SELECT r.standby,
	(CASE WHEN r.standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint,
	CASE WHEN r.standby THEN (SELECT w.received_tli FROM pg_stat_wal_receiver w)
		ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::integer END,
	EXISTS (SELECT FROM leftfold.migrations)
FROM (SELECT pg_is_in_recovery() AS standby OFFSET 0) r;
