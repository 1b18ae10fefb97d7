-- What settings.sql is about to change: handlers are given it back for their part.
SELECT current_setting('search_path'), current_setting('plan_cache_mode'), current_setting('enable_seqscan'),
	current_setting('enable_bitmapscan'), current_setting('jit');
