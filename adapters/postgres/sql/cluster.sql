-- The cluster that a server is one of. Some do not tell every role.
SELECT c.system_identifier FROM pg_control_system() c;
