-- How many of the triggers that refuse changes of the log are at work in this session.
SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'leftfold' AND (c.relname, t.tgname) IN (('events', 'events_only_grow'), ('event_tags', 'event_tags_only_grow'), ('commands', 'commands_only_grow'), ('commands', 'commands_are_kept'))
	AND (t.tgenabled = 'A' OR t.tgenabled = 'O' AND current_setting('session_replication_role') <> 'replica');
