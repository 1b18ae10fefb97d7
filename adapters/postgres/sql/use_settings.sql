-- Sets what users_settings.sql has returned, until the end of the transaction.
SELECT set_config('search_path', $1::text, true), set_config('plan_cache_mode', $2::text, true), set_config('enable_seqscan', $3::text, true),
	set_config('enable_bitmapscan', $4::text, true), set_config('jit', $5::text, true);
