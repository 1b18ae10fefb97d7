-- Stands before every script. KEYS are the three keys of a generation, in one hash slot:
--   meta   hash: definition, and the fields that lease.go lists
--   rows   hash: a row's key -> its value
--   order  sorted set, all scores 0: what rows are listed by
-- All three exist from the moment it is opened, each with an entry of its own that stays. So
-- if only some are there, the others were evicted, expired or deleted.
local meta, rows, order = KEYS[1], KEYS[2], KEYS[3]

-- How many values go to one command; Lua cannot pass more than 8000. It is even, because some
-- lists are of pairs.
local CHUNK = 200

local function chunks(first, last, run)
  for at = first, last, CHUNK do run(at, math.min(at + CHUNK - 1, last)) end
end

-- whole returns nil, or the error to answer with.
local function whole()
  local there = redis.call('EXISTS', meta, rows, order)
  if there == 0 then return redis.error_reply('ABSENT no key of it is there') end
  if there < 3 then return redis.error_reply('LOST some of its keys are missing') end
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
end
