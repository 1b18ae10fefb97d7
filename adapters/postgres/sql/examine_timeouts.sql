-- The timeouts that end a transaction, in milliseconds; 0: never. Not every release has all of them.
SELECT coalesce(max(s.setting::bigint) FILTER (WHERE s.name = 'statement_timeout'), 0),
	coalesce(max(s.setting::bigint) FILTER (WHERE s.name = 'transaction_timeout'), 0),
	coalesce(max(s.setting::bigint) FILTER (WHERE s.name = 'idle_in_transaction_session_timeout'), 0)
FROM pg_settings s WHERE s.name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout');
