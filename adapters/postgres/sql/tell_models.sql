-- Tells the sinks of other processes that a read model of the schema was committed. To lose it
-- is no harm, so its commit waits for no flush.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('leftfold_models', $1);
