-- Bounds the pauses of a transaction that holds the lock of the store: a client that is gone,
-- or paused, gives it back.
SELECT set_config('idle_in_transaction_session_timeout', '5s', true);
