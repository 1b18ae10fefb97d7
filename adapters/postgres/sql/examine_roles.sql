-- The roles and databases whose commits are acknowledged before they are durable, other than by the server's own setting.
SELECT coalesce(string_agg(CASE WHEN s.setrole = 0 THEN 'database ' || d.datname WHEN s.setdatabase = 0 THEN 'role ' || r.rolname
	ELSE 'role ' || r.rolname || ' in database ' || d.datname END, ', ' ORDER BY r.rolname, d.datname), '')
FROM pg_db_role_setting s
LEFT JOIN pg_database d ON d.oid = s.setdatabase
LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE (s.setdatabase = 0 OR d.datname = current_database()) AND 'synchronous_commit=off' = ANY (s.setconfig);
