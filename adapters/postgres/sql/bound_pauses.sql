-- Bounds the pauses of a transaction that appends wait for: a client that is gone, or paused,
-- loses it, and its locks.
SELECT set_config('idle_in_transaction_session_timeout', '5s', true);
