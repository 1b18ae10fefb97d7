package redisstore

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/generation.lua
var generationLua string

//go:embed lua/open.lua
var openLua string

//go:embed lua/commit.lua
var commitLua string

//go:embed lua/list.lua
var listLua string

// The server keeps scripts by their hash; one that it does not know is sent in full.
var (
	openScript   = redis.NewScript(generationLua + openLua)
	commitScript = redis.NewScript(generationLua + commitLua)
	listScript   = redis.NewScript(generationLua + listLua)
)
