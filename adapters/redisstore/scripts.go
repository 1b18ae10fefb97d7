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

//go:embed lua/look.lua
var lookLua string

//go:embed lua/state.lua
var stateLua string

//go:embed lua/update.lua
var updateLua string

//go:embed lua/promote.lua
var promoteLua string

//go:embed lua/retire.lua
var retireLua string

//go:embed lua/reset.lua
var resetLua string

// The server keeps scripts by their hash; one that it does not know is sent in full.
var (
	openScript   = redis.NewScript(generationLua + openLua)
	commitScript = redis.NewScript(generationLua + commitLua)
	lookScript   = redis.NewScript(generationLua + lookLua)
	stateScript  = redis.NewScript(generationLua + stateLua)
	updateScript = redis.NewScript(generationLua + updateLua)

	promoteScript = redis.NewScript(generationLua + promoteLua)
	retireScript  = redis.NewScript(generationLua + retireLua)
	resetScript   = redis.NewScript(generationLua + resetLua)
)
