-- Registers a generation as the live one, whatever was there of it. Uses the primary key.
INSERT INTO leftfold.read_models (name, version, hash, stage, unindexed) VALUES ($1, $2, $3, 'live', 0)
ON CONFLICT (name, version) DO UPDATE SET hash = excluded.hash, stage = 'live';
