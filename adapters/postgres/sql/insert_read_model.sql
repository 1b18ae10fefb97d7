-- Registers a generation, unless it is registered. Of two programs that open it at once, the
-- second waits here until the table of the first is there.
INSERT INTO leftfold.read_models (name, version, hash) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING hash;
