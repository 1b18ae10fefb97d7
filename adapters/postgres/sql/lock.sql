-- Takes the lock of the store until the end of the transaction, and returns the store's id
-- and the OIDs of the types of an append's parameters.
SELECT leftfold.lock(), 'leftfold.new_write'::regtype::oid, 'leftfold.new_event'::regtype::oid,
	'leftfold.new_command'::regtype::oid, 'leftfold.new_condition'::regtype::oid;
