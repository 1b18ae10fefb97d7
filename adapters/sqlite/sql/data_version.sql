-- Changes when any other connection, of this or another process, has committed.
PRAGMA data_version;
