-- What a role may do with the log and with read models, whether it has a right in the schema or not.
SELECT current_user::text,
	(SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user),
	pg_has_role(e.relowner, 'USAGE'),
	has_schema_privilege(n.oid, 'USAGE') AND (SELECT bool_and(has_table_privilege(c.oid, 'SELECT')) FROM pg_class c
		WHERE c.relnamespace = n.oid AND c.relname IN ('migrations', 'store', 'events', 'event_tags', 'commands')),
	(SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p WHERE p.pronamespace = n.oid AND p.proname IN ('append', 'append_in', 'append_one', 'settle', 'lock')),
	(SELECT coalesce(string_agg(DISTINCT p.name || ' on ' || c.relname, ', '), '') FROM pg_class c, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) p(name)
		WHERE c.relnamespace = n.oid AND c.relname IN ('store', 'events', 'event_tags', 'commands', 'fences') AND has_table_privilege(c.oid, p.name)),
	has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') AND (SELECT bool_and(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
		FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname IN ('read_models', 'segments', 'workers', 'parked'))
FROM pg_namespace n JOIN pg_class e ON e.relnamespace = n.oid AND e.relname = 'events'
WHERE n.nspname = 'leftfold';
