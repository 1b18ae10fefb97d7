-- Writes and deletes rows and moves the checkpoint: all of it, or nothing.
--
-- ARGV: definition, field of the source's checkpoint, the checkpoint before, and after,
--       the numbers of rows to write, of rows to delete, of indexes, of keys to park, and of
--       keys to take up again,
--       key and value of each row to write, keys of the rows to delete,
--       if there are indexes, the places of each row to write,
--       field and value of each key to park, and fields of the keys to take up again.
-- A value begins with the row's places: a MessagePack array of what its entries in the order
-- begin with, one for each index; the key follows. No place is the beginning of another.
writable()
local broken = whole()
if broken then return broken end
if redis.call('HGET', meta, 'definition') ~= ARGV[1] then
  return redis.error_reply('CHANGED it was built by another definition')
end
if redis.call('HGET', meta, ARGV[2]) ~= ARGV[3] then
  return redis.error_reply('STALE the checkpoint was moved')
end

local puts, deletes, indexes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local parks, unparks = tonumber(ARGV[8]), tonumber(ARGV[9])
local first_put = 10
local first_delete = first_put + 2 * puts
local first_places = first_delete + deletes
local first_park = first_places + (indexes > 0 and puts or 0)
local first_unpark = first_park + 2 * parks

-- Which entries change. A stored value that cannot be read fails here, before the first write.
local gone, fresh = {}, {}

local function places(value)
  if not value then return {} end
  local list = select(2, cmsgpack.unpack_one(value, 0))
  for n = 1, indexes do
    if type(list[n]) ~= 'string' then error('a stored row cannot be read') end
  end
  return list
end

local function compare(key, was, is)
  local old, new = places(was), places(is)
  for n = 1, indexes do
    if old[n] ~= new[n] then
      if old[n] then gone[#gone + 1] = old[n] .. key end
      if new[n] then
        fresh[#fresh + 1] = 0
        fresh[#fresh + 1] = new[n] .. key
      end
    end
  end
end

if indexes > 0 then
  local keys = {}
  for n = 1, puts do keys[n] = ARGV[first_put + 2 * (n - 1)] end
  for n = 1, deletes do keys[puts + n] = ARGV[first_delete + n - 1] end
  chunks(1, #keys, function(from, to)
    local stored = redis.call('HMGET', rows, unpack(keys, from, to))
    for n = from, to do
      local was, is = stored[n - from + 1], n <= puts and ARGV[first_places + n - 1]
      if not (was and is and string.sub(was, 1, #is) == is) then compare(keys[n], was, is) end
    end
  end)
end

-- Now write. HSET is the one command that was not tried yet: if the user may not run it, this
-- fails, and nothing has been changed.
redis.call('HSET', meta, ARGV[2], ARGV[4])
for n = first_unpark, first_unpark + unparks - 1 do redis.call('HDEL', meta, ARGV[n]) end
for n = first_park, first_unpark - 1, 2 do redis.call('HSET', meta, ARGV[n], ARGV[n + 1]) end
chunks(first_put, first_delete - 1, function(from, to)
  if redis.call('HSET', rows, unpack(ARGV, from, to)) > 0 then -- a new row among them
    local entries = {}
    for n = from, to, 2 do
      entries[#entries + 1] = 0
      entries[#entries + 1] = '\0' .. ARGV[n]
    end
    redis.call('ZADD', order, unpack(entries))
  end
end)
chunks(first_delete, first_places - 1, function(from, to)
  redis.call('HDEL', rows, unpack(ARGV, from, to))
end)
for n = first_delete, first_places - 1 do gone[#gone + 1] = '\0' .. ARGV[n] end
chunks(1, #gone, function(from, to) redis.call('ZREM', order, unpack(gone, from, to)) end)
chunks(1, #fresh, function(from, to) redis.call('ZADD', order, unpack(fresh, from, to)) end)
return redis.status_reply('OK')
