-- Registers a generation. Takes the write lock with its transaction.
INSERT INTO read_models (name, version, hash, stage) VALUES (?1, ?2, ?3, ?4);
