-- What leftfold.append needs of its session. Plans are made while the tables are empty and are
-- kept, because to plan anew costs more than all the rest; and a plan that avoids the scan of
-- a table looks dear enough to be compiled, for 40 ms.
SELECT set_config('search_path', 'pg_catalog, pg_temp', false),
	set_config('plan_cache_mode', 'force_generic_plan', false),
	set_config('enable_seqscan', 'off', false),
	set_config('enable_bitmapscan', 'off', false),
	set_config('jit', 'off', false);
