-- The time by the server's clock, now and not at the beginning of the transaction.
SELECT clock_timestamp();
