-- Stands before every script. KEYS are the keys of a generation, and that of its name, in one
-- hash slot:
--   meta         hash: definition, and the fields that lease.go lists
--   rows         hash: a row's key -> its value
--   order        sorted set, all scores 0: what rows are listed by
--   generations  hash: version -> building, live or kept; of each name
-- The first three exist from the moment it is opened, each with an entry of its own that stays,
-- and so does its entry in the fourth. So if only some are there, the others were evicted,
-- expired or deleted.
local meta, rows, order, generations = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local version = string.match(meta, ':(%d+):meta$')

-- How many values go to one command; Lua cannot pass more than 8000. It is even, because some
-- lists are of pairs.
local CHUNK = 200

local function chunks(first, last, run)
  for at = first, last, CHUNK do run(at, math.min(at + CHUNK - 1, last)) end
end

-- there counts what is there of the generation; 4 is all.
local function there()
  return redis.call('EXISTS', meta, rows, order) + redis.call('HEXISTS', generations, version)
end

-- whole returns nil, or the error to answer with.
local function whole()
  local count = there()
  if count == 0 then return redis.error_reply('ABSENT no key of it is there') end
  if count < 4 then return redis.error_reply('LOST some of its keys are missing') end
end

-- writable fails if a key is of another type, if the user may not run one of the commands
-- that write, or if the server takes no writes now. It changes nothing.
--
-- Redis does not undo the writes of a script that fails halfway. So this comes before the
-- first of them, and ZADD before all: it is the one that the server refuses when out of memory.
local function writable()
  redis.call('ZADD', order, 'XX', 0, '')
  redis.call('ZREM', order, '\0\0')
  redis.call('HDEL', rows, '\0')
  redis.call('HDEL', meta, '\0')
  redis.call('HDEL', generations, '\0')
end

-- live returns the version of the name that is live, or nil.
local function live()
  local stages = redis.call('HGETALL', generations)
  for n = 1, #stages, 2 do
    if stages[n + 1] == 'live' then return stages[n] end
  end
end

-- less compares numbers of up to 64 bits, which Lua's are not: as they are written.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
