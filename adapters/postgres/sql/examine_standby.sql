-- Whether a server is a standby or takes no writes, and what follows it: only some roles see how a standby follows.
SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_setting('wal_level'),
	current_setting('synchronous_standby_names'), pg_has_role('pg_read_all_stats', 'USAGE'),
	(SELECT count(*) FROM pg_stat_replication r),
	(SELECT count(*) FROM pg_stat_replication r WHERE r.sync_state IN ('sync', 'quorum'));
