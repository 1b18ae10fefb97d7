package redisstore

import "github.com/redis/go-redis/v9"

// CommitLua is what UseCommitLua plants a bug in.
var CommitLua = commitLua

// UseCommitLua replaces lua/commit.lua until restore is called.
func UseCommitLua(mutant string) (restore func()) {
	right := commitScript
	commitScript = redis.NewScript(generationLua + mutant)
	return func() { commitScript = right }
}

// Prefix is what the names of the sink's keys begin with.
func (s *Sink) Prefix() string { return s.prefix }
