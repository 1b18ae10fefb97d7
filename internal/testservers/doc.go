// Package testservers runs real Postgres, PgBouncer and Redis servers, replicas, a Redis
// Cluster and a Sentinel among them, for tests and benchmarks, from the programs that Debian
// installs, and other programs that listen on a port, see [StartProgram].
//
// Every server is ours alone: it listens on a free port of 127.0.0.1, keeps everything it
// writes in one directory of its own and trusts whoever connects. Nothing relies on a
// server that happens to run on the machine, and none is configured, started or stopped.
//
// Nothing is left behind. Next to each server runs a watchdog, a shell script in a
// session of its own that holds one end of a pipe; we hold the other. Whatever ends us
// (kill -9, a panic, the timeout of go test) closes the pipe, and the watchdog kills
// the server and removes its directory. Stop does the same by closing the pipe early.
//
// The servers are as durable as in production (fsync and synchronous_commit are on), so
// that a benchmark measures what a user will see. They hold nothing of value: Stop
// does not let them finish.
//
// Linux only: the watchdog finds the processes of a server in /proc. As root, servers
// run as user postgres or nobody, because Postgres and PgBouncer refuse to be root.
package testservers
