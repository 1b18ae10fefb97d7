-- Names a new index. Of two that do it at a time the first one does.
INSERT INTO leftfold.kinesis_index (only_row, store_id, stream, incarnation) VALUES (1, $1, $2, $3)
ON CONFLICT (only_row) DO NOTHING;
