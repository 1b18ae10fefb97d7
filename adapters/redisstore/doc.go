// Package redisstore keeps the read models of Views in Redis: a single server, Sentinel or
// Cluster, through the redis.UniversalClient that a program has anyway.
//
// What it promises: every event takes effect exactly once on a read model, up to Redis's own
// durability. Rows and checkpoint are written by one script, and the server puts what a
// script has done into its log, and sends it to its replicas, as one piece. So whatever a
// crash or a failover takes away, it takes rows and checkpoint back to one earlier moment,
// and the projection applies the rest again. How much that is depends on the server:
//
//	appendfsync always       nothing that a commit has acknowledged
//	appendfsync everysec     nothing in a kill -9, about a second in a power failure
//	no append-only file      what came after the last snapshot, or everything
//	failover to a replica    what the replica had not received
//
// A reader may then see an older state than a moment ago. Not one that waits for a token:
// see query.After.
//
// What it does not promise: a place for Handlers, because Redis has no transaction that code
// could read and write in; protection from programs that write to our keys. Keys that are
// evicted, expired or deleted are noticed, see [ErrLost].
//
// # Keys
//
// A generation of a read model has three, and its name one, in the database of the client:
//
//	leftfold:{orders}:2:meta        hash: its definition, checkpoints, leases, what is parked
//	leftfold:{orders}:2:rows        hash: the key of a row -> its columns, packed as MessagePack
//	leftfold:{orders}:2:order       sorted set: rows by key, and by each index
//	leftfold:{orders}:generations   hash: version -> building, live or kept
//
// On a Cluster all generations of a read model are on one master, so that one can be put in the
// place of another, and read models spread over the masters (ADR 0011, 0013).
//
// # Servers
//
// Redis 6.2 or later, or what is compatible with it. It must not evict: maxmemory-policy is
// noeviction, or maxmemory is not set. The user of the client needs the commands MULTI, EXEC,
// EVAL, EVALSHA, EXISTS, TIME, HEXISTS, HGET, HGETALL, HMGET, HSET, HSETNX, HDEL, ZADD, ZREM,
// ZRANGE and UNLINK, INFO for [Open] and [OpenReplicas], and SCAN for [Sink.Names]. Everything is read from the server that
// the client is connected to, and from the master of a Cluster, whatever the client does with plain
// reads.
//
// # Replicas
//
// [OpenReplicas] lets readers ask the replicas of a server. A look is one script, so its rows are
// what its checkpoint covers, on whichever server it was made. Each replica has a client of its
// own; of replicas that Sentinel watches, a client to the address of each. A replica may have been
// promoted, or follow another master, or be filled anew: it is put aside until it follows the sink's
// server again. One whose link is down goes on with what it has and grows older. A client that leads to one
// replica or another, such as a failover client with ReplicaOnly, gets right answers too, but which of
// them a probe has judged is not known. On a Cluster readers ask the masters.
//
// A replica that evicts (replica-ignore-maxmemory no) is noticed as a server is, see [ErrLost], and not
// told beforehand, because INFO does not say so.
//
// # What a commit costs
//
// A script holds up everybody else on the server. One that writes 5000 rows takes about 8 ms
// on a small machine, 17 ms if all of them are new, and 60 ms if each of them moves in an index:
// then Redis searches the order twice for each row. If the server has other users who
// cannot wait so long, choose a smaller projection.Runner.Window. BenchmarkSink measures it.
//
// The scripts are in lua/.
package redisstore
