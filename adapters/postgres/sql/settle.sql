-- Forbids the earlier sessions of a writer and finds its events; see the function in
-- migrations/. It takes the lock of the store.
SELECT n, at, version
FROM leftfold.settle($1, $2, $3, $4, $5);
