-- Has the SQL view of a name show a table. Locks the view against its readers.
SELECT leftfold.show($1, $2::text::regclass);
