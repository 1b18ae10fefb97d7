-- Returns the generations of the name, as the key of them has them; of this one the fields of its
-- checkpoints and of what is parked; and rows: key, value, key, value, … It writes nothing, so a
-- replica runs it too.
--
-- ARGV: KEYS and the keys of the rows; or LIST, and of a range of the order: start, stop, how many,
--       REV or nothing, where the key begins in an entry; 0 if it follows the first \0\1.
local stages = redis.call('HGETALL', generations)
if there() == 0 then return { stages, {}, {} } end
local broken = whole()
if broken then return broken end

local fields, all = {}, redis.call('HGETALL', meta)
for n = 1, #all, 2 do
  local kind = string.match(all[n], '^%a+:')
  if kind == 'at:' or kind == 'parked:' then
    fields[#fields + 1] = all[n]
    fields[#fields + 1] = all[n + 1]
  end
end

-- keys returns those of a range of the order.
local function keys(start, stop, most, reverse, begin)
  local range = { 'ZRANGE', order, start, stop, 'BYLEX' }
  if reverse ~= '' then range[6] = reverse end
  range[#range + 1], range[#range + 2], range[#range + 3] = 'LIMIT', 0, most
  local entries = redis.call(unpack(range))
  for n, entry in ipairs(entries) do
    local from = tonumber(begin)
    if from == 0 then from = select(2, string.find(entry, '\0\1', 1, true)) + 1 end
    entries[n] = string.sub(entry, from)
  end
  return entries
end

local wanted, first = ARGV, 2
if ARGV[1] == 'LIST' then wanted, first = keys(unpack(ARGV, 2)), 1 end
local found = {}
chunks(first, #wanted, function(from, to)
  local values = redis.call('HMGET', rows, unpack(wanted, from, to))
  for n = from, to do
    local value = values[n - from + 1]
    if value and value ~= '' then -- the entry that keeps an empty hash alive is no row
      found[#found + 1] = wanted[n]
      found[#found + 1] = value
    end
  end
end)
return { stages, fields, found }
