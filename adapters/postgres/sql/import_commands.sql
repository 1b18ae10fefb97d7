-- Remembers commands as they were remembered elsewhere, under the lock of the store.
INSERT INTO leftfold.commands (command_id, hash, position, versions, recorded_at)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::bigint[]), unnest($4::text[]), unnest($5::timestamptz[]);
