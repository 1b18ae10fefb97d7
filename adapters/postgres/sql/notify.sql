-- Wakes readers of the log when the transaction commits ($1 is the head).
SELECT pg_notify('leftfold', $1::bigint::text);
