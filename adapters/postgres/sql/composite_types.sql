-- The OIDs of the types of an append's parameters.
SELECT 'leftfold.new_write'::regtype::oid, 'leftfold.new_event'::regtype::oid,
	'leftfold.new_command'::regtype::oid, 'leftfold.new_condition'::regtype::oid;
