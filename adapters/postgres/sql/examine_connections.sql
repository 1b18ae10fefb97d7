-- How many connections a server takes from ordinary roles, and how many clients it has.
SELECT current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
	(SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'client backend');
