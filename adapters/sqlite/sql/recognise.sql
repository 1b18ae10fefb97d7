-- What the file is: whose, of which schema, and whether anything is in it. Reads page 1
-- and the schema; no lock beyond that of a read.
SELECT (SELECT application_id FROM pragma_application_id),
       (SELECT user_version FROM pragma_user_version),
       (SELECT count(*) FROM sqlite_schema);
