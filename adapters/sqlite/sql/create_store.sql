-- Names the store, once. Runs under the write lock; the primary key lets one row in.
INSERT INTO store (only_row, id, incarnation)
VALUES (1, ?1, 1)
ON CONFLICT (only_row) DO NOTHING;
