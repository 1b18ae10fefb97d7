-- Makes the generation live, if no segment of it is behind any of the live one.
--
-- KEYS: besides, the meta of the live one. ARGV: its version; empty: there is none.
writable()
local broken = whole()
if broken then return broken end
local other = live() or ''
if other == version then return redis.status_reply('OK') end
if other ~= ARGV[1] then return redis.error_reply('STALE another one is live') end
if redis.call('HGET', generations, version) == 'building' and less(version, other) then
  return redis.error_reply('OUTDATED ' .. other)
end

-- positions calls note with the source and the position of each segment.
local function positions(of, note)
  local fields = redis.call('HGETALL', of)
  for n = 1, #fields, 2 do
    local source = string.match(fields[n], '^at:(.+):%d+$')
    if source then note(source, string.match(fields[n + 1], '^%d+ %d+ (%d+)')) end
  end
end

local lowest = {}
positions(meta, function(source, at)
  if not lowest[source] or less(at, lowest[source]) then lowest[source] = at end
end)
local behind = false
if other ~= '' then
  positions(KEYS[5], function(source, at)
    behind = behind or not lowest[source] or less(lowest[source], at)
  end)
end
if behind then return redis.error_reply('BEHIND the live one') end
if other ~= '' then
  redis.call('HSET', generations, version, 'live', other, 'kept')
else
  redis.call('HSET', generations, version, 'live')
end
return redis.status_reply('OK')
