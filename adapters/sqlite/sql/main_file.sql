-- The file that a connection has open, as an absolute path, and how its commits are made durable.
SELECT (SELECT file FROM pragma_database_list WHERE name = 'main'),
       (SELECT synchronous FROM pragma_synchronous);
