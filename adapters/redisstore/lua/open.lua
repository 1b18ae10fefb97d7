-- Creates the generation, or checks that it is the one that is meant, and adds a checkpoint
-- for the source if it has none. The first of a name is live.
--
-- ARGV: definition, field of the source's checkpoint, the checkpoint at position 0
writable()
local definition = redis.call('HGET', meta, 'definition')
if there() == 0 then
  local other = live()
  if other and less(version, other) then return redis.error_reply('OUTDATED ' .. other) end
  redis.call('HSET', generations, version, other and 'building' or 'live')
  redis.call('HSET', meta, 'definition', ARGV[1], ARGV[2], ARGV[3])
  redis.call('HSET', rows, '', '')
  redis.call('ZADD', order, 0, '')
  return redis.status_reply('OK')
end
local broken = whole()
if broken then return broken end
if definition ~= ARGV[1] then
  return redis.error_reply('CHANGED it was built by another definition')
end
redis.call('HSETNX', meta, ARGV[2], ARGV[3])
return redis.status_reply('OK')
