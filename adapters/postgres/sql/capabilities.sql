-- What the server and the role allow now: whether it is a standby, whether appends are
-- refused for another reason, whether a commit may be lost, the server's version and the
-- last step of the schema. It takes no lock.
SELECT pg_is_in_recovery(),
	current_setting('transaction_read_only') = 'on' OR NOT has_function_privilege('leftfold.append'::regproc, 'EXECUTE'),
	'off' IN (current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')),
	current_setting('server_version'),
	(SELECT max(m.number) FROM leftfold.migrations m);
