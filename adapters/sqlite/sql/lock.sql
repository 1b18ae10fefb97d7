-- Takes the file's write lock for the rest of the transaction, and changes nothing.
UPDATE store SET id = id WHERE false;
