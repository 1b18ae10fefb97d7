-- Takes the lock of the store until the end of the transaction, and returns the store's id.
SELECT leftfold.lock();
